//! A comparison of two settings: the one that is in use, the other, and the first again, so that frames which grow dearer or
//! cheaper meanwhile favour neither. As long as chance could have made the difference, another round follows.

use super::setting::Setting;
use super::window::Rate;

/// A setting that is not faster by this much is not worth a change.
const MARGIN: f64 = 0.03;
/// A difference is believed when it is so many times as large as chance makes one.
const CERTAIN: f64 = 2.0;
/// After so many rounds without a clear difference there is none that matters.
const ROUNDS: usize = 3;
/// Slower than this, and there is nothing to compare any more.
const HOPELESS: f64 = 0.75;

/// What comes of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The challenger is faster.
    Faster,
    /// It is not, or not by enough.
    NotFaster,
    /// Another round.
    Unclear,
}

/// Which of the two is in use.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leg {
    /// The challenger.
    Challenger,
    /// The other again, after the challenger came to this.
    Again(Rate),
}

/// A comparison under way.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) challenger: Setting,
    /// The rate before.
    before: Rate,
    leg: Leg,
    /// The gain of each round, and how certain it is: its variance.
    rounds: Vec<(f64, f64)>,
}

impl Trial {
    /// The challenger's turn, after the setting in use came to `before`.
    pub(super) const fn begin(challenger: Setting, before: Rate) -> Self {
        Self { challenger, before, leg: Leg::Challenger, rounds: Vec::new() }
    }

    /// Whether it is the challenger's turn.
    pub(super) fn is_challenger_s_turn(&self) -> bool {
        self.leg == Leg::Challenger
    }

    /// How fast the setting in use was before.
    pub(super) const fn before(&self) -> Rate {
        self.before
    }

    /// The turn that was under way is over. Says what came of it all, once both have been seen.
    pub(super) fn next(&mut self, rate: Rate) -> Option<Verdict> {
        match self.leg {
            Leg::Challenger if rate.per_second < self.before.per_second * HOPELESS => Some(Verdict::NotFaster),
            Leg::Challenger => {
                self.leg = Leg::Again(rate);
                None
            }
            Leg::Again(challenger) => {
                self.rounds.push(gain(self.before, challenger, rate));
                self.before = rate;
                self.leg = Leg::Challenger;
                Some(self.verdict())
            }
        }
    }

    fn verdict(&self) -> Verdict {
        #[expect(clippy::cast_precision_loss, reason = "rounds are few")]
        let rounds = self.rounds.len() as f64;
        let gain = self.rounds.iter().map(|(gain, _)| gain).sum::<f64>() / rounds;
        let error = self.rounds.iter().map(|(_, variance)| variance).sum::<f64>().sqrt() / rounds;
        if gain <= MARGIN {
            Verdict::NotFaster
        } else if gain > CERTAIN * error {
            Verdict::Faster
        } else if self.rounds.len() < ROUNDS {
            Verdict::Unclear
        } else {
            Verdict::NotFaster
        }
    }
}

/// By how much the middle one of three is faster, as a part, and the variance of that.
fn gain(before: Rate, challenger: Rate, after: Rate) -> (f64, f64) {
    let mean = f64::midpoint(before.per_second, after.per_second);
    let variance = challenger.error.powi(2) + (before.error.powi(2) + after.error.powi(2)) / 4.0;
    (challenger.per_second / mean - 1.0, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGER: Setting = Setting { slots: 2, threads: 1 };

    fn verdicts(error: f64, rates: &[f64]) -> Option<Verdict> {
        let mut rates = rates.iter().map(|per_second| Rate { per_second: *per_second, error, frames: 8 });
        let mut trial = Trial::begin(CHALLENGER, rates.next().unwrap());
        let mut last = None;
        for rate in rates {
            assert!(matches!(last, None | Some(Verdict::Unclear)), "a trial that is over goes on");
            last = trial.next(rate);
        }
        last
    }

    #[test]
    fn the_faster_one_is_found_whatever_frames_cost_meanwhile() {
        use Verdict::{Faster, NotFaster, Unclear};
        #[rustfmt::skip]
        let cases: [(f64, &[f64], Option<Verdict>); 12] = [
            // how far off each rate may be; rates in turn -> what comes of it
            (0.01, &[1.0, 1.1],                          None),
            (0.01, &[1.0, 1.1, 1.0],                     Some(Faster)),
            (0.01, &[1.0, 1.02, 1.0],                    Some(NotFaster)),
            (0.01, &[1.0, 0.9, 1.0],                     Some(NotFaster)),
            (0.01, &[1.0, 0.7],                          Some(NotFaster)),
            // All that happened is that frames grew cheaper, or dearer while the challenger is faster.
            (0.01, &[1.0, 1.2, 1.4],                     Some(NotFaster)),
            (0.01, &[1.0, 0.99, 0.8],                    Some(Faster)),
            // What may be chance is looked at again.
            (0.10, &[1.0, 1.1, 1.0],                     Some(Unclear)),
            (0.10, &[1.0, 1.1, 1.0, 1.3, 1.0],           Some(Faster)),
            (0.10, &[1.0, 1.1, 1.0, 0.95, 1.0],          Some(NotFaster)),
            (0.10, &[1.0, 1.1, 1.0, 1.1, 1.0, 1.1, 1.0], Some(NotFaster)),
            (0.10, &[1.0, 1.3, 1.0],                     Some(Faster)),
        ];
        for (error, rates, verdict) in cases {
            assert_eq!(verdicts(error, rates), verdict, "{error} {rates:?}");
        }
    }
}
