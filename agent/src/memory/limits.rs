//! How much memory Blenders may have, and how much of it is still to be had: sums over values.

use super::Share;

const GIB: u64 = 1 << 30;

/// The bounds of all Blenders of an agent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What they may have, if somebody has said so.
    pub max_bytes: Option<u64>,
    /// What is left to other programs.
    pub reserve_bytes: u64,
    /// What the machine has in all.
    pub machine_bytes: u64,
}

impl Limits {
    /// The bounds on a machine with `machine_bytes`, as they were set or as they are usual: the reserve is a GiB or, on large
    /// machines, a twentieth of the memory, and on small ones a quarter.
    #[must_use]
    pub fn on_machine(machine_bytes: u64, max_bytes: Option<u64>, reserve_bytes: Option<u64>) -> Self {
        let usual_bytes = GIB.max(machine_bytes / 20).min(machine_bytes / 4);
        Self { max_bytes, reserve_bytes: reserve_bytes.unwrap_or(usual_bytes), machine_bytes }
    }

    /// The most that a Blender could ever get, with nothing else on the machine.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        self.room_bytes(self.machine_bytes, &[])
    }

    /// The memory that one Blender more could get beside those `others`, of which each may still grow to what is expected of it,
    /// while `available_bytes` are free.
    #[must_use]
    pub fn room_bytes(&self, available_bytes: u64, others: &[Share]) -> u64 {
        let growth_bytes: u64 =
            others.iter().map(|share| share.expected_bytes.saturating_sub(share.resident_bytes)).sum();
        let beside_bytes = available_bytes.saturating_sub(self.reserve_bytes).saturating_sub(growth_bytes);
        let promised_bytes: u64 = others.iter().map(|share| share.expected_bytes.max(share.resident_bytes)).sum();
        self.max_bytes.map_or(beside_bytes, |max_bytes| beside_bytes.min(max_bytes.saturating_sub(promised_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Work;

    #[test]
    fn the_reserve_suits_the_machine() {
        let gib = |bytes: u64| Some(bytes * GIB);
        #[rustfmt::skip]
        let cases = [
            // machine, set -> reserve
            (2 * GIB, None, GIB / 2),
            (8 * GIB, None, GIB),
            (16 * GIB, None, GIB),
            (100 * GIB, None, 5 * GIB),
            (16 * GIB, gib(0), 0),
            (16 * GIB, gib(6), 6 * GIB),
        ];
        for (machine, set, reserve) in cases {
            let limits = Limits::on_machine(machine, None, set);
            assert_eq!(limits.reserve_bytes, reserve, "{machine} bytes, {set:?}");
        }
    }

    #[test]
    fn room_is_what_others_neither_have_nor_were_promised() {
        let has = |resident: u64, expected: u64| Share {
            resident_bytes: resident * GIB,
            expected_bytes: expected * GIB,
            work: Work::Idle,
        };
        #[rustfmt::skip]
        let cases = [
            // max, reserve, available, others -> room
            (None, 1, 16, vec![], 15),
            (None, 1, 0, vec![], 0),
            // One has what it needs, another is still loading.
            (None, 1, 16, vec![has(4, 4)], 15),
            (None, 1, 16, vec![has(1, 4)], 12),
            (None, 1, 16, vec![has(1, 4), has(0, 20)], 0),
            // What has more than was expected has it already.
            (None, 1, 16, vec![has(9, 4)], 15),
            (Some(8), 1, 16, vec![], 8),
            (Some(8), 1, 16, vec![has(1, 4)], 4),
            (Some(8), 1, 16, vec![has(6, 4)], 2),
            (Some(8), 1, 4, vec![has(1, 1)], 3),
        ];
        for (max, reserve, available, others, room) in cases {
            let limits = Limits {
                max_bytes: max.map(|max: u64| max * GIB),
                reserve_bytes: reserve * GIB,
                machine_bytes: u64::MAX,
            };
            assert_eq!(limits.room_bytes(available * GIB, &others), room * GIB, "{limits:?}, {available}, {others:?}");
        }
    }
}
