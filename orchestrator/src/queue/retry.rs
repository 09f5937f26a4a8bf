//! What follows from an attempt that ended without a frame: the frame goes round again, is given up, or the whole job is.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::protocol::Stage;

/// Attempts that a frame gets before it is given up, unless its job says otherwise.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// Expired leases that a frame gets before it is given up: it may be the frame that kills the machines.
pub const MAX_EXPIRIES: u32 = 5;
/// How long a frame waits for another agent, or one with more memory, before any will do. A farm of one gets its retries.
pub const PICKY: Duration = Duration::from_mins(1);

/// The failed attempts at one frame so far, the one that has just ended included. Refusals are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Those that count against the job's `maxAttempts`.
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

/// Whether an attempt was one at all, or its agent has only found out that it cannot render the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was one, and costs what its cause costs.
    No,
    /// Nobody knew what the scene needs; now that is known, and matched. It costs nothing.
    Uninformed,
    /// The agent lacks something that nothing told of. It costs nothing, and the agent gets no more of the job for a while.
    Standing,
}

/// How long an agent gets no more of a job that it has refused, unless it begins anew before: opening a large scene in vain takes
/// time that other jobs could have.
pub const REFUSES_FOR: Duration = Duration::from_hours(1);

/// Whether an attempt was a refusal, that ended for `cause` at `stage`. It was leased for the device `leased_for`, if it was
/// known which; `matched` is what would be said of its agent now: for which device it would get the job, if it would.
#[must_use]
pub fn refusal(
    cause: Cause,
    stage: Stage,
    leased_for: Option<DeviceKind>,
    matched: Option<Option<DeviceKind>>,
) -> Refusal {
    match (cause, stage) {
        (Cause::DeviceUnavailable, _) if leased_for.is_none() && matched != Some(None) => Refusal::Uninformed,
        (Cause::DeviceUnavailable, Stage::Preparing) => Refusal::Standing,
        _ => Refusal::No,
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

/// Whether somebody could still say that the scene is good after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondOpinion {
    /// Another agent is there and has not looked at the scene in vain yet.
    Open,
    /// A second agent has said the same, or there is none to ask.
    Settled,
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
pub fn decide(cause: Cause, history: History, max_attempts: u32, opinion: SecondOpinion) -> Decision {
    if cause.is_the_scenes_fault() && opinion == SecondOpinion::Settled {
        Decision::GiveUpJob
    } else if history.failures >= max_attempts || history.expiries >= MAX_EXPIRIES {
        Decision::GiveUpFrame
    } else {
        Decision::TryAgain
    }
}

/// What a frame that is tried again asks of the agent that takes it next, for as long as [`PICKY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: whoever comes first.
    None,
    /// Not the agent that has just failed.
    AnotherAgent,
    /// More memory than the peak that was seen.
    MoreMemory,
}

/// The wish of a frame after an attempt that ended for `cause`.
#[must_use]
pub const fn wish(cause: Cause) -> Wish {
    match cause {
        Cause::OutOfMemory => Wish::MoreMemory,
        Cause::AgentStopped | Cause::Superseded => Wish::None,
        _ => Wish::AnotherAgent,
    }
}

/// How many failures in a row say something of their agent.
pub const STREAK: usize = 4;
/// How long an agent is set aside, or gets no more of a job.
pub const ASIDE: Duration = Duration::from_mins(10);

/// What an agent's last attempts say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streak {
    /// Nothing.
    None,
    /// All failed, on one job. One bad job does not make a bad agent; but where others are at work on it too, they are to have it, or
    /// an agent that fails in a second would use up the attempts of all frames while they render for minutes.
    OnOneJob,
    /// All failed, on several jobs: the agent is to be set aside.
    OnSeveralJobs,
}

/// What is to be thought of an agent by its last attempts, newest first: for each its job and the cause it failed for, if it did.
/// What is not its own fault says nothing, and refusals are not among them.
#[must_use]
pub fn streak<J: PartialEq>(attempts: &[(J, Option<Cause>)]) -> Streak {
    let own_fault = |cause: Cause| price(cause) == Price::Attempt && !cause.is_the_scenes_fault();
    match attempts.get(..STREAK) {
        Some(latest) if latest.iter().all(|(_, cause)| cause.is_some_and(own_fault)) => {
            let is_one = latest.iter().all(|(job, _)| *job == latest[0].0);
            if is_one { Streak::OnOneJob } else { Streak::OnSeveralJobs }
        }
        _ => Streak::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_by_cause() {
        use Cause::*;
        use Decision::*;
        use SecondOpinion::*;
        let cases: [(&[Cause], SecondOpinion, Decision); 16] = [
            (&[Crashed], Settled, TryAgain),
            (&[Crashed, Crashed], Settled, TryAgain),
            (&[Crashed, OutOfMemory, NoOutput], Open, GiveUpFrame),
            (&[Crashed, InvalidOutput, UploadFailed, Stalled], Settled, GiveUpFrame),
            (&[TimedOut, DeviceUnavailable, TimedOut], Settled, GiveUpFrame),
            (&[AgentStopped, AgentStopped, AgentStopped, AgentStopped], Settled, TryAgain),
            (&[DiskFull, DiskFull, DiskFull, Superseded], Settled, TryAgain),
            (&[Crashed, Crashed, DiskFull], Settled, TryAgain),
            (&[LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired], Settled, TryAgain),
            (&[LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired, LeaseExpired], Settled, GiveUpFrame),
            (&[LeaseExpired, LeaseExpired, Crashed, LeaseExpired, Crashed, LeaseExpired], Settled, TryAgain),
            (&[BadScene], Settled, GiveUpJob),
            (&[BadScene], Open, TryAgain),
            (&[BadScene, BadScene, BadScene], Open, GiveUpFrame),
            (&[Crashed, MissingFile], Settled, GiveUpJob),
            (&[ScriptsBlocked], Settled, GiveUpJob),
        ];
        for (causes, opinion, decision) in cases {
            let last = *causes.last().unwrap();
            let history = History::of(causes.iter().copied());
            assert_eq!(decide(last, history, 3, opinion), decision, "{causes:?}, {opinion:?}");
        }
        assert_eq!(decide(Crashed, History::of([Crashed]), 1, Settled), GiveUpFrame);
    }

    #[test]
    fn what_an_agent_cannot_render_is_no_attempt_until_the_frame_is_begun() {
        use Cause::{Crashed, DeviceUnavailable};
        use DeviceKind::{Cpu, Optix};
        use Stage::{Preparing, Rendering};
        #[rustfmt::skip]
        let cases = [
            // Nobody had looked: now it would get it for another device, or not at all.
            (DeviceUnavailable, Preparing, None, None, Refusal::Uninformed),
            (DeviceUnavailable, Preparing, None, Some(Some(Optix)), Refusal::Uninformed),
            (DeviceUnavailable, Rendering, None, None, Refusal::Uninformed),
            // It would get the same again.
            (DeviceUnavailable, Preparing, None, Some(None), Refusal::Standing),
            (DeviceUnavailable, Preparing, Some(Cpu), Some(Some(Cpu)), Refusal::Standing),
            (DeviceUnavailable, Preparing, Some(Optix), Some(Some(Cpu)), Refusal::Standing),
            // A frame that breaks GPUs must not go round for ever.
            (DeviceUnavailable, Rendering, Some(Optix), Some(Some(Optix)), Refusal::No),
            (DeviceUnavailable, Rendering, None, Some(None), Refusal::No),
            (Crashed, Preparing, None, None, Refusal::No),
        ];
        for (cause, stage, leased_for, matched, expected) in cases {
            let found = refusal(cause, stage, leased_for, matched);
            assert_eq!(found, expected, "{cause}, {stage:?}, {leased_for:?}, {matched:?}");
        }
    }

    #[test]
    fn a_frame_wishes_for_what_its_last_attempt_lacked() {
        for cause in Cause::ALL {
            let wished = match cause {
                Cause::OutOfMemory => Wish::MoreMemory,
                Cause::AgentStopped | Cause::Superseded => Wish::None,
                _ => Wish::AnotherAgent,
            };
            assert_eq!(wish(cause), wished, "{cause}");
        }
    }

    #[test]
    fn failures_in_a_row_speak_against_their_agent() {
        use Cause::*;
        use Streak::{OnOneJob, OnSeveralJobs};
        const NO_STREAK: Streak = Streak::None;
        type Attempts = &'static [(u8, Option<Cause>)];
        #[rustfmt::skip]
        let cases: [(Attempts, Streak); 8] = [
            (&[], NO_STREAK),
            (&[(1, Some(Crashed)), (2, Some(Crashed)), (1, Some(Crashed))], NO_STREAK),
            (&[(1, Some(Crashed)), (2, Some(Stalled)), (1, Some(Crashed)), (1, Some(NoOutput))], OnSeveralJobs),
            (&[(1, Some(Crashed)), (1, Some(Stalled)), (1, Some(TimedOut)), (1, Some(NoOutput))], OnOneJob),
            // What was before does not count.
            (&[(1, Some(Crashed)), (1, Some(Crashed)), (1, Some(Crashed)), (1, Some(Crashed)), (2, Some(Crashed))], OnOneJob),
            (&[(1, Some(Crashed)), (2, None), (1, Some(Crashed)), (1, Some(Crashed))], NO_STREAK),
            (&[(1, Some(BadScene)), (2, Some(BadScene)), (3, Some(BadScene)), (4, Some(BadScene))], NO_STREAK),
            (&[(1, Some(AgentStopped)), (2, Some(Crashed)), (3, Some(Crashed)), (4, Some(Crashed))], NO_STREAK),
        ];
        for (attempts, expected) in cases {
            assert_eq!(streak(attempts), expected, "{attempts:?}");
        }
    }
}
