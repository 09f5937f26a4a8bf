//! `cargo xtask package`: Debian packages of the agent and the orchestrator, for the processor of this machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::foreground;
use crate::workspace::{Profile, Workspace};

/// The version of cargo-deb that the packages are described for.
const VERSION: &str = "3.8.0";
/// What is packed: the agent first, as it is part of the orchestrator's package too.
const PACKAGES: [&str; 2] = ["haywain-agent", "haywain-orchestrator"];

/// Makes the packages, and says where they are.
pub(crate) fn run() -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("Debian packages are made on Linux");
    }
    let workspace = Workspace::find()?;
    let cargo_deb = ensure_cargo_deb(&workspace)?;
    workspace.build_farm(Profile::Release)?;
    for package in PACKAGES {
        let mut command = Command::new(&cargo_deb);
        command.args(["--no-build", "--package", package]).current_dir(&workspace.root);
        println!("==> {}", foreground::shown(&command));
        foreground::run(&mut command)?;
    }
    Ok(())
}

/// cargo-deb; it is installed if there is none.
fn ensure_cargo_deb(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target.join("package-tools");
    let program = folder.join("bin").join("cargo-deb");
    if !program.is_file() {
        let mut command = workspace.cargo();
        command.args(["install", "cargo-deb", "--locked", "--debug", "--version", VERSION, "--root"]).arg(&folder);
        println!("==> There is no cargo-deb; it will be installed by\n    {}", foreground::shown(&command));
        foreground::run(&mut command)?;
    }
    program.is_file().then_some(program).context("cargo-deb was installed and is not where it should be")
}
