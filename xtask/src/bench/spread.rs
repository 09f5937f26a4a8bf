//! How measured times are spread.

use std::time::Duration;

/// Measured times, sorted; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spread(Vec<Duration>);

impl Spread {
    /// None if nothing was measured.
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort();
        (!times.is_empty()).then_some(Self(times))
    }

    /// The time that `percent` of the measured ones do not exceed (nearest rank): 0 is the shortest, 100 the longest.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    /// How many of the times are shorter than `limit`, in percent.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people, with one decimal")]
    pub(super) fn percent_under(&self, limit: Duration) -> f64 {
        let under = self.0.partition_point(|&time| time < limit);
        under as f64 * 100.0 / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(times: impl IntoIterator<Item = u64>) -> Spread {
        Spread::of(times.into_iter().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let hundred = ms((1..=100).rev());
        for (percent, expected) in [(0, 1), (1, 1), (50, 50), (99, 99), (100, 100), (200, 100)] {
            assert_eq!(hundred.percentile(percent), Duration::from_millis(expected), "{percent}");
        }
        assert_eq!(ms([7]).percentile(50), Duration::from_millis(7));
        assert_eq!(ms([1, 2, 3]).percentile(50), Duration::from_millis(2));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn the_share_counts_what_is_really_under_the_limit() {
        let times = ms([10, 49, 50, 51]);
        assert!((times.percent_under(Duration::from_millis(50)) - 50.0).abs() < f64::EPSILON);
    }
}
