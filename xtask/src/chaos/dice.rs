//! Chance that can be repeated: splitmix64 (Steele, Lea and Flood, 2014). All that a run does by chance follows from its seed.

use std::ops::RangeInclusive;

/// A source of numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number out of `range`. Ranges here are far too small for the remainder's bias to matter.
    pub(super) const fn between(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let span = range.end().saturating_sub(*range.start()).saturating_add(1);
        *range.start() + self.roll() % span
    }

    /// One of the numbers from 0 up to, not including, `count`.
    pub(super) fn index(&mut self, count: usize) -> usize {
        let last = u64::try_from(count.saturating_sub(1)).unwrap_or(u64::MAX);
        usize::try_from(self.between(&(0..=last))).unwrap_or_default()
    }

    /// Puts things into any order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        let mut dice = Dice::new(1_234_567);
        let rolled = [dice.roll(), dice.roll(), dice.roll()];
        assert_eq!(rolled, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn what_it_gives_is_within_bounds_and_complete() {
        let mut dice = Dice::new(1);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[dice.index(5)] += 1;
            assert!((3..=4).contains(&dice.between(&(3..=4))));
        }
        assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
        let mut order = [1, 2, 3, 4, 5, 6, 7, 8];
        dice.shuffle(&mut order);
        assert_ne!(order, [1, 2, 3, 4, 5, 6, 7, 8]);
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
