//! Turns: what is being done for one key is done once, and whoever wants it too waits for its turn.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The turns that are being taken or waited for.
pub(super) struct Turns<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

/// A turn: it ends with this value.
pub(super) struct Turn<'a, K: Hash + Eq + Copy> {
    turns: &'a Turns<K>,
    key: K,
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq + Copy> Turns<K> {
    /// Waits for a turn.
    pub(super) async fn wait(&self, key: K) -> Turn<'_, K> {
        // Dropped while it waits, it tidies up as well.
        let mut turn = Turn { turns: self, key, held: None };
        let lock = Arc::clone(self.taken().entry(key).or_default());
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Copy> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken();
        self.held = None;
        // Others get at it only through the table, which is locked.
        if taken.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            taken.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_key_and_nothing_stays() {
        let turns = Turns::default();
        let first = turns.wait(1).await;
        let other = turns.wait(2).await;
        let second = turns.wait(1);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        drop((second, other));
        assert!(turns.taken().is_empty());
    }
}
