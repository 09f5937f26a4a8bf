//! Virtual time. Everything that the simulation does has a millisecond of its own, so that nothing runs beside the file
//! operations that tokio does on other threads while time stands still: they could end before or after it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haywain_agent::clock::BootClock;
use haywain_orchestrator::clock::{Clock, UnixMs};
use tokio::time::Instant;

/// The moment that the simulated wall's clocks begin with: 2027-01-15T08:00:00Z.
const WALL_START_MS: UnixMs = 1_800_000_000_000;

/// The run's time, and which of its moments are taken.
pub(crate) struct Calendar {
    origin: Instant,
    taken: Mutex<BTreeSet<u64>>,
}

impl Calendar {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), taken: Mutex::default() }
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a moment that something else will come at.
    pub(crate) fn expect_at(&self, at_ms: u64) {
        self.taken.lock().unwrap().insert(at_ms);
    }

    /// Takes the first free moment from `after_ms` from now on.
    fn take(&self, after_ms: u64) -> u64 {
        let now_ms = self.now_ms();
        let mut taken = self.taken.lock().unwrap();
        *taken = taken.split_off(&now_ms);
        let mut at_ms = now_ms + after_ms.max(1);
        while !taken.insert(at_ms) {
            at_ms += 1;
        }
        at_ms
    }

    /// Waits for so long, and perhaps a little longer.
    pub(crate) async fn pass(&self, ms: u64) {
        let at_ms = self.take(ms);
        tokio::time::sleep_until(self.origin + Duration::from_millis(at_ms)).await;
    }
}

impl BootClock for Calendar {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The clocks of one life of the orchestrator. They are read on the store's thread, where there is no virtual time, so that
/// they stand still between two ticks.
pub(crate) struct OrchestratorClock {
    calendar: Arc<Calendar>,
    started_ms: u64,
    now_ms: AtomicU64,
    /// How far the wall's clock is off.
    wall_offset_ms: Arc<AtomicI64>,
}

impl OrchestratorClock {
    pub(crate) fn start(calendar: Arc<Calendar>, wall_offset_ms: Arc<AtomicI64>) -> Self {
        let started_ms = calendar.now_ms();
        Self { calendar, started_ms, now_ms: AtomicU64::new(started_ms), wall_offset_ms }
    }

    /// Reads the virtual time.
    pub(crate) fn tick(&self) {
        self.now_ms.store(self.calendar.now_ms(), Ordering::SeqCst);
    }
}

impl Clock for OrchestratorClock {
    fn unix_ms(&self) -> UnixMs {
        let now_ms = self.now_ms.load(Ordering::SeqCst).cast_signed();
        WALL_START_MS + now_ms + self.wall_offset_ms.load(Ordering::SeqCst)
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst) - self.started_ms)
    }
}
