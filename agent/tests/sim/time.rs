//! Virtual time, in milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use haywain_agent::clock::BootClock;
use haywain_orchestrator::clock::{Clock, UnixMs};
use tokio::time::Instant;

/// The moment that the simulated wall's clocks begin with: 2027-01-15T08:00:00Z.
const WALL_START_MS: UnixMs = 1_800_000_000_000;

/// The run's time.
pub(crate) struct Calendar {
    origin: Instant,
}

impl Calendar {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Milliseconds since the run began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for so long, and for a moment at least.
    pub(crate) async fn pass(&self, ms: u64) {
        tokio::time::sleep_until(self.origin + Duration::from_millis(self.now_ms() + ms.max(1))).await;
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
