//! How the program ends: one code for each thing that a script must tell apart, and what a person is told.

use std::process::ExitCode;

use haywain_shared::client::CallError;
use haywain_shared::job::JobState;
use haywain_shared::problem::ProblemKind;

use crate::scene::Refusal;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done: the job is submitted, or was watched to its completion.
    Done,
    /// Something else.
    Error,
    /// The job failed.
    JobFailed,
    /// The job was cancelled.
    JobCancelled,
    /// The orchestrator cannot be reached.
    Unreachable,
    /// Files are missing, or the input is bad: the orchestrator's word or this program's.
    Refused,
    /// Something speaks against rendering the scene that was looked at.
    Objections,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            // 2 is how wrong flags end.
            Self::JobFailed => 3,
            Self::JobCancelled => 4,
            Self::Unreachable => 5,
            Self::Refused => 6,
            Self::Objections => 7,
            Self::Interrupted => 130,
        }
    }

    /// How the program ends after watching a job to this state; `None` while the job has not ended.
    #[must_use]
    pub const fn of_job(state: JobState) -> Option<Self> {
        match state {
            JobState::Completed => Some(Self::Done),
            JobState::Failed => Some(Self::JobFailed),
            JobState::Cancelled => Some(Self::JobCancelled),
            JobState::Pending | JobState::Running | JobState::Paused => None,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What `--help` says about it.
pub const HELP: &str = "Exit codes:\n  \
      0  done; with --watch: the job is completed\n  \
      1  an error that is none of the following\n  \
      2  wrong flags\n  \
      3  the job failed\n  \
      4  the job was cancelled\n  \
      5  the orchestrator cannot be reached\n  \
      6  refused: files are missing, a file is no .blend, or the orchestrator does not take the input\n  \
      7  `inspect` found something that speaks against rendering the scene\n\
    130  stopped by Ctrl-C; a job that was submitted goes on";

/// Why a command did not do what it was told.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What failed, on what, and what to do.
    pub message: String,
}

/// What a command comes to.
pub type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// An error that is none of the special ones.
    pub fn error(message: impl Into<String>) -> Self {
        Self { exit: Exit::Error, message: message.into() }
    }

    /// Something that is not taken.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, message: message.into() }
    }

    /// An end by Ctrl-C.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { exit: Exit::Interrupted, message: message.into() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Unreachable { .. } => Self {
                exit: Exit::Unreachable,
                message: format!(
                    "{error}\nIs the orchestrator running, and is this its address? --server URL says another"
                ),
            },
            CallError::Busy { .. } => Self { exit: Exit::Unreachable, message: error.to_string() },
            CallError::Refused { problem, .. } if problem.kind == ProblemKind::Unauthenticated => {
                Self::refused(format!("{error}\n`haywain login` keeps a token for this orchestrator"))
            }
            CallError::Refused { .. } => Self::refused(error.to_string()),
            CallError::Unreadable { .. } => Self::error(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::problem::Problem;

    use super::*;

    #[test]
    fn every_end_has_its_code_and_the_help_names_it() {
        let ends = [
            (Exit::Done, 0),
            (Exit::Error, 1),
            (Exit::JobFailed, 3),
            (Exit::JobCancelled, 4),
            (Exit::Unreachable, 5),
            (Exit::Refused, 6),
            (Exit::Objections, 7),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in ends {
            assert_eq!(exit.code(), code);
            assert!(HELP.contains(&format!(" {code}  ")) || HELP.contains(&format!("{code}  ")), "{code}");
        }
    }

    #[test]
    fn errors_end_by_their_kind() {
        let refused = |status| CallError::Refused {
            call: "test",
            problem: Problem { kind: ProblemKind::InvalidInput, status, detail: "no".to_owned() },
        };
        for (error, exit) in [
            (CallError::Unreachable { call: "test", reason: "refused".to_owned() }, Exit::Unreachable),
            (CallError::Busy { call: "test", status: 503, retry_after: None }, Exit::Unreachable),
            (refused(400), Exit::Refused),
            (refused(409), Exit::Refused),
            (CallError::Unreadable { call: "test", reason: "html".to_owned() }, Exit::Error),
        ] {
            assert_eq!(Failure::from(error).exit, exit);
        }
    }
}
