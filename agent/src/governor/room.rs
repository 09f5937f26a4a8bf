//! How many sessions fit into memory, if each takes what the scene needs. Whether each may be opened is for `memory` to say; here
//! it is about how many are worth opening.

use super::limits::{Limits, Reading};

/// How many sessions may live with a scene open that needs so much. One always may: what is to be done with one that does not fit,
/// others say.
pub(super) fn slots_that_fit(limits: &Limits, reading: &Reading, need_bytes: u64) -> u32 {
    let free_bytes = reading.memory_available_bytes.saturating_add(reading.own_bytes);
    let beside_bytes = free_bytes.saturating_sub(limits.memory.reserve_bytes);
    let budget_bytes = beside_bytes.min(limits.memory.max_bytes.unwrap_or(u64::MAX));
    u32::try_from(budget_bytes / need_bytes.max(1)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::limits::Limits as MemoryLimits;

    const GIB: u64 = 1 << 30;

    #[test]
    fn sessions_fit_beside_the_reserve_and_under_the_bound() {
        #[rustfmt::skip]
        let cases = [
            // available, own, at most, reserve; need -> slots
            (16, 0, None,    1, 1,  15),
            (12, 4, None,    1, 1,  15),
            (16, 0, Some(4), 1, 1,  4),
            (16, 0, None,    8, 3,  2),
            (1,  1, None,    4, 1,  1),
            (16, 0, None,    1, 99, 1),
            (16, 0, None,    1, 0,  u32::MAX),
        ];
        for (available, own, max, reserve, need, slots) in cases {
            let memory = MemoryLimits {
                max_bytes: max.map(|max: u64| max * GIB),
                reserve_bytes: reserve * GIB,
                machine_bytes: u64::MAX,
            };
            let limits = Limits { memory, ..Limits::of_machine(8) };
            let reading = Reading { foreign_cores: 0.0, memory_available_bytes: available * GIB, own_bytes: own * GIB };
            assert_eq!(slots_that_fit(&limits, &reading, need * GIB), slots, "{available} {own} {need}");
        }
    }
}
