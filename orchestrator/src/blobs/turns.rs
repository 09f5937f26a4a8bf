//! Turns: two uploads of one frame are recorded one after the other, so that what is shown of it is what is recorded.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many frames can be recorded at once, at most: a few of all frames share a turn, which costs little and bounds the
/// memory.
const AT_ONCE: usize = 64;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns([Arc<Mutex<()>>; AT_ONCE]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }
}

impl Turns {
    pub(super) async fn take(&self, frame: (JobId, FrameNumber)) -> OwnedMutexGuard<()> {
        // Without a key of its own: the same frame waits at the same place in every run.
        let mut hasher = DefaultHasher::new();
        frame.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
        let place = hasher.finish() as usize % AT_ONCE;
        Arc::clone(&self.0[place]).lock_owned().await
    }
}
