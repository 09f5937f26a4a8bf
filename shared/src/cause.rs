//! Why an attempt ended without a frame. The words are the same in code, on the wire, in logs and in what people read.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why an attempt ended without a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Blender died.
    Crashed,
    /// Blender, or the machine, had not enough memory.
    OutOfMemory,
    /// The frame took longer than its time limit.
    TimedOut,
    /// Blender lived but did nothing: no progress, no output, no CPU time.
    Stalled,
    /// The scene wants a file that is not there.
    MissingFile,
    /// Blender cannot read the scene, or the scene cannot be rendered (no camera, unknown engine).
    BadScene,
    /// The scene needs Python that it was not allowed to run.
    ScriptsBlocked,
    /// Blender said that it was done and left no file.
    NoOutput,
    /// Blender left a file that is no whole image of the right size.
    InvalidOutput,
    /// This machine, or this build of Blender, cannot do what the scene asks for.
    DeviceUnavailable,
    /// The agent's disk is full.
    DiskFull,
    /// The agent was stopped.
    AgentStopped,
    /// The agent was not heard of for as long as a lease lasts.
    LeaseExpired,
    /// Another attempt's frame was recorded first.
    Superseded,
    /// The frame was rendered and could not be delivered.
    UploadFailed,
}

impl Cause {
    /// Every cause there is.
    pub const ALL: [Self; 15] = [
        Self::Crashed,
        Self::OutOfMemory,
        Self::TimedOut,
        Self::Stalled,
        Self::MissingFile,
        Self::BadScene,
        Self::ScriptsBlocked,
        Self::NoOutput,
        Self::InvalidOutput,
        Self::DeviceUnavailable,
        Self::DiskFull,
        Self::AgentStopped,
        Self::LeaseExpired,
        Self::Superseded,
        Self::UploadFailed,
    ];

    /// The cause's word, as on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out_of_memory",
            Self::TimedOut => "timed_out",
            Self::Stalled => "stalled",
            Self::MissingFile => "missing_file",
            Self::BadScene => "bad_scene",
            Self::ScriptsBlocked => "scripts_blocked",
            Self::NoOutput => "no_output",
            Self::InvalidOutput => "invalid_output",
            Self::DeviceUnavailable => "device_unavailable",
            Self::DiskFull => "disk_full",
            Self::AgentStopped => "agent_stopped",
            Self::LeaseExpired => "lease_expired",
            Self::Superseded => "superseded",
            Self::UploadFailed => "upload_failed",
        }
    }

    /// The cause that `word` names, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }

    /// Whether the scene itself is at fault, so that no other machine and no other frame would fare better.
    #[must_use]
    pub const fn is_the_scenes_fault(self) -> bool {
        matches!(self, Self::MissingFile | Self::BadScene | Self::ScriptsBlocked)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_and_the_store_use_the_same_words() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.word());
            assert_eq!(Cause::from_word(cause.word()), Some(cause));
        }
        assert_eq!(Cause::from_word("gremlins"), None);
    }
}
