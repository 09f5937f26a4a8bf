//! The one place that reads the time, behind a trait so that tests can hold it. Two clocks: the wall's, for what people
//! read, and a steady one, for what must not jump when the wall's is set.

use std::time::{Duration, Instant};

/// Milliseconds since the Unix epoch.
pub type UnixMs = i64;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall's clock. It may jump.
    fn unix_ms(&self) -> UnixMs;

    /// Time since some fixed moment. It never jumps and never goes back.
    fn steady(&self) -> Duration;
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the steady clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is to ask")]
    fn unix_ms(&self) -> UnixMs {
        jiff::Timestamp::now().as_millisecond()
    }

    fn steady(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct HeldClock(std::sync::Mutex<Duration>);

#[cfg(test)]
impl HeldClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

#[cfg(test)]
impl Clock for HeldClock {
    fn unix_ms(&self) -> UnixMs {
        1_800_000_000_000 + UnixMs::try_from(self.steady().as_millis()).unwrap()
    }

    fn steady(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}
