//! Moments by the wall's clock, as logs tell them: what happened in one process is compared with what happened in another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

const MICROS: u64 = 1_000_000;

impl Moment {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the processes under test read the same clock, and nothing is decided by it"
    )]
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// A moment as a log line tells it: `2026-11-24T05:44:31.123456Z`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = numbers(date, '-')?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = numbers(time, ':')?;
        let micros: u64 = format!("{fraction:0<6.6}").parse().ok()?;
        let seconds = ((days_since_1970(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self(seconds * MICROS + micros))
    }

    /// How long after `earlier` it is; nothing if it is before.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The time of day, for people who look into logs.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, millis) = (self.0 / MICROS, self.0 % MICROS / 1000);
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let parsed: Vec<u64> = text.split(between).map(str::parse).collect::<Result<_, _>>().ok()?;
    parsed.try_into().ok()
}

/// Days in the Gregorian calendar, from a year that begins in March, so that the leap day is its last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_logs_write_them() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500_000),
            ("2026-11-24T05:44:31.123456Z", 1_795_499_071_123_456),
            ("2026-11-24T05:44:31.123456789Z", 1_795_499_071_123_456),
        ];
        for (text, micros) in cases {
            assert_eq!(Moment::parse(text), Some(Moment(micros)), "{text}");
        }
        for text in ["", "now", "2026-11-24", "2026-11-24T05:44Z", "2026-11-24T05:44:31"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
        assert_eq!(Moment(1_795_499_071_123_456).to_string(), "05:44:31.123");
    }
}
