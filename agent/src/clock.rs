//! The agent's clock for leases: time since the machine's boot, counted on through a suspension. A laptop that wakes up
//! knows by it that its leases have run out; setting the wall's clock changes nothing.

use std::time::Duration;

use jiff::Timestamp;

/// Where boot time comes from.
pub trait BootClock: Send + Sync + 'static {
    /// Time since some moment before the agent's start, suspension included.
    fn now(&self) -> Duration;
}

/// The system's: `CLOCK_BOOTTIME` on Linux, and its like elsewhere.
#[derive(Debug)]
pub struct SystemBootClock {
    started: boot_time::Instant,
    began: Timestamp,
}

impl SystemBootClock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self { started: boot_time::Instant::now(), began: wall() }
    }

    /// The wall's time when the counting started.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }
}

/// The wall's time, for what people read.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is to ask")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

impl BootClock for SystemBootClock {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
