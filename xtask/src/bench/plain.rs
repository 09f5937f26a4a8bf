//! Hashing with nothing around it, by a program that is built as the farm's are: this one is built to be built quickly.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::timed;
use crate::workspace::Workspace;

/// The program that hashes.
#[derive(Debug)]
pub(super) struct Plain(PathBuf);

impl Plain {
    pub(super) fn build(workspace: &Workspace) -> anyhow::Result<Self> {
        Ok(Self(workspace.build_example("haywain-orchestrator", "bare_hash")?))
    }

    /// The digest of a file, as hexadecimal digits.
    pub(super) fn digest(&self, file: &Path) -> anyhow::Result<String> {
        let output = timed::output(Command::new(&self.0).arg(file))?.written;
        output.lines().next().map(str::to_owned).with_context(|| format!("no digest of {}", file.display()))
    }

    /// How long it takes to hash these files, one after the other.
    pub(super) fn time(&self, files: &[PathBuf]) -> anyhow::Result<Duration> {
        Ok(timed::output(Command::new(&self.0).args(files))?.took)
    }
}
