//! What the store keeps in memory alone, shared by its writer and its readers.

use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::presence::Presence;
use crate::store::terms::Terms;

/// What is not on disk: leases' terms, agents' presence, and the bell for those who wait for work.
pub(super) struct Memory {
    pub(super) terms: Mutex<Terms>,
    pub(super) presence: Mutex<Presence>,
    pub(super) work: watch::Sender<()>,
    pub(super) events: watch::Sender<()>,
    /// When the wall's clock was last looked at for frames and agents whose time has come.
    pub(super) last_look_ms: AtomicI64,
}

impl Memory {
    /// Of a store that is opened now, with the leases that live.
    pub(super) fn new(terms: Terms, now_ms: i64) -> Self {
        Self {
            terms: Mutex::new(terms),
            presence: Mutex::new(Presence::default()),
            work: watch::Sender::new(()),
            events: watch::Sender::new(()),
            last_look_ms: AtomicI64::new(now_ms),
        }
    }

    pub(super) fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
