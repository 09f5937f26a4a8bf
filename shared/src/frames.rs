//! Frame numbers and runs of them. A [`FrameRange`] is never empty and never leaves Blender's range: whoever holds one
//! need not check it again.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A frame's number on Blender's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(into = "i32", try_from = "i64")]
#[schema(minimum = -1_048_574, maximum = 1_048_574)]
pub struct FrameNumber(i32);

impl FrameNumber {
    /// Blender's first frame: `MINAFRAME` in its source (`DNA_scene_types.h`).
    pub const MIN: Self = Self(-1_048_574);
    /// Blender's last frame: `MAXFRAME` in its source (`DNA_scene_types.h`).
    pub const MAX: Self = Self(1_048_574);

    /// The number as Blender takes it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    fn offset(self, frames: i64) -> Self {
        let number = i64::from(self.0) + frames;
        debug_assert!((i64::from(Self::MIN.0)..=i64::from(Self::MAX.0)).contains(&number));
        #[expect(clippy::cast_possible_truncation, reason = "callers stay inside a range of frame numbers")]
        Self(number as i32)
    }
}

impl From<FrameNumber> for i32 {
    fn from(frame: FrameNumber) -> Self {
        frame.0
    }
}

impl From<FrameNumber> for i64 {
    fn from(frame: FrameNumber) -> Self {
        frame.0.into()
    }
}

/// A number that is no frame of Blender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frame {0} is outside Blender's range, {min} to {max}", min = FrameNumber::MIN, max = FrameNumber::MAX)]
pub struct OutsideBlendersRange(pub i64);

impl TryFrom<i64> for FrameNumber {
    type Error = OutsideBlendersRange;

    fn try_from(number: i64) -> Result<Self, OutsideBlendersRange> {
        i32::try_from(number)
            .ok()
            .map(Self)
            .filter(|frame| (Self::MIN..=Self::MAX).contains(frame))
            .ok_or(OutsideBlendersRange(number))
    }
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of frames, both ends included. On the wire `{"from": 1, "to": 20}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct FrameRange {
    /// The first frame.
    #[schema(rename = "from")]
    first: FrameNumber,
    /// The last frame.
    #[schema(rename = "to")]
    last: FrameNumber,
}

/// A range as the wire has it, before anybody looked whether its ends are in order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ends {
    from: FrameNumber,
    to: FrameNumber,
}

/// A range whose end lies before its start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("from ({from}) is after to ({to})")]
pub struct BackwardRange {
    /// The start that was given.
    pub from: FrameNumber,
    /// The end that was given.
    pub to: FrameNumber,
}

impl FrameRange {
    /// The frames from `first` to `last`, both included.
    pub fn new(first: FrameNumber, last: FrameNumber) -> Result<Self, BackwardRange> {
        if first > last {
            return Err(BackwardRange { from: first, to: last });
        }
        Ok(Self { first, last })
    }

    /// Just one frame.
    #[must_use]
    pub const fn single(frame: FrameNumber) -> Self {
        Self { first: frame, last: frame }
    }

    /// The first frame.
    #[must_use]
    pub const fn first(self) -> FrameNumber {
        self.first
    }

    /// The last frame, itself part of the range.
    #[must_use]
    pub const fn last(self) -> FrameNumber {
        self.last
    }

    /// How many frames: at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(self) -> u64 {
        (i64::from(self.last) - i64::from(self.first)).unsigned_abs() + 1
    }

    /// Whether `frame` is one of them.
    #[must_use]
    pub fn contains(self, frame: FrameNumber) -> bool {
        (self.first..=self.last).contains(&frame)
    }

    /// The frames, in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = FrameNumber> {
        (self.first.0..=self.last.0).map(FrameNumber)
    }

    /// The first `count` frames (at least one is taken), and what is left.
    #[must_use]
    pub fn split(self, count: u64) -> (Self, Option<Self>) {
        let count = count.max(1);
        if count >= self.len() {
            return (self, None);
        }
        let head_len = i64::try_from(count).unwrap_or(i64::MAX);
        let head = Self { first: self.first, last: self.first.offset(head_len - 1) };
        let tail = Self { first: self.first.offset(head_len), last: self.last };
        (head, Some(tail))
    }
}

impl FrameRange {
    /// What is left before and after `frame`: at most two ranges, and all of it when the frame is not in it.
    pub fn without(self, frame: FrameNumber) -> impl Iterator<Item = Self> {
        let before = (self.first < frame).then(|| Self { first: self.first, last: self.last.min(frame.offset(-1)) });
        let after = (frame < self.last).then(|| Self { first: self.first.max(frame.offset(1)), last: self.last });
        before.into_iter().chain(after).take(if self.contains(frame) { 2 } else { 1 })
    }

    /// One range when `next` follows on at once, else both as they are.
    pub fn join(self, next: Self) -> impl Iterator<Item = Self> {
        let (joined, next) = if i64::from(self.last) + 1 == i64::from(next.first) {
            (Self { first: self.first, last: next.last }, None)
        } else {
            (self, Some(next))
        };
        std::iter::once(joined).chain(next)
    }
}

impl TryFrom<Ends> for FrameRange {
    type Error = BackwardRange;

    fn try_from(ends: Ends) -> Result<Self, BackwardRange> {
        Self::new(ends.from, ends.to)
    }
}

impl From<FrameRange> for Ends {
    fn from(range: FrameRange) -> Self {
        Self { from: range.first, to: range.last }
    }
}

/// `7`, `1-20`, and `-10..-1` where a minus would be read as a dash.
impl fmt::Display for FrameRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => first.fmt(f),
            (first, last) if first.0 < 0 => write!(f, "{first}..{last}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// The fewest runs that hold exactly `frames`, which come in ascending order and without repeats.
#[must_use]
pub fn runs(frames: impl IntoIterator<Item = FrameNumber>) -> Vec<FrameRange> {
    let mut runs: Vec<FrameRange> = Vec::new();
    for frame in frames {
        match runs.last_mut() {
            Some(run) if i64::from(run.last) + 1 == i64::from(frame) => run.last = frame,
            _ => runs.push(FrameRange::single(frame)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: i64) -> FrameNumber {
        FrameNumber::try_from(number).unwrap()
    }

    fn range(from: i64, to: i64) -> FrameRange {
        FrameRange::new(frame(from), frame(to)).unwrap()
    }

    #[test]
    fn frames_end_where_blender_s_do() {
        for (number, accepted) in [
            (-1_048_575, false),
            (-1_048_574, true),
            (0, true),
            (1_048_574, true),
            (1_048_575, false),
            (i64::MAX, false),
            (i64::MIN, false),
        ] {
            assert_eq!(FrameNumber::try_from(number).is_ok(), accepted, "{number}");
        }
    }

    #[test]
    fn a_range_has_at_least_one_frame() {
        assert_eq!(range(3, 3).len(), 1);
        assert_eq!(range(-1_048_574, 1_048_574).len(), 2_097_149);
        assert!(FrameRange::new(frame(2), frame(1)).is_err());
        assert!(serde_json::from_str::<FrameRange>(r#"{"from": 2, "to": 1}"#).is_err());
    }

    #[test]
    fn split_takes_from_the_front() {
        let cases = [
            (range(1, 5), 2, range(1, 2), Some(range(3, 5))),
            (range(1, 5), 0, range(1, 1), Some(range(2, 5))),
            (range(1, 5), 5, range(1, 5), None),
            (range(1, 5), u64::MAX, range(1, 5), None),
            (range(-3, 3), 3, range(-3, -1), Some(range(0, 3))),
        ];
        for (whole, count, head, tail) in cases {
            assert_eq!(whole.split(count), (head, tail), "{whole} split at {count}");
        }
    }

    #[test]
    fn ranges_read_well() {
        let cases = [(range(7, 7), "7"), (range(-7, -7), "-7"), (range(1, 20), "1-20"), (range(-10, -1), "-10..-1")];
        for (range, text) in cases {
            assert_eq!(range.to_string(), text);
        }
    }

    #[test]
    fn taking_a_frame_leaves_what_is_around_it() {
        let cases = [
            (range(1, 5), 3, vec![range(1, 2), range(4, 5)]),
            (range(1, 5), 1, vec![range(2, 5)]),
            (range(1, 5), 5, vec![range(1, 4)]),
            (range(1, 5), 2, vec![range(1, 1), range(3, 5)]),
            (range(7, 7), 7, vec![]),
            (range(1, 5), 9, vec![range(1, 5)]),
            (range(1, 5), -9, vec![range(1, 5)]),
        ];
        for (whole, number, rest) in cases {
            assert_eq!(whole.without(frame(number)).collect::<Vec<_>>(), rest, "{whole} without {number}");
        }
    }

    #[test]
    fn only_neighbours_join() {
        let cases =
            [(range(1, 5), range(6, 8), vec![range(1, 8)]), (range(1, 5), range(7, 8), vec![range(1, 5), range(7, 8)])];
        for (one, next, joined) in cases {
            assert_eq!(one.join(next).collect::<Vec<_>>(), joined, "{one} and {next}");
        }
    }

    #[test]
    fn runs_join_neighbours() {
        let frames = [-1, 0, 1, 5, 7, 8].map(frame);
        assert_eq!(runs(frames), [range(-1, 1), range(5, 5), range(7, 8)]);
        assert_eq!(runs([]), []);
    }
}
