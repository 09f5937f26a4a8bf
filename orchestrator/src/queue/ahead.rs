//! Whether a slot that is in the last frame of its batch gets the next one ahead, so that it opens another scene meanwhile. What is
//! pending now nobody idle can take: whoever is, waits in a poll and would have it. But somebody may become free sooner than the slot
//! that asks. So it gets one frame, and only while there is one for every slot.

use haywain_shared::options::FrameOrder;

/// The frames that are granted ahead: each is with a slot that cannot begin it yet.
pub const FRAMES_AHEAD: u64 = 1;

/// What it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// What there is to open for the job whose turn it is.
    pub opening: Opening,
    /// In which order its frames are rendered.
    pub order: FrameOrder,
    /// Frames that wait for an agent, of the jobs that are next.
    pub pending: u64,
    /// Slots that could take them, that of the agent that asks included.
    pub slots: u64,
}

/// What there is to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The scene that is being rendered: nothing.
    SameScene,
    /// Another one.
    OtherScene,
}

/// Whether to grant it.
#[must_use]
pub fn is_granted(Ahead { opening, order, pending, slots }: Ahead) -> bool {
    match (opening, order) {
        // Nothing to open, or a job that would be with this slot as a whole.
        (Opening::SameScene, _) | (Opening::OtherScene, FrameOrder::Sequential) => false,
        (Opening::OtherScene, FrameOrder::Any) => pending >= slots.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_granted_ahead_where_there_is_one_for_every_slot() {
        use FrameOrder::{Any, Sequential};
        use Opening::{OtherScene, SameScene};
        let cases = [
            (OtherScene, Any, 1, 1, true),
            (OtherScene, Any, 0, 1, false),
            (OtherScene, Any, 4, 4, true),
            (OtherScene, Any, 3, 4, false),
            (OtherScene, Any, 1_000_000, 4, true),
            // Nobody is known to be there: the one who asks is.
            (OtherScene, Any, 0, 0, false),
            (OtherScene, Any, 1, 0, true),
            (SameScene, Any, 1_000_000, 1, false),
            (OtherScene, Sequential, 1_000_000, 1, false),
        ];
        for (opening, order, pending, slots, granted) in cases {
            let ahead = Ahead { opening, order, pending, slots };
            assert_eq!(is_granted(ahead), granted, "{ahead:?}");
        }
    }
}
