//! The agent's clock for leases: time since the machine's boot, counted on through a suspension. A laptop that wakes up
//! knows by it that its leases have run out; setting the wall's clock changes nothing.

use std::time::Duration;

/// Where boot time comes from.
pub trait BootClock: Send + Sync + 'static {
    /// Time since some moment before the agent's start, suspension included.
    fn now(&self) -> Duration;
}

/// The system's: `CLOCK_BOOTTIME` on Linux, and its like elsewhere.
#[derive(Debug)]
pub struct SystemBootClock {
    started: boot_time::Instant,
}

impl SystemBootClock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self { started: boot_time::Instant::now() }
    }
}

impl BootClock for SystemBootClock {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
