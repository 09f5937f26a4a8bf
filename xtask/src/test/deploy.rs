//! The step that looks after `deploy/`: how exposed the units leave their programs, and what shellcheck has against the scripts.

use std::path::PathBuf;
use std::process::Command;

use super::steps::{Outcome, passes};
use super::tools;
use crate::packages::{self, Package};
use crate::programs;
use crate::workspace::Workspace;

/// The units, and how exposed each may be at the most, in tenths of what `systemd-analyze security` says.
const UNITS: [(&str, u8); 2] = [("haywain-agent.service", 30), ("haywain-orchestrator.service", 20)];

const SHELLCHECK: Package = Package {
    apt: Some("shellcheck"),
    dnf: Some("ShellCheck"),
    pacman: Some("shellcheck"),
    zypper: Some("ShellCheck"),
    brew: Some("shellcheck"),
    winget: Some("koalaman.shellcheck"),
};

/// Installs what the step calls.
pub(super) fn ensure() -> anyhow::Result<()> {
    if programs::on_path("shellcheck").is_none() {
        println!("    There is no shellcheck.");
        packages::install(&[SHELLCHECK])?;
    }
    // Elsewhere than on Linux there is no systemd to be had.
    if cfg!(target_os = "linux") && programs::on_path("systemd-analyze").is_none() {
        println!("    There is no systemd-analyze.");
        packages::install(&[Package { dnf: Some("systemd"), ..Package::debian("systemd") }])?;
    }
    Ok(())
}

/// Does it.
pub(super) fn run(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let folder = workspace.root.join("deploy");
    let mut scripts: Vec<PathBuf> = Vec::new();
    tools::files_ending(&folder, "sh", &mut scripts)?;
    passes(Command::new("shellcheck").args(&scripts))?;
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped("the units: this system has no systemd-analyze".to_owned()));
    }
    for (unit, most) in UNITS {
        let unit = folder.join("systemd").join(unit);
        let mut analyze = Command::new("systemd-analyze");
        passes(analyze.args(["security", "--offline=true", "--no-pager", &format!("--threshold={most}")]).arg(unit))?;
    }
    Ok(Outcome::Passed)
}
