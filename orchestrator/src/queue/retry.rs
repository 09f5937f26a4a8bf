//! What follows from an attempt that ended without a frame: the frame goes round again, is given up, or the whole job is.

use haywain_shared::cause::Cause;

/// Attempts that a frame gets before it is given up.
pub const MAX_ATTEMPTS: u32 = 3;
/// Expired leases that a frame gets before it is given up: it may be the frame that kills the machines.
pub const MAX_EXPIRIES: u32 = 5;

/// The failed attempts at one frame so far, the one that has just ended included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Those that count against [`MAX_ATTEMPTS`].
    pub failures: u32,
    /// Those that ended because nothing was heard of the agent any more.
    pub expiries: u32,
}

impl History {
    /// The history of a frame whose failed attempts had these causes.
    #[must_use]
    pub fn of(causes: impl IntoIterator<Item = Cause>) -> Self {
        let mut history = Self::default();
        for cause in causes {
            match price(cause) {
                Price::Free => {}
                Price::Attempt => history.failures += 1,
                Price::Expiry => history.expiries += 1,
            }
        }
        history
    }
}

/// What an attempt costs that ended for some cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Price {
    Free,
    Attempt,
    Expiry,
}

const fn price(cause: Cause) -> Price {
    match cause {
        Cause::AgentStopped | Cause::Superseded | Cause::DiskFull => Price::Free,
        Cause::LeaseExpired => Price::Expiry,
        Cause::Crashed
        | Cause::OutOfMemory
        | Cause::TimedOut
        | Cause::Stalled
        | Cause::MissingFile
        | Cause::BadScene
        | Cause::ScriptsBlocked
        | Cause::NoOutput
        | Cause::InvalidOutput
        | Cause::DeviceUnavailable
        | Cause::UploadFailed => Price::Attempt,
    }
}

/// What becomes of a frame whose attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is pending again.
    TryAgain,
    /// It is given up; the job's other frames go on.
    GiveUpFrame,
    /// It is given up, and so is every pending frame of its job: the scene is at fault.
    GiveUpJob,
}

/// Decides after an attempt that ended for `cause`, with `history` including it.
#[must_use]
pub const fn decide(cause: Cause, history: History) -> Decision {
    if cause.is_the_scenes_fault() {
        Decision::GiveUpJob
    } else if history.failures >= MAX_ATTEMPTS || history.expiries >= MAX_EXPIRIES {
        Decision::GiveUpFrame
    } else {
        Decision::TryAgain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_by_cause() {
        use Cause::*;
        use Decision::*;
        let cases: [(&[Cause], Decision); 12] = [
            (&[Crashed], TryAgain),
            (&[Crashed, Crashed], TryAgain),
            (&[Crashed, OutOfMemory, NoOutput], GiveUpFrame),
            (&[Crashed, InvalidOutput, UploadFailed, Stalled], GiveUpFrame),
            (&[AgentStopped, AgentStopped, AgentStopped, AgentStopped], TryAgain),
            (&[DiskFull, DiskFull, DiskFull, Superseded], TryAgain),
            (&[Crashed, Crashed, DiskFull], TryAgain),
            (&[LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired], TryAgain),
            (&[LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired], GiveUpFrame),
            (&[BadScene], GiveUpJob),
            (&[Crashed, MissingFile], GiveUpJob),
            (&[ScriptsBlocked], GiveUpJob),
        ];
        for (causes, decision) in cases {
            let last = *causes.last().unwrap();
            assert_eq!(decide(last, History::of(causes.iter().copied())), decision, "{causes:?}");
        }
    }
}
