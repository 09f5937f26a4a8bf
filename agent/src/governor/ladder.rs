//! The settings that are worth trying on so many processors, and which of them are near one another. One slot more while they
//! are few, half as many more when they are many: between two rungs little is lost, and each try takes time.

use super::limits::{Limits, Overbooking};
use super::setting::{Setting, WantedSlots};

/// Processors that one Blender can be expected to make use of by itself.
const CORES_PER_SLOT: u32 = 8;

/// The settings for so many processors and slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ladder {
    cores: u32,
    /// What memory has room for.
    most_slots: u32,
    /// The slots that GPUs are dealt out to: without them, some would lie idle.
    gpus: u32,
    wanted: Option<WantedSlots>,
    overbooking: Overbooking,
}

impl Ladder {
    /// For `cores` processors and no more than `most_slots` slots, unless the owner wants a number.
    pub(super) fn new(limits: &Limits, cores: u32, most_slots: u32) -> Self {
        Self {
            cores: cores.max(1),
            most_slots: most_slots.max(1),
            gpus: limits.gpus,
            wanted: limits.slots,
            overbooking: limits.overbooking,
        }
    }

    /// Where to begin: few slots with many threads each share nothing, and what they load they load once.
    pub(super) fn start(&self) -> Setting {
        self.with_slots(self.cores / CORES_PER_SLOT)
    }

    /// So many slots, or as near to that as may be, which share the processors between them.
    pub(super) fn with_slots(&self, slots: u32) -> Setting {
        let slots = match self.wanted {
            Some(WantedSlots { slots, .. }) => slots,
            None => slots.clamp(self.least(), self.top()),
        };
        Setting { slots, threads: self.threads_of(slots) }
    }

    /// The threads of each frame, if so many are rendered at once.
    pub(super) fn threads_of(&self, frames: u32) -> u32 {
        self.wanted.and_then(|wanted| wanted.threads).unwrap_or_else(|| self.split(frames.max(1)))
    }

    /// What to try from `base`, the most promising first.
    pub(super) fn neighbours(&self, base: Setting) -> Vec<Setting> {
        let more = self.rungs().into_iter().find(|slots| *slots > base.slots);
        let fewer = self.rungs().into_iter().rev().find(|slots| *slots < base.slots);
        let rungs = [more, Some(base.slots), fewer].into_iter().flatten();
        rungs.flat_map(|slots| self.at(slots)).filter(|setting| *setting != base).collect()
    }

    /// Numbers of slots, in order.
    fn rungs(&self) -> Vec<u32> {
        if let Some(WantedSlots { slots, .. }) = self.wanted {
            return vec![slots];
        }
        let next = |slots: &u32| Some(slots + (slots / 2).max(1)).filter(|slots| *slots < self.cores);
        let mut rungs: Vec<_> = std::iter::successors(Some(1), next).collect();
        // One for each processor is what scenes want that do not scale; more, those that wait for something else.
        let beyond = [self.cores + (self.cores / 4).max(1), self.cores * 2].into_iter();
        rungs.extend([self.cores].into_iter().chain(beyond.filter(|_| self.overbooking == Overbooking::Mild)));
        rungs.retain(|slots| (self.least()..self.most_slots).contains(slots));
        rungs.push(self.least());
        rungs.extend([self.most_slots].into_iter().filter(|most| *most <= self.top()));
        rungs.sort_unstable();
        rungs.dedup();
        rungs
    }

    fn least(&self) -> u32 {
        self.gpus.clamp(1, self.most_slots)
    }

    fn top(&self) -> u32 {
        let cores = match self.overbooking {
            Overbooking::Mild => self.cores * 2,
            Overbooking::Never => self.cores,
        };
        cores.max(self.gpus).min(self.most_slots)
    }

    /// The settings with so many slots.
    fn at(&self, slots: u32) -> Vec<Setting> {
        if let Some(WantedSlots { threads: Some(threads), .. }) = self.wanted {
            return vec![Setting { slots, threads }];
        }
        let split = self.split(slots);
        let twice = (2 * split).min(self.cores);
        let loose = (self.overbooking == Overbooking::Mild && slots > 1 && twice > split).then_some(twice);
        [Some(split), loose].into_iter().flatten().map(|threads| Setting { slots, threads }).collect()
    }

    fn split(&self, slots: u32) -> u32 {
        match self.overbooking {
            Overbooking::Mild => self.cores.div_ceil(slots),
            Overbooking::Never => (self.cores / slots).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(cores: u32, most_slots: u32, slots: Option<&str>, overbooking: Overbooking) -> Ladder {
        with_gpus(0, cores, most_slots, slots, overbooking)
    }

    fn with_gpus(gpus: u32, cores: u32, most_slots: u32, slots: Option<&str>, overbooking: Overbooking) -> Ladder {
        let slots = slots.map(|slots| slots.parse().unwrap());
        let limits = Limits { slots, gpus, overbooking, ..Limits::of_machine(cores) };
        Ladder::new(&limits, cores, most_slots)
    }

    #[test]
    fn settings_are_tried_from_those_beside_them() {
        use Overbooking::{Mild, Never};
        #[rustfmt::skip]
        let cases = [
            // cores, most slots, wanted, overbooking; where it begins, from where -> what to try
            (2,  99, None,        Mild,  "1x2", "1x2",  "2x1 2x2"),
            (2,  99, None,        Mild,  "1x2", "2x1",  "3x1 3x2 2x2 1x2"),
            (2,  99, None,        Mild,  "1x2", "3x1",  "4x1 4x2 3x2 2x1 2x2"),
            (2,  1,  None,        Mild,  "1x2", "1x2",  ""),
            (2,  2,  None,        Mild,  "1x2", "2x1",  "2x2 1x2"),
            (1,  99, None,        Mild,  "1x1", "1x1",  "2x1"),
            (16, 99, None,        Mild,  "2x8", "2x8",  "3x6 3x12 2x16 1x16"),
            (16, 99, None,        Mild,  "2x8", "13x2", "16x1 16x2 13x4 9x2 9x4"),
            (16, 99, None,        Mild,  "2x8", "20x1", "32x1 32x2 20x2 16x1 16x2"),
            (64, 99, None,        Mild,  "8x8", "1x64", "2x32 2x64"),
            (64, 5,  None,        Mild,  "5x13", "4x16", "5x13 5x26 4x32 3x22 3x44"),
            // A bound on processors is one on threads.
            (4,  99, None,        Never, "1x4", "1x4",  "2x2"),
            (4,  99, None,        Never, "1x4", "4x1",  "3x1"),
            // The owner's number stays, whatever memory says; threads only where he has left them open.
            (8,  1,  Some("4"),   Mild,  "4x2", "4x2",  "4x4"),
            (2,  99, Some("4"),   Mild,  "4x1", "4x1",  "4x2"),
            (8,  99, Some("4x3"), Mild,  "4x3", "4x3",  ""),
        ];
        for (cores, most_slots, wanted, overbooking, start, from, expected) in cases {
            let ladder = ladder(cores, most_slots, wanted, overbooking);
            let base: WantedSlots = from.parse().unwrap();
            let base = Setting { slots: base.slots, threads: base.threads.unwrap() };
            let neighbours: Vec<_> = ladder.neighbours(base).iter().map(ToString::to_string).collect();
            assert_eq!(neighbours.join(" "), expected, "{cores} cores, {wanted:?}, from {from}");
            assert_eq!(ladder.start().to_string(), start, "{cores} cores, {wanted:?}");
        }
    }
    #[test]
    fn each_gpu_has_a_slot_unless_memory_or_the_owner_says_no() {
        #[rustfmt::skip]
        let cases = [
            // GPUs, cores, most slots, wanted; where it begins, what it tries from there
            (1, 2,  99, None,      "1x2", "2x1 2x2"),
            (2, 2,  99, None,      "2x1", "3x1 3x2 2x2"),
            (8, 2,  99, None,      "8x1", "8x2"),
            (4, 64, 99, None,      "8x8", "9x8 9x16 8x16 6x11 6x22"),
            (4, 16, 99, None,      "4x4", "6x3 6x6 4x8"),
            (4, 16, 2,  None,      "2x8", "2x16"),
            (4, 16, 99, Some("2"), "2x8", "2x16"),
        ];
        for (gpus, cores, most_slots, wanted, start, expected) in cases {
            let ladder = with_gpus(gpus, cores, most_slots, wanted, Overbooking::Mild);
            assert_eq!(ladder.start().to_string(), start, "{gpus} GPUs, {cores} cores");
            let neighbours: Vec<_> = ladder.neighbours(ladder.start()).iter().map(ToString::to_string).collect();
            assert_eq!(neighbours.join(" "), expected, "{gpus} GPUs, {cores} cores");
        }
    }
}
