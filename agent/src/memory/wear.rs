//! When a session that works well is to be replaced all the same: it has served for long, or its memory creeps up.

/// Frames after which a session is replaced: whatever grows in it that nobody sees is gone then. Light scenes do so many in a few
/// minutes, of which the new start takes a few seconds.
const MOST_FRAMES: u32 = 5_000;
/// Frames of a scene after which a session has all that it keeps between frames.
const SETTLED_FRAMES: u32 = 3;
/// What counts as creeping: this much more than it had then, and at the same time half of that more.
const CREEP_BYTES: u64 = 512 << 20;
/// The part of what it had, of which it is to be more: one in this many.
const CREEP_PART: u64 = 2;

/// How a session has been used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wear {
    /// Frames of all scenes.
    frames: u32,
    /// Frames of the scene that is open.
    of_scene: u32,
    /// The memory between frames, once it had settled.
    settled_bytes: u64,
}

/// Why a session is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worn {
    /// It has rendered this many frames.
    Frames(u32),
    /// It keeps more and more.
    Creep {
        /// What it had after the first frames.
        settled_bytes: u64,
        /// What it has now.
        resident_bytes: u64,
    },
}

impl Wear {
    /// Another scene is open.
    pub const fn scene_opened(&mut self) {
        self.of_scene = 0;
        self.settled_bytes = 0;
    }

    /// A frame is done, and the session has `resident_bytes`. Says why it is to be replaced, if it is.
    pub fn frame_done(&mut self, resident_bytes: u64) -> Option<Worn> {
        self.frames += 1;
        self.of_scene += 1;
        if self.frames >= MOST_FRAMES {
            return Some(Worn::Frames(self.frames));
        }
        if self.of_scene <= SETTLED_FRAMES {
            self.settled_bytes = self.settled_bytes.max(resident_bytes);
            return None;
        }
        let settled_bytes = self.settled_bytes;
        let bound_bytes = settled_bytes + CREEP_BYTES.max(settled_bytes / CREEP_PART);
        (resident_bytes > bound_bytes).then_some(Worn::Creep { settled_bytes, resident_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_session_is_worn_by_what_it_keeps() {
        #[rustfmt::skip]
        let cases: [(&[u64], Option<u64>); 8] = [
            // MiB after each frame -> at how many it is replaced
            (&[300, 300, 300, 300, 300], None),
            // The first frames fill what is kept on purpose.
            (&[300, 2000, 4000, 4000, 4100], None),
            (&[300, 300, 300, 812], None),
            (&[300, 300, 300, 813], Some(813)),
            (&[300, 300, 300, 500, 700, 900], Some(900)),
            // Of a large scene it takes more to be much.
            (&[8000, 8000, 8000, 9000, 11999], None),
            (&[8000, 8000, 8000, 9000, 12001], Some(12001)),
            // A frame that gives it back does no harm.
            (&[300, 700, 300, 1200, 300], None),
        ];
        for (after, replaced) in cases {
            let mut wear = Wear::default();
            let worn = after.iter().find_map(|mib| wear.frame_done(mib * MIB).map(|_| *mib));
            assert_eq!(worn, replaced, "{after:?}");
        }
    }

    #[test]
    fn another_scene_is_measured_anew_and_frames_are_counted_on() {
        let mut wear = Wear::default();
        for number in 1..MOST_FRAMES {
            if number % 4 == 0 {
                wear.scene_opened();
            }
            assert_eq!(wear.frame_done(u64::from(number) * 1000 * MIB), None, "{number}");
        }
        assert_eq!(wear.frame_done(0), Some(Worn::Frames(MOST_FRAMES)));
    }
}
