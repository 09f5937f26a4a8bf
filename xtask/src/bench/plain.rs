//! Hashing with nothing around it, by a program that is built as the farm's are: this one is built to be built quickly.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::{timed, write_again_and_again};

/// The program that hashes.
#[derive(Debug)]
pub(super) struct Plain(pub(super) PathBuf);

impl Plain {
    /// The digest of so many bytes made of `piece`, as hexadecimal digits.
    pub(super) fn digest(&self, piece: &[u8], size_bytes: u64) -> anyhow::Result<String> {
        let mut command = Command::new(&self.0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("starting {}", self.0.display()))?;
        if let Some(mut into) = child.stdin.take() {
            write_again_and_again(piece, size_bytes, &mut into)?;
        }
        let output = child.wait_with_output().context("hashing")?;
        let written = String::from_utf8(output.stdout).context("a digest")?;
        written.lines().next().map(str::to_owned).context("no digest was said")
    }

    /// How long it takes to hash these files, one after the other.
    pub(super) fn time(&self, files: &[PathBuf]) -> anyhow::Result<Duration> {
        Ok(timed::output(Command::new(&self.0).args(files))?.took)
    }
}
