//! What has been found out about one job on so many processors: the best setting so far, and which others were not faster. Those
//! are tried again, but ever less often: nothing flaps, and nothing is held true for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ladder::Ladder;
use super::setting::Setting;
use super::window::Rate;

/// How long a setting that was not faster is left alone; twice as long each further time.
const LEFT_ALONE: Duration = Duration::from_mins(30);
/// No setting is left alone for longer.
const LONGEST: Duration = Duration::from_hours(4);
/// How long to wait before a comparison that nothing came of is made anew.
const PUT_OFF: Duration = Duration::from_mins(2);
/// Frames that come so much faster or slower than they did are other frames: everything is open again.
const OTHER_FRAMES: f64 = 2.0;

/// The findings.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    pub(super) best: Setting,
    /// Whether it may have fewer slots than one would begin with, as nobody knows yet how large the scene is.
    pub(super) cautious: bool,
    left_alone: BTreeMap<Setting, LeftAlone>,
    /// The rate of the best one when there was nothing left to try.
    settled_at: Option<f64>,
    /// When everything was opened again.
    opened: Duration,
}

#[derive(Debug, Clone, Copy)]
struct LeftAlone {
    until: Duration,
    times: u32,
}

impl Findings {
    /// Nothing was tried yet.
    pub(super) const fn new(best: Setting) -> Self {
        Self { best, cautious: true, left_alone: BTreeMap::new(), settled_at: None, opened: Duration::ZERO }
    }

    /// The next setting to compare with the best one.
    pub(super) fn next_to_try(&self, ladder: &Ladder, now: Duration) -> Option<Setting> {
        let is_due = |setting: &Setting| self.left_alone.get(setting).is_none_or(|left| left.until <= now);
        ladder.neighbours(self.best).into_iter().find(is_due)
    }

    /// A setting was compared, and is not faster.
    pub(super) fn not_faster(&mut self, setting: Setting, now: Duration) {
        let left = self.left_alone.entry(setting).or_insert(LeftAlone { until: now, times: 0 });
        left.until = now + LEFT_ALONE.saturating_mul(1 << left.times.min(8)).min(LONGEST);
        left.times += 1;
    }

    /// A setting was compared, and is faster.
    pub(super) fn faster(&mut self, setting: Setting, now: Duration) {
        self.not_faster(self.best, now);
        self.best = setting;
        self.settled_at = None;
    }

    /// There is no memory for as many slots as the best setting has: for this one there is. The other is not gone back to as
    /// soon as a little is free.
    pub(super) fn no_room(&mut self, setting: Setting, now: Duration) {
        self.faster(setting, now);
    }

    /// A comparison came to nothing: there were no frames to see it by.
    pub(super) fn put_off(&mut self, setting: Setting, now: Duration) {
        let left = self.left_alone.entry(setting).or_insert(LeftAlone { until: now, times: 0 });
        left.until = left.until.max(now + PUT_OFF);
    }

    /// There is nothing left to try, and the best setting comes to this rate. Says whether that is news.
    pub(super) fn settled(&mut self, rate: Rate, now: Duration) -> Settled {
        match self.settled_at {
            None => {
                self.settled_at = Some(rate.per_second);
                Settled::Now
            }
            Some(was) if ratio(was, rate.per_second) > OTHER_FRAMES && now >= self.opened + LEFT_ALONE => {
                self.settled_at = None;
                self.opened = now;
                self.left_alone.values_mut().for_each(|left| left.until = now);
                Settled::NoMore
            }
            Some(_) => Settled::Still,
        }
    }
}

/// Whether there is anything to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// No more, since now.
    Now,
    /// There was nothing before, either.
    Still,
    /// The frames are others than they were: all is open again.
    NoMore,
}

fn ratio(one: f64, other: f64) -> f64 {
    (one / other).max(other / one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::limits::Limits;

    const BEST: Setting = Setting { slots: 1, threads: 2 };

    fn ladder() -> Ladder {
        Ladder::new(&Limits::of_machine(2), 2, 2)
    }

    fn rate(per_second: f64) -> Rate {
        Rate { per_second, error: 0.01, frames: 8 }
    }

    #[test]
    fn a_setting_that_was_not_faster_is_tried_ever_less_often() {
        let mut findings = Findings::new(BEST);
        let other = Setting { slots: 2, threads: 1 };
        findings.not_faster(Setting { slots: 2, threads: 2 }, LONGEST * 10);
        let mut tries = Vec::new();
        for minute in 0..24 * 60 {
            let now = Duration::from_mins(minute);
            if findings.next_to_try(&ladder(), now) == Some(other) {
                tries.push(minute);
                findings.not_faster(other, now);
            }
        }
        assert_eq!(tries, [0, 30, 90, 210, 450, 690, 930, 1170, 1410]);
    }

    #[test]
    fn other_frames_open_everything_again() {
        let mut findings = Findings::new(BEST);
        let now = LEFT_ALONE;
        for setting in ladder().neighbours(BEST) {
            findings.not_faster(setting, now);
        }
        assert_eq!(findings.next_to_try(&ladder(), now), None);
        assert_eq!(findings.settled(rate(1.0), now), Settled::Now);
        assert_eq!(findings.settled(rate(1.4), now), Settled::Still);
        assert_eq!(findings.settled(rate(0.4), now), Settled::NoMore);
        assert!(findings.next_to_try(&ladder(), now).is_some());
    }

    #[test]
    fn a_comparison_that_came_to_nothing_is_made_soon() {
        let mut findings = Findings::new(BEST);
        let first = findings.next_to_try(&ladder(), Duration::ZERO).unwrap();
        findings.put_off(first, Duration::ZERO);
        assert_ne!(findings.next_to_try(&ladder(), Duration::ZERO), Some(first));
        assert_eq!(findings.next_to_try(&ladder(), PUT_OFF), Some(first));
    }
}
