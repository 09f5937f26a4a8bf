//! cargo-deny, and finding files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::foreground;
use crate::programs;
use crate::workspace::Workspace;

/// The version that deny.toml is written for, and that is installed where there is none of its series.
const VERSION: &str = "0.20.2";
/// What programs of its series say that they are.
const SERIES: &str = "cargo-deny 0.20.";

/// The folder of tools that only the tests need.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("test-tools")
}

/// cargo-deny, in the workspace's folder.
pub(super) fn cargo_deny(workspace: &Workspace) -> anyhow::Result<Command> {
    let program = find_cargo_deny(workspace)?.context("there is no cargo-deny here: run the step setup first")?;
    let mut command = Command::new(program);
    command.arg("deny").current_dir(&workspace.root);
    Ok(command)
}

/// Where cargo-deny is; it is installed if there is none.
pub(super) fn ensure_cargo_deny(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(program) = find_cargo_deny(workspace)? {
        return Ok(program);
    }
    let mut command = workspace.cargo();
    // Without optimization: it builds in half the time, and then runs for seconds.
    command
        .args(["install", "cargo-deny", "--locked", "--debug", "--version", VERSION, "--root"])
        .arg(folder(workspace));
    println!("    There is no cargo-deny; it will be installed by\n    {}", foreground::shown(&command));
    foreground::run(&mut command)?;
    find_cargo_deny(workspace)?.context("cargo-deny was installed and does not run")
}

fn find_cargo_deny(workspace: &Workspace) -> anyhow::Result<Option<PathBuf>> {
    let own = folder(workspace).join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    for program in std::iter::once(own).chain(programs::on_path("cargo-deny")).filter(|program| program.is_file()) {
        let version = foreground::output(Command::new(&program).arg("--version")).unwrap_or_default();
        if version.starts_with(SERIES) {
            return Ok(Some(program));
        }
        crate::interrupt::check()?;
    }
    Ok(None)
}

/// Adds all files below `folder` whose names end in `.extension`.
pub(super) fn files_ending(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let reading = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_dir() {
            files_ending(&path, extension, files)?;
        } else if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
    Ok(())
}
