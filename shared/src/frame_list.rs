//! A list of frames as people write it, `1-250` or `300,310-320x2,-10..-1`, kept as the fewest runs that hold exactly its
//! frames: sorted, apart, each frame once.

use std::fmt;
use std::str::FromStr;

use crate::frames::{FrameNumber, FrameRange, runs};

/// The most runs that a list can have. A run is a row of the queue; a list with a step has one for each frame.
pub const MAX_RUNS: usize = 100_000;

/// Frames: at least one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FrameList(Vec<FrameRange>);

/// A text that is no list of frames, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAFrameList {
    /// Nothing where a frame should be.
    #[error("{0:?} has an empty part: frames are written 7, 1-20, 1-20x2 or -10..-1, with commas between them")]
    EmptyPart(String),
    /// What is no frame number.
    #[error("{0:?} is no frame: frames are written 7, 1-20, 1-20x2 or -10..-1, with commas between them")]
    NotAFrame(String),
    /// A frame that Blender does not have.
    #[error("frame {0} is outside Blender's range, {min} to {max}", min = FrameNumber::MIN, max = FrameNumber::MAX)]
    OutOfRange(i64),
    /// A range whose end lies before its start.
    #[error("in {0:?} the last frame is before the first")]
    Backward(String),
    /// A step that goes nowhere.
    #[error("in {0:?} the step must be a whole number from 1")]
    BadStep(String),
    /// More runs than a job can have.
    #[error("the list has more than {MAX_RUNS} separate runs of frames: submit it as several jobs")]
    TooManyRuns,
}

impl FrameList {
    /// The frames of one range.
    #[must_use]
    pub fn of_range(range: FrameRange) -> Self {
        Self(vec![range])
    }

    /// The frames of a range by a step: the first, and every `step`th after it.
    pub fn stepped(range: FrameRange, step: u32) -> Result<Self, NotAFrameList> {
        if step <= 1 {
            return Ok(Self::of_range(range));
        }
        if range.len().div_ceil(u64::from(step)) > MAX_RUNS as u64 {
            return Err(NotAFrameList::TooManyRuns);
        }
        Ok(Self(range.iter().step_by(step as usize).map(FrameRange::single).collect()))
    }

    /// All frames of some lists.
    fn union(parts: Vec<FrameRange>) -> Result<Self, NotAFrameList> {
        let mut sorted = parts;
        sorted.sort_unstable_by_key(|range| (range.first(), range.last()));
        let mut whole: Vec<FrameRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match whole.last_mut() {
                Some(last) if i64::from(last.last()) + 1 >= i64::from(range.first()) => {
                    let end = last.last().max(range.last());
                    // In order, as both began no later than they ended.
                    *last = FrameRange::new(last.first(), end).unwrap_or(*last);
                }
                _ => whole.push(range),
            }
        }
        if whole.len() > MAX_RUNS { Err(NotAFrameList::TooManyRuns) } else { Ok(Self(whole)) }
    }

    /// Several lists in one.
    pub fn all_of(lists: impl IntoIterator<Item = Self>) -> Result<Self, NotAFrameList> {
        let parts: Vec<_> = lists.into_iter().flat_map(|list| list.0).collect();
        if parts.is_empty() {
            return Err(NotAFrameList::EmptyPart(String::new()));
        }
        Self::union(parts)
    }

    /// Its runs, in order.
    #[must_use]
    pub fn runs(&self) -> &[FrameRange] {
        &self.0
    }

    /// How many frames: at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list is never empty")]
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.len()).sum()
    }

    /// Its frames, in order.
    pub fn iter(&self) -> impl Iterator<Item = FrameNumber> {
        self.0.iter().flat_map(|range| range.iter())
    }

    /// Every `step`th of its frames, from the first of each run on.
    pub fn by_step(&self, step: u32) -> Result<Self, NotAFrameList> {
        Self::all_of(self.0.iter().map(|range| Self::stepped(*range, step)).collect::<Result<Vec<_>, _>>()?)
    }
}

impl FromIterator<FrameNumber> for FrameList {
    /// Of frames in ascending order without repeats.
    fn from_iter<I: IntoIterator<Item = FrameNumber>>(frames: I) -> Self {
        Self(runs(frames))
    }
}

impl FromStr for FrameList {
    type Err = NotAFrameList;

    fn from_str(text: &str) -> Result<Self, NotAFrameList> {
        Self::all_of(text.split(',').map(|part| read_part(part.trim(), text)).collect::<Result<Vec<_>, _>>()?)
    }
}

/// Reads `7`, `1-20`, `-10..-1`, each perhaps with a step: `1-20x2`.
fn read_part(part: &str, whole: &str) -> Result<FrameList, NotAFrameList> {
    if part.is_empty() {
        return Err(NotAFrameList::EmptyPart(whole.to_owned()));
    }
    let (span, step) = match part.split_once(['x', 'X']) {
        Some((span, step)) => (span.trim_end(), read_step(step.trim(), part)?),
        None => (part, 1),
    };
    // A dash at the start is a minus; the next one stands between two frames.
    let dash = span.char_indices().skip(1).find(|(_, c)| *c == '-').map(|(at, _)| at);
    let (first, last) = match (span.split_once(".."), dash) {
        (Some(ends), _) => ends,
        (None, Some(at)) => (&span[..at], &span[at + 1..]),
        (None, None) => (span, span),
    };
    let (first, last) = (read_frame(first.trim(), part)?, read_frame(last.trim(), part)?);
    let range = FrameRange::new(first, last).map_err(|_| NotAFrameList::Backward(part.to_owned()))?;
    FrameList::stepped(range, step)
}

fn read_step(text: &str, part: &str) -> Result<u32, NotAFrameList> {
    text.parse().ok().filter(|step| *step >= 1).ok_or_else(|| NotAFrameList::BadStep(part.to_owned()))
}

fn read_frame(text: &str, part: &str) -> Result<FrameNumber, NotAFrameList> {
    let number: i64 = text.parse().map_err(|_| NotAFrameList::NotAFrame(part.to_owned()))?;
    FrameNumber::try_from(number).map_err(|_| NotAFrameList::OutOfRange(number))
}

impl fmt::Display for FrameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_people_write_them() {
        for (text, runs, len) in [
            ("7", "7", 1),
            ("1-250", "1-250", 250),
            ("300,310-320x2", "300,310,312,314,316,318,320", 7),
            ("1-5,3-9", "1-9", 9),
            ("5, 1-4", "1-5", 5),
            ("-10..-1", "-10..-1", 10),
            ("-10--1", "-10..-1", 10),
            ("-3..3x3", "-3,0,3", 3),
            ("-5", "-5", 1),
            ("1-4x1", "1-4", 4),
            ("1..4X10", "1", 1),
            ("1-3x2,2", "1-3", 3),
        ] {
            let list: FrameList = text.parse().unwrap();
            assert_eq!((list.to_string().as_str(), list.len()), (runs, len), "{text}");
            assert_eq!(list.iter().count() as u64, len, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_says_why() {
        for (text, words) in [
            ("", "empty part"),
            ("1,,2", "empty part"),
            ("1-", "no frame"),
            ("a", "no frame"),
            ("1.5", "no frame"),
            ("9-1", "before the first"),
            ("1-9x0", "step"),
            ("1-9xa", "step"),
            ("1048575", "outside Blender's range"),
            ("-1048574..1048574x2", "separate runs"),
        ] {
            let error = text.parse::<FrameList>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_step_goes_through_each_run() {
        let list: FrameList = "1-5,10-12".parse().unwrap();
        assert_eq!(list.by_step(2).unwrap().to_string(), "1,3,5,10,12");
    }
}
