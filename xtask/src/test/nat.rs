//! The farm across the internet: its tests get namespaces of their own (network, mounts, processes), as root or as a user, and
//! nothing that they do there outlives them. Where the system gives nobody any, the step is skipped aloud.

use std::process::Command;

use anyhow::Context as _;

use super::steps::{Outcome, with_blenders};
use crate::foreground;
use crate::interrupt::Interrupted;
use crate::packages::{self, Package};
use crate::programs;
use crate::workspace::Workspace;

/// What the tests call, and the packages that it comes from.
const PROGRAMS: [(&str, Package); 2] =
    [("ip", Package { dnf: Some("iproute"), ..everywhere("iproute2") }), ("nft", everywhere("nftables"))];
/// The ways to get namespaces: as root, and as a user who is root in them.
const WAYS: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
/// What they are to be: of the network, of mounts and of processes. All ends with the first process in them, and that with `unshare`.
const OWN: [&str; 6] = ["--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"];
/// Namespaces of the network are named in `/run`: that of the tests is their own.
const ENTER: &str = r#"mount -t tmpfs tmpfs /run && exec "$@""#;
/// Where programs lie that are not on everybody's PATH.
const SYSTEM_PROGRAMS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// Nobody there is behind a proxy.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A package of this name.
const fn everywhere(name: &'static str) -> Package {
    Package { apt: Some(name), dnf: Some(name), pacman: Some(name), zypper: Some(name), brew: None, winget: None }
}

/// The means to run a command in namespaces of its own.
#[derive(Debug, Clone, Copy)]
struct Namespaces(&'static [&'static str]);

impl Namespaces {
    /// What this system allows, if it allows any.
    fn find() -> Result<Option<Self>, Interrupted> {
        for way in WAYS.map(Self) {
            if cfg!(target_os = "linux") && foreground::succeeds(way.command().arg("true"))? {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }

    /// The command that is given to it as arguments, in them.
    fn command(self) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.0).args(OWN).args(["sh", "-c", ENTER, "sh"]);
        command
    }
}

/// Installs what the tests call, where they can run.
pub(super) fn ensure() -> anyhow::Result<()> {
    if Namespaces::find()?.is_none() {
        return Ok(());
    }
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(name, _)| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("    These are missing: {}", missing.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    packages::install(&missing.iter().map(|(_, package)| *package).collect::<Vec<_>>())
        .context("what the tests across a NAT call could not be installed")
}

fn is_there(program: &str) -> bool {
    programs::on_path(program).is_some()
        || SYSTEM_PROGRAMS.iter().any(|folder| std::path::Path::new(folder).join(program).is_file())
}

/// Runs the tests.
pub(super) fn test(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let Some(namespaces) = Namespaces::find()? else {
        let reason = "no network namespace can be made here, neither as root nor as a user".to_owned();
        println!("SKIPPED: nat ({reason})");
        return Ok(Outcome::Skipped(reason));
    };
    // Before, as nothing can be fetched from in there; one by one, as the tests ask for them: together they would share features.
    let built: [&[&str]; 3] = [
        &["build", "--package", "haywain-orchestrator"],
        &["build", "--package", "haywain-client"],
        &["test", "--package", "haywain-agent", "--test", "nat", "--no-run"],
    ];
    for arguments in built {
        foreground::run(workspace.cargo().args(arguments))?;
    }
    let cargo = workspace.cargo();
    let mut command = namespaces.command();
    command.arg(cargo.get_program()).args(["test", "--offline", "--package", "haywain-agent", "--test", "nat"]);
    command.current_dir(&workspace.root).env("PATH", path_with_system_programs()?);
    for variable in PROXIES {
        command.env_remove(variable);
    }
    with_blenders(workspace, &mut command)?;
    println!("    {}", foreground::shown(&command));
    foreground::run(&mut command)?;
    Ok(Outcome::Passed)
}

fn path_with_system_programs() -> anyhow::Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_PROGRAMS.map(Into::into));
    std::env::join_paths(folders).context("PATH")
}
