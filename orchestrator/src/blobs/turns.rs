//! Turns: what changes both a row and a file (recording a frame, publishing or deleting a blob) is done by one at a time for
//! each frame and each blob, so that the two agree.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many turns there are at once, at most: a few of all keys share one, which costs little and bounds the memory.
const AT_ONCE: usize = 256;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns([Arc<Mutex<()>>; AT_ONCE]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }
}

impl Turns {
    pub(super) async fn take(&self, key: impl Hash) -> OwnedMutexGuard<()> {
        // Not a `RandomState`: the same key waits at the same place in every run.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
        let place = hasher.finish() as usize % AT_ONCE;
        Arc::clone(&self.0[place]).lock_owned().await
    }
}
