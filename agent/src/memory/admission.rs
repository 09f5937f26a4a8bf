//! Whether a scene may be loaded now: a function of what it needs, what the others have, and what is free.

use super::{Limits, Share, Work};

/// What a scene needs, as far as that is known or guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// What it may come to take.
    pub most_bytes: u64,
    /// What it takes in any case, if that was measured here.
    pub least_bytes: Option<u64>,
}

/// What is to be done with a scene that wants in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Load it.
    Open,
    /// Sessions that can be done without are to end first.
    EndIdle,
    /// It has to wait for the work of others, or for other programs.
    Wait,
    /// It does not fit here, with nothing beside it.
    TooLarge {
        /// What it could have at the most.
        room_bytes: u64,
    },
}

/// Decides on a scene, with `others` beside it and `available_bytes` free. Beside the work of others it has to fit as a whole;
/// alone it is tried, unless even the least that it takes is too much: a guess or a single heavy frame refuses nothing. It waits then for
/// other programs, unless it would not fit without them either.
#[must_use]
pub fn admit(need: Need, limits: &Limits, available_bytes: u64, others: &[Share]) -> Admission {
    if limits.room_bytes(available_bytes, others) >= need.most_bytes {
        return Admission::Open;
    }
    let can_end = |share: &Share| matches!(share.work, Work::Idle | Work::Ahead);
    let (idle, busy): (Vec<Share>, Vec<Share>) = others.iter().copied().partition(can_end);
    let idle_bytes: u64 = idle.iter().map(|share| share.resident_bytes).sum();
    let room_bytes = limits.room_bytes(available_bytes.saturating_add(idle_bytes), &busy);
    if room_bytes < need.most_bytes {
        if !busy.is_empty() {
            return Admission::Wait;
        }
        if let Some(least_bytes) = need.least_bytes.filter(|least_bytes| *least_bytes > room_bytes) {
            let most_bytes = limits.most_bytes();
            return if least_bytes > most_bytes {
                Admission::TooLarge { room_bytes: most_bytes }
            } else {
                Admission::Wait
            };
        }
    }
    if idle.is_empty() { Admission::Open } else { Admission::EndIdle }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_scene_is_loaded_where_it_fits() {
        use Admission::*;
        let idle = |gib: u64| Share { resident_bytes: gib * GIB, expected_bytes: gib * GIB, work: Work::Idle };
        let ahead = |resident: u64, expected: u64| Share {
            resident_bytes: resident * GIB,
            expected_bytes: expected * GIB,
            work: Work::Ahead,
        };
        let busy = |resident: u64, expected: u64| Share {
            resident_bytes: resident * GIB,
            expected_bytes: expected * GIB,
            work: Work::Busy { fraction: 0.5, elapsed: Duration::from_secs(1) },
        };
        #[rustfmt::skip]
        let cases = [
            // most, least, max, available, others -> what is done
            (4, None, None, 5, vec![], Open),
            (4, None, None, 5, vec![busy(2, 2)], Open),
            // Others that are loading come first.
            (4, None, None, 6, vec![busy(0, 2)], Wait),
            (4, None, None, 7, vec![busy(0, 2)], Open),
            (4, None, Some(6), 20, vec![busy(3, 3)], Wait),
            (4, None, Some(7), 20, vec![busy(3, 3)], Open),
            // What was opened ahead can be opened later.
            (4, None, None, 7, vec![ahead(0, 2)], Open),
            (4, None, None, 5, vec![ahead(0, 2)], EndIdle),
            (4, None, None, 4, vec![ahead(2, 2), busy(4, 4)], EndIdle),
            (4, None, None, 2, vec![ahead(2, 2), busy(4, 4)], Wait),
            // What nobody needs goes, if that helps.
            (4, None, None, 3, vec![idle(2)], EndIdle),
            (4, None, None, 2, vec![idle(2), busy(4, 4)], Wait),
            (4, None, None, 3, vec![idle(2), busy(4, 4)], EndIdle),
            (4, None, Some(6), 20, vec![idle(4)], EndIdle),
            // Alone it is tried: what one frame took another may not.
            (4, None, None, 3, vec![], Open),
            (4, Some(2), None, 3, vec![], Open),
            (9, None, None, 3, vec![idle(1)], EndIdle),
            // Unless other programs have what it takes at the least.
            (4, Some(3), None, 3, vec![], Wait),
            (4, Some(4), None, 3, vec![idle(1)], Wait),
            (40, Some(31), None, 3, vec![], Wait),
            // Or it never fits.
            (40, Some(32), None, 32, vec![], TooLarge { room_bytes: 31 * GIB }),
            (40, Some(32), None, 3, vec![idle(1)], TooLarge { room_bytes: 31 * GIB }),
            (4, Some(3), None, 3, vec![busy(9, 9)], Wait),
            (4, Some(3), Some(2), 30, vec![], TooLarge { room_bytes: 2 * GIB }),
        ];
        for (most, least, max, available, others, done) in cases {
            let need = Need { most_bytes: most * GIB, least_bytes: least.map(|least: u64| least * GIB) };
            let max_bytes = max.map(|max: u64| max * GIB);
            let limits = Limits { max_bytes, reserve_bytes: GIB, machine_bytes: 32 * GIB };
            let decided = admit(need, &limits, available * GIB, &others);
            assert_eq!(decided, done, "{need:?}, {max:?}, {available}, {others:?}");
        }
    }
}
