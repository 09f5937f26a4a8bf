//! How many sessions fit into memory. A scene is taken for as large as the largest session that has rendered it, and a bit
//! more; as long as there was none, for as large as its files can make it.

use super::limits::{Limits, Reading};

/// What an empty Blender and a scene's own data come to, at least (measured: 230 to 410 MB).
const SESSION_BYTES: u64 = 1024 * 1024 * 1024;
/// How much larger a scene is in memory than on disk, where files are compressed.
const FILES_FACTOR: u64 = 4;
/// What a session is expected to need while not even the scene's files are known.
const UNKNOWN_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// How large a scene is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// The most that a session with it has had.
    Peak(u64),
    /// Its files, on disk.
    Files(u64),
    /// Nobody knows yet.
    Unknown,
}

impl Size {
    /// The memory that a session with it is to have.
    fn need_bytes(self) -> u64 {
        match self {
            // Frames differ, and the peak of the next one may be higher.
            Self::Peak(bytes) => (bytes + bytes / 10).max(1),
            Self::Files(bytes) => bytes.saturating_mul(FILES_FACTOR).saturating_add(SESSION_BYTES),
            Self::Unknown => UNKNOWN_BYTES,
        }
    }
}

/// How many sessions may live with a scene open. One always may: what it really needs, it will show.
pub(super) fn slots_that_fit(limits: &Limits, reading: &Reading, size: Size) -> u32 {
    let free_bytes = reading.memory_available_bytes.saturating_add(reading.own_bytes);
    let budget_bytes = free_bytes.saturating_sub(limits.reserve_bytes).min(limits.max_memory_bytes);
    u32::try_from(budget_bytes / size.need_bytes()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::limits::Overbooking;

    const GIB: u64 = 1 << 30;

    #[test]
    fn sessions_fit_beside_the_reserve_and_under_the_bound() {
        #[rustfmt::skip]
        let cases = [
            // available, own, at most, reserve; size -> slots
            (16 * GIB, 0,        u64::MAX, GIB,     Size::Peak(GIB),         13),
            (12 * GIB, 4 * GIB,  u64::MAX, GIB,     Size::Peak(GIB),         13),
            (16 * GIB, 0,        4 * GIB,  GIB,     Size::Peak(GIB),         3),
            (16 * GIB, 0,        u64::MAX, 8 * GIB, Size::Peak(GIB),         7),
            (GIB,      GIB,      u64::MAX, 4 * GIB, Size::Peak(GIB),         1),
            (GIB / 2,  0,        u64::MAX, GIB,     Size::Peak(GIB),         1),
            (16 * GIB, 0,        u64::MAX, GIB,     Size::Files(0),          15),
            (16 * GIB, 0,        u64::MAX, GIB,     Size::Files(GIB),        3),
            (16 * GIB, 0,        u64::MAX, GIB,     Size::Files(u64::MAX),   1),
            (16 * GIB, 0,        u64::MAX, GIB,     Size::Unknown,           3),
        ];
        for (available, own, max_memory_bytes, reserve_bytes, size, slots) in cases {
            let limits = Limits {
                slots: None,
                machine_cores: 8,
                cores: 8,
                overbooking: Overbooking::Mild,
                max_memory_bytes,
                reserve_bytes,
                stands_back_above: None,
            };
            let reading = Reading { foreign_cores: 0.0, memory_available_bytes: available, own_bytes: own };
            assert_eq!(slots_that_fit(&limits, &reading, size), slots, "{available} {own} {size:?}");
        }
    }
}
