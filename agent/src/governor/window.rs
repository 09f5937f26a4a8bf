//! How fast frames come under one setting. Each slot that goes on from frame to frame contributes one over its time for one,
//! from the end of a frame to the end of the next: what lies between (handing over, asking for more) counts, while a slot that
//! starts Blender, opens a scene or has nothing to do does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::setting::Setting;

/// A window is at least so long: shorter, and a hiccup of the machine decides.
const SHORTEST: Duration = Duration::from_secs(5);
/// So many frames make a window.
const FRAMES: usize = 8;
/// Where a frame takes longer than this, half as many do: nobody wants to wait for a setting through half a night.
const LONG_FRAME_S: f64 = 20.0;
/// So many frames at least are wanted of each slot.
const FRAMES_OF_A_SLOT: usize = 2;
/// Frame times spread by no less than this, as far as a few frames can tell.
const LEAST_SPREAD: f64 = 0.03;

/// A frame that is finished.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameTime {
    /// The slot that it came from.
    pub slot: u32,
    /// With so many threads.
    pub threads: u32,
    /// When.
    pub ended: Duration,
    /// The time since the frame before in the same session; `None` if there was none, or nothing to do in between.
    pub span: Option<Duration>,
}

/// Frames a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    /// By how much it may be off, as a part of it (one standard error).
    pub(super) error: f64,
    /// What it was seen in.
    pub(super) frames: usize,
}

/// What is seen under one setting.
#[derive(Debug, Clone)]
pub(super) struct Window {
    setting: Setting,
    /// Slots that have finished a frame under this setting, until all of them have.
    ready: Vec<u32>,
    /// When they had.
    opened: Option<Duration>,
    spans: BTreeMap<u32, Vec<f64>>,
}

impl Window {
    /// An empty one.
    pub(super) const fn new(setting: Setting) -> Self {
        Self { setting, ready: Vec::new(), opened: None, spans: BTreeMap::new() }
    }

    /// The setting is not in force at this moment: what was seen so far is not to be compared.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.setting);
    }

    /// A frame is finished.
    pub(super) fn note(&mut self, frame: FrameTime) {
        if frame.threads != self.setting.threads {
            return;
        }
        let Some(opened) = self.opened else {
            if !self.ready.contains(&frame.slot) {
                self.ready.push(frame.slot);
            }
            if self.ready.len() == self.setting.slots as usize {
                self.opened = Some(frame.ended);
            }
            return;
        };
        let Some(span) = frame.span.filter(|span| frame.ended.saturating_sub(*span) >= opened) else { return };
        self.spans.entry(frame.slot).or_default().push(span.as_secs_f64().max(1e-6));
    }

    /// The rate, once enough was seen.
    pub(super) fn rate(&self, now: Duration) -> Option<Rate> {
        let opened = self.opened?;
        let per_slot = FRAMES_OF_A_SLOT;
        let every_slot =
            self.spans.len() == self.setting.slots as usize && self.spans.values().all(|spans| spans.len() >= per_slot);
        let rate = self.so_far().filter(|_| every_slot && now >= opened + SHORTEST)?;
        let seconds_a_frame = f64::from(self.setting.slots) / rate.per_second;
        let enough = if seconds_a_frame > LONG_FRAME_S { FRAMES / 2 } else { FRAMES };
        (rate.frames >= enough).then_some(rate)
    }

    /// What the frames so far come to.
    fn so_far(&self) -> Option<Rate> {
        let frames: usize = self.spans.values().map(Vec::len).sum();
        if frames == 0 {
            return None;
        }
        let mut per_second = 0.0;
        let mut squares = 0.0;
        for spans in self.spans.values() {
            let mean = spans.iter().sum::<f64>() / count(spans.len());
            per_second += 1.0 / mean;
            squares += spans.iter().map(|span| (span / mean - 1.0).powi(2)).sum::<f64>();
        }
        let freedom = count(frames.saturating_sub(self.spans.len()).max(1));
        let spread = (squares / freedom).sqrt().max(LEAST_SPREAD);
        Some(Rate { per_second, error: spread / count(frames).sqrt(), frames })
    }
}

#[expect(clippy::cast_precision_loss, reason = "frames of a window are few")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_BY_ONE: Setting = Setting { slots: 2, threads: 1 };

    fn frame(slot: u32, ended_ms: u64, span_ms: Option<u64>) -> FrameTime {
        let span = span_ms.map(Duration::from_millis);
        FrameTime { slot, threads: 1, ended: Duration::from_millis(ended_ms), span }
    }

    fn per_second(window: &Window, at_ms: u64) -> Option<f64> {
        window.rate(Duration::from_millis(at_ms)).map(|rate| rate.per_second)
    }

    #[test]
    fn slots_add_up_each_by_its_own_frames() {
        let mut window = Window::new(TWO_BY_ONE);
        // Slot 0 is at work while slot 1 still starts: none of that counts.
        (1..=5).for_each(|turn| window.note(frame(0, 1000 * turn, Some(1000))));
        window.note(frame(1, 5500, None));
        // Begun before slot 1 was there.
        window.note(frame(0, 6000, Some(1000)));
        for turn in 1..=6 {
            window.note(frame(0, 6000 + 1000 * turn, Some(1000)));
            window.note(frame(1, 5500 + 2000 * turn, Some(2000)));
        }
        assert!((per_second(&window, 18_000).unwrap() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_window_wants_frames_of_every_slot_and_some_time() {
        let mut window = Window::new(TWO_BY_ONE);
        window.note(frame(0, 0, None));
        window.note(frame(1, 0, None));
        (1..=20).for_each(|turn| window.note(frame(0, 100 * turn, Some(100))));
        assert_eq!(per_second(&window, 60_000), None, "nothing of slot 1");
        window.note(frame(1, 1000, Some(1000)));
        assert_eq!(per_second(&window, 60_000), None, "one frame of slot 1");
        window.note(frame(1, 2000, Some(1000)));
        assert_eq!(per_second(&window, 4999), None, "too short");
        assert!((per_second(&window, 5000).unwrap() - 11.0).abs() < 1e-9);
        window.restart();
        assert_eq!(per_second(&window, 60_000), None, "begun anew");
    }

    #[test]
    fn long_frames_need_not_be_as_many() {
        for (frame_ms, turns, enough) in [(10_000, 2, false), (10_000, 4, true), (25_000, 2, true)] {
            let mut window = Window::new(TWO_BY_ONE);
            for turn in 0..=turns {
                for slot in [0, 1] {
                    window.note(frame(slot, turn * frame_ms, (turn > 0).then_some(frame_ms)));
                }
            }
            assert_eq!(per_second(&window, turns * frame_ms).is_some(), enough, "{turns} frames of {frame_ms} ms");
        }
    }

    #[test]
    fn frames_with_other_threads_and_after_a_pause_do_not_count() {
        let mut window = Window::new(TWO_BY_ONE);
        window.note(FrameTime { threads: 2, ..frame(0, 0, None) });
        window.note(frame(1, 0, None));
        (1..=10).for_each(|turn| window.note(frame(1, 1000 * turn, Some(1000))));
        assert_eq!(window.so_far(), None, "slot 0 has rendered nothing with this setting");
        window.note(frame(0, 10_000, None));
        (1..=4).for_each(|turn| window.note(frame(0, 10_000 + 1000 * turn, None)));
        (1..=4).for_each(|turn| window.note(FrameTime { threads: 2, ..frame(0, 14_000 + 1000 * turn, Some(1000)) }));
        (1..=4).for_each(|turn| window.note(frame(1, 10_000 + 1000 * turn, Some(1000))));
        assert_eq!(window.so_far().unwrap().frames, 4);
    }

    #[test]
    fn the_error_follows_from_the_spread() {
        let one = Setting { slots: 1, threads: 1 };
        let rate = |spans: [u64; 4]| {
            let mut window = Window::new(one);
            window.note(frame(0, 0, None));
            spans.iter().fold(0, |at, span| {
                window.note(frame(0, at + span, Some(*span)));
                at + span
            });
            window.so_far().unwrap()
        };
        assert!((rate([1000; 4]).error - LEAST_SPREAD / 2.0).abs() < 1e-9);
        assert!(rate([800, 1200, 800, 1200]).error > 0.1);
    }
}
