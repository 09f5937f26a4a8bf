//! Sizes, times and ids as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// As many characters of an id as tell it from others of the same days.
const SHORT: usize = 8;

/// A size: `1.5 GB`, by thousands.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    if size < 9.95 { format!("{size:.1} {}", units[unit]) } else { format!("{size:.0} {}", units[unit]) }
}

/// A length of time: `42s`, `3m 20s`, `2h 5m`, `3d 4h`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A speed of rendering, in the unit that has a number before its point.
#[must_use]
pub fn speed(per_second: f64) -> String {
    match per_second {
        0.95.. => format!("{per_second:.1} frames/s"),
        0.016.. => format!("{:.1} frames/min", per_second * 60.0),
        _ => format!("{:.1} frames/h", per_second * 3600.0),
    }
}

/// How long ago something was.
#[must_use]
pub fn ago(then: Timestamp, now_ns: u64) -> String {
    let then_ns = u64::try_from(then.as_nanosecond()).unwrap_or(0);
    format!("{} ago", duration(Duration::from_nanos(now_ns.saturating_sub(then_ns))))
}

/// The end of an id, which is where ids of one day differ.
#[must_use]
pub fn short(id: &impl ToString) -> String {
    let id = id.to_string();
    id[id.len().saturating_sub(SHORT)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (999_600, "1.0 MB"),
            (45_000_000_000, "45 GB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (seconds, text) in [(0, "0s"), (59, "59s"), (200, "3m 20s"), (7500, "2h 5m"), (273_600, "3d 4h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        for (per_second, text) in [(12.34, "12.3 frames/s"), (0.5, "30.0 frames/min"), (0.002, "7.2 frames/h")] {
            assert_eq!(speed(per_second), text);
        }
    }
}
