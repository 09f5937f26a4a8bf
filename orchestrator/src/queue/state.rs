//! Where a job stands: from its counters, and from what somebody wants of it.

use haywain_shared::job::{FrameCounts, JobState};

/// Whether an agent has ever leased a batch of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Not yet.
    Untouched,
    /// Yes.
    Started,
}

/// What somebody wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It is to be rendered.
    Active,
    /// What is leased goes on, nothing else is.
    Paused,
    /// It is over.
    Cancelled,
}

impl Control {
    /// The word that it is kept by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Cancelled].into_iter().find(|control| control.word() == word)
    }
}

/// The state of a job: completed if and only if all its frames are done; failed once nothing can change any more and a
/// frame is missing.
#[must_use]
pub const fn job_state(counts: FrameCounts, start: Start, control: Control) -> JobState {
    if matches!(control, Control::Cancelled) {
        JobState::Cancelled
    } else if counts.done == counts.total {
        JobState::Completed
    } else if counts.pending + counts.leased == 0 {
        JobState::Failed
    } else if matches!(control, Control::Paused) {
        JobState::Paused
    } else {
        match start {
            Start::Untouched => JobState::Pending,
            Start::Started => JobState::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for control in [Control::Active, Control::Paused, Control::Cancelled] {
            assert_eq!(Control::from_word(control.word()), Some(control));
        }
    }

    #[test]
    fn the_state_follows_from_the_counters() {
        use JobState::*;
        #[rustfmt::skip]
        let cases = [
            // pending, leased, done, failed
            (5, 0, 0, 0, Start::Untouched, Control::Active, Pending),
            (5, 0, 0, 0, Start::Started, Control::Active, Running),
            (0, 5, 0, 0, Start::Started, Control::Active, Running),
            (0, 1, 4, 0, Start::Started, Control::Active, Running),
            (0, 1, 0, 4, Start::Started, Control::Active, Running),
            (1, 0, 0, 4, Start::Started, Control::Active, Running),
            (0, 0, 4, 1, Start::Started, Control::Active, Failed),
            (0, 0, 0, 5, Start::Started, Control::Active, Failed),
            (0, 0, 5, 0, Start::Started, Control::Active, Completed),
            (5, 0, 0, 0, Start::Untouched, Control::Paused, Paused),
            (1, 1, 3, 0, Start::Started, Control::Paused, Paused),
            (0, 0, 4, 1, Start::Started, Control::Paused, Failed),
            (0, 0, 5, 0, Start::Started, Control::Paused, Completed),
            (1, 0, 4, 0, Start::Started, Control::Cancelled, Cancelled),
        ];
        for (pending, leased, done, failed, start, control, state) in cases {
            let counts = FrameCounts { total: 5, pending, leased, done, failed };
            assert_eq!(job_state(counts, start, control), state, "{counts:?}, {start:?}, {control:?}");
        }
    }
}
