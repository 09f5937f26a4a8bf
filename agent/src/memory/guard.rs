//! When memory runs short, and who has to go then: before the kernel picks somebody, and with as little work lost as can be.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use super::{Limits, Share, Work};

/// The part of the reserve that has to be left: one in this many. Frames are let in with the whole of it, so that a little more than
/// expected stops none.
const RESERVE_PART: u64 = 2;
/// How often memory is looked at while there is plenty.
const EVERY: Duration = Duration::from_millis(500);
/// How often, where there is not.
const OFTEN: Duration = Duration::from_millis(100);
/// What a Blender can take between two looks, and more.
const PLENTY_BYTES: u64 = 2 << 30;

/// What is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The memory of the machine, or of the group that the agent is bound to.
    Machine {
        /// What is free.
        available_bytes: u64,
        /// What is to be free.
        reserve_bytes: u64,
    },
    /// What the agent's owner allows.
    Limit {
        /// What the Blenders have.
        together_bytes: u64,
        /// What they may have.
        max_bytes: u64,
    },
}

impl Shortage {
    /// What is short, if anything is.
    #[must_use]
    pub fn of(limits: &Limits, available_bytes: u64, shares: &[Share]) -> Option<Self> {
        let together_bytes = together_bytes(shares);
        match limits.max_bytes {
            Some(max_bytes) if together_bytes > max_bytes => Some(Self::Limit { together_bytes, max_bytes }),
            _ if available_bytes < limits.reserve_bytes / RESERVE_PART => {
                Some(Self::Machine { available_bytes, reserve_bytes: limits.reserve_bytes })
            }
            _ => None,
        }
    }

    fn missing_bytes(self) -> u64 {
        match self {
            Self::Machine { available_bytes, reserve_bytes } => reserve_bytes.saturating_sub(available_bytes),
            Self::Limit { together_bytes, max_bytes } => together_bytes.saturating_sub(max_bytes),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { available_bytes, reserve_bytes } => write!(
                f,
                "only {} MiB of memory were left of the {} MiB that other programs are to have (--reserve-memory)",
                available_bytes >> 20,
                reserve_bytes >> 20
            ),
            Self::Limit { together_bytes, max_bytes } => write!(
                f,
                "all Blenders together had {} MiB of memory, and may have {} MiB (--max-memory)",
                together_bytes >> 20,
                max_bytes >> 20
            ),
        }
    }
}

/// Which of the sessions is to be stopped. One that opens a scene ahead can do that later, and may be what is too much; one without work
/// costs nothing; one that has more than was expected of it is why memory
/// is short; one whose memory does not suffice would only be the first of several. Among equals it is the one with the least work to
/// lose, then the largest.
#[must_use]
pub fn whom_to_stop(shortage: Shortage, shares: &[Share]) -> Option<usize> {
    let missing_bytes = shortage.missing_bytes();
    let rank = |share: &Share| {
        let worth = match share.work {
            Work::Ahead => 0,
            Work::Idle => 1,
            Work::Busy { .. } => 2,
        };
        let is_within = share.resident_bytes <= share.expected_bytes;
        let suffices = share.resident_bytes >= missing_bytes;
        // Where none suffices, the largest helps most.
        let size = Reverse(share.resident_bytes);
        (worth, is_within, !suffices, (!suffices).then_some(size), share.work.to_lose(), size)
    };
    let there = shares.iter().enumerate().filter(|(_, share)| share.resident_bytes > 0);
    there.min_by_key(|(_, share)| rank(share)).map(|(number, _)| number)
}

/// When to look again.
#[must_use]
pub fn next_look(limits: &Limits, available_bytes: u64, shares: &[Share]) -> Duration {
    let of_machine = available_bytes.saturating_sub(limits.reserve_bytes / RESERVE_PART);
    let of_limit = limits.max_bytes.map_or(u64::MAX, |max_bytes| max_bytes.saturating_sub(together_bytes(shares)));
    if of_machine.min(of_limit) < PLENTY_BYTES { OFTEN } else { EVERY }
}

fn together_bytes(shares: &[Share]) -> u64 {
    shares.iter().map(|share| share.resident_bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    const fn share(resident: u64, expected: u64, work: Work) -> Share {
        Share { resident_bytes: resident * GIB, expected_bytes: expected * GIB, work }
    }

    const fn busy(resident: u64, expected: u64, percent: u8, seconds: u64) -> Share {
        let fraction = percent as f32 / 100.0;
        share(resident, expected, Work::Busy { fraction, elapsed: Duration::from_secs(seconds) })
    }

    #[test]
    fn who_goes_loses_least_and_helps_most() {
        let idle = |gib: u64| share(gib, gib, Work::Idle);
        #[rustfmt::skip]
        let cases = [
            // missing, sessions -> which is stopped
            (1, vec![], None),
            (1, vec![share(0, 4, Work::Idle)], None),
            (1, vec![busy(4, 4, 50, 10)], Some(0)),
            // An idle one costs nothing, however little it brings.
            (4, vec![busy(9, 4, 1, 1), idle(1)], Some(1)),
            (1, vec![idle(1), idle(3), busy(9, 9, 1, 1)], Some(1)),
            // What is opened ahead goes first, however little it brings.
            (4, vec![busy(9, 4, 1, 1), idle(6), share(1, 4, Work::Ahead)], Some(2)),
            (1, vec![share(1, 4, Work::Ahead), share(2, 4, Work::Ahead)], Some(1)),
            (1, vec![share(0, 4, Work::Ahead), busy(4, 4, 50, 10)], Some(1)),
            // Who takes more than it said goes before who has done less.
            (1, vec![busy(2, 2, 0, 0), busy(6, 1, 90, 500)], Some(1)),
            (1, vec![busy(2, 1, 10, 10), busy(6, 1, 90, 500), busy(2, 2, 0, 0)], Some(0)),
            // Otherwise it is the least work.
            (1, vec![busy(4, 4, 90, 100), busy(2, 2, 50, 60), busy(8, 8, 95, 600)], Some(1)),
            (1, vec![busy(2, 2, 0, 20), busy(2, 2, 0, 10)], Some(1)),
            (1, vec![busy(2, 2, 50, 10), busy(3, 3, 50, 10)], Some(1)),
            // One that suffices saves the others; if none does, the largest comes first.
            (3, vec![busy(2, 2, 10, 10), busy(4, 4, 50, 60)], Some(1)),
            (9, vec![busy(2, 2, 10, 10), busy(4, 4, 50, 60)], Some(1)),
        ];
        for (missing, shares, stopped) in cases {
            let shortage = Shortage::Limit { together_bytes: (100 + missing) * GIB, max_bytes: 100 * GIB };
            assert_eq!(whom_to_stop(shortage, &shares), stopped, "{missing} missing, {shares:?}");
        }
    }

    #[test]
    fn memory_is_short_where_a_bound_is_crossed_and_looked_at_closely_before() {
        let machine = |available: u64| Shortage::Machine { available_bytes: available * GIB, reserve_bytes: 4 * GIB };
        let limit = |together: u64| Shortage::Limit { together_bytes: together * GIB, max_bytes: 8 * GIB };
        #[rustfmt::skip]
        let cases = [
            // available, together, max -> shortage, next look
            (16, 8, None, None, EVERY),
            (4, 8, None, None, EVERY),
            (3, 8, None, None, OFTEN),
            (1, 8, None, Some(machine(1)), OFTEN),
            (16, 6, Some(8), None, EVERY),
            (16, 7, Some(8), None, OFTEN),
            (16, 8, Some(8), None, OFTEN),
            (16, 9, Some(8), Some(limit(9)), OFTEN),
        ];
        for (available, together, max, shortage, look) in cases {
            let max_bytes = max.map(|max: u64| max * GIB);
            let limits = Limits { max_bytes, reserve_bytes: 4 * GIB, machine_bytes: 32 * GIB };
            let shares = [share(together - 1, 9, Work::Idle), share(1, 1, Work::Idle)];
            assert_eq!(Shortage::of(&limits, available * GIB, &shares), shortage, "{available}, {together}");
            assert_eq!(next_look(&limits, available * GIB, &shares), look, "{available}, {together}");
        }
    }
}
