//! Turns: what changes both a row and a file (recording a frame, publishing or deleting a blob) is done by one at a time for
//! each frame, each name that people see, and each blob, so that the two agree.

use std::collections::BTreeSet;
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
        Arc::clone(&self.0[place(key)]).lock_owned().await
    }

    /// All of these turns together.
    pub(super) async fn take_all<K: Hash>(&self, keys: impl IntoIterator<Item = K>) -> Vec<OwnedMutexGuard<()>> {
        // Everybody takes them in one order, and each once: nobody waits for somebody who waits for them, or for oneself.
        let places: BTreeSet<usize> = keys.into_iter().map(place).collect();
        let mut turns = Vec::with_capacity(places.len());
        for place in places {
            turns.push(Arc::clone(&self.0[place]).lock_owned().await);
        }
        turns
    }
}

fn place(key: impl Hash) -> usize {
    // Not a `RandomState`: the same key waits at the same place in every run.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
    let place = hasher.finish() as usize % AT_ONCE;
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_of_several_turns_are_taken_together_and_none_twice() {
        let turns = Turns::default();
        // More keys than places, so that some share one.
        let all = turns.take_all(0..1000).await;
        assert!(all.len() <= AT_ONCE, "{}", all.len());
        let mut one = std::pin::pin!(turns.take(7));
        assert!(futures_util::poll!(&mut one).is_pending());
        drop(all);
        let one = one.await;
        let mut two = std::pin::pin!(turns.take_all([7, 7]));
        assert!(futures_util::poll!(&mut two).is_pending());
        drop(one);
        assert_eq!(two.await.len(), 1);
    }
}
