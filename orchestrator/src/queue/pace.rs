//! How fast a job goes and when it will be done: computed here and nowhere else.

use std::time::Duration;

/// Frames recorded within this time count as "lately".
pub const WINDOW: Duration = Duration::from_mins(5);

/// What the pace is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames recorded within [`WINDOW`], or since the job's first lease if that is shorter ago.
    pub recorded_lately: u64,
    /// The time in which they were recorded.
    pub lately: Duration,
    /// Frames still to come: pending and leased.
    pub to_come: u64,
}

/// Frames a second, lately; none is known before the first frame.
#[must_use]
pub fn frames_per_second(progress: Progress) -> Option<f64> {
    if progress.recorded_lately == 0 || progress.lately.is_zero() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
    Some(progress.recorded_lately as f64 / progress.lately.as_secs_f64())
}

/// The time until the last frame at the pace of late.
#[must_use]
pub fn time_left(progress: Progress) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "frames are far below 2^52")]
    let to_come = progress.to_come as f64;
    frames_per_second(progress).and_then(|pace| Duration::try_from_secs_f64(to_come / pace).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_what_was_recorded_lately() {
        #[rustfmt::skip]
        let cases = [
            // recorded lately, within seconds, to come -> frames a second, seconds left
            (0, 10, 5, None, None),
            (5, 0, 5, None, None),
            (5, 10, 0, Some(0.5), Some(0)),
            (5, 10, 20, Some(0.5), Some(40)),
        ];
        for (recorded_lately, seconds, to_come, pace, left) in cases {
            let progress = Progress { recorded_lately, lately: Duration::from_secs(seconds), to_come };
            assert_eq!(frames_per_second(progress), pace, "{progress:?}");
            assert_eq!(time_left(progress).map(|left| left.as_secs()), left, "{progress:?}");
        }
    }
}
