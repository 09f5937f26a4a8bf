//! Ratios of pairs, and how sure their median is.

/// Ratios, sorted; at least one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ratios(Vec<f64>);

/// How seldom the true median lies outside of the interval, to either side.
const TAIL: f64 = 0.025;

impl Ratios {
    /// None if nothing was measured.
    pub(super) fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_by(f64::total_cmp);
        (!ratios.is_empty()).then_some(Self(ratios))
    }

    pub(super) fn median(&self) -> f64 {
        let Self(sorted) = self;
        f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
    }

    /// The interval that holds the true median with 95 %, whatever the distribution: between two of the ratios, chosen by how
    /// probably so few fall to one side of the median. With fewer than six, it is all that was seen, and less sure.
    pub(super) fn interval(&self) -> (f64, f64) {
        let Self(sorted) = self;
        let outside = ranks_outside(sorted.len());
        (sorted[outside], sorted[sorted.len() - 1 - outside])
    }
}

/// How many of so many ratios may be left out at either end.
fn ranks_outside(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for below in 0..count / 2 {
        tail += probability;
        if tail > TAIL {
            return below.saturating_sub(1);
        }
        #[expect(clippy::cast_precision_loss, reason = "pairs are few")]
        let next = (count - below) as f64 / (below + 1) as f64;
        probability *= next;
    }
    (count / 2).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_one_of_the_tables() {
        // What tables of the sign test give for 95 %: how many are left out at either end.
        for (count, outside) in [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (15, 3), (20, 5), (30, 9)] {
            assert_eq!(ranks_outside(count), outside, "{count}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let ratios = |ratios: &[f64]| Ratios::of(ratios.to_vec()).unwrap();
        assert!((ratios(&[3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-12);
        assert!((ratios(&[4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-12);
        let nine: Vec<_> = (1..=9).map(f64::from).collect();
        assert_eq!(ratios(&nine).interval(), (2.0, 8.0));
        assert_eq!(Ratios::of(Vec::new()), None);
    }
}
