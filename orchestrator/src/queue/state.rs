//! Where a job stands, from its counters alone.

use haywain_shared::job::{FrameCounts, JobState};

/// Whether an agent has ever leased a batch of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Not yet.
    Untouched,
    /// Yes.
    Started,
}

/// The state of a job: completed if and only if all its frames are done; failed once nothing can change any more and a
/// frame is missing.
#[must_use]
pub const fn job_state(counts: FrameCounts, start: Start) -> JobState {
    if counts.done == counts.total {
        JobState::Completed
    } else if counts.pending + counts.leased == 0 {
        JobState::Failed
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
    fn the_state_follows_from_the_counters() {
        use JobState::*;
        #[rustfmt::skip]
        let cases = [
            // pending, leased, done, failed
            (5, 0, 0, 0, Start::Untouched, Pending),
            (5, 0, 0, 0, Start::Started, Running),
            (0, 5, 0, 0, Start::Started, Running),
            (0, 1, 4, 0, Start::Started, Running),
            (0, 1, 0, 4, Start::Started, Running),
            (1, 0, 0, 4, Start::Started, Running),
            (0, 0, 4, 1, Start::Started, Failed),
            (0, 0, 0, 5, Start::Started, Failed),
            (0, 0, 5, 0, Start::Started, Completed),
        ];
        for (pending, leased, done, failed, start, state) in cases {
            let counts = FrameCounts { total: 5, pending, leased, done, failed };
            assert_eq!(job_state(counts, start), state, "{counts:?}, {start:?}");
        }
    }
}
