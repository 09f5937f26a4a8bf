//! A bare Debian in a folder, made once by debootstrap: what a new machine has, systemd and Blender included, and nothing of Haywain's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::foreground;
use crate::packages::{self, Package};
use crate::programs;
use crate::workspace::Workspace;

/// What is added to the smallest Debian: what the pasted line calls, and what makes a machine of it.
const INCLUDED: &str = "ca-certificates,curl,systemd";

/// The folder of the root, which is made if it is not there.
pub(super) fn ensure(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let root = workspace.target.join("install-test").join("debian");
    // It gets its name when it is whole.
    if !root.is_dir() {
        let part = root.with_extension("part");
        if part.exists() {
            foreground::run(Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(&part))?;
        }
        make(&part)?;
        std::fs::rename(&part, &root).with_context(|| format!("renaming {}", part.display()))?;
    }
    Ok(root)
}

fn make(root: &Path) -> anyhow::Result<()> {
    if programs::on_path("debootstrap").is_none() {
        packages::install(&[Package::debian("debootstrap")])?;
    }
    std::fs::create_dir_all(root).with_context(|| format!("creating {}", root.display()))?;
    let (mirror, release) = mirror()?;
    println!("==> A bare Debian in {}", root.display());
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={INCLUDED}"), &release]).arg(root).arg(&mirror);
    foreground::run(&mut debootstrap)?;
    // Services are not to start here, and what is fetched is not to stay.
    let blender = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
        && apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends blender \
        && rm /usr/sbin/policy-rc.d && apt-get clean";
    foreground::run(Command::new("chroot").arg(root).args(["sh", "-c", blender]))
}

/// Where this machine's apt gets the release from that it runs.
fn mirror() -> anyhow::Result<(String, String)> {
    let format = "$(REPO_URI) $(CODENAME) $(SUITE) $(COMPONENT)";
    let targets = foreground::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
        "Origin: Debian",
    ]))
    .context("asking apt for its mirror")?;
    let lines = targets.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // Updates and security have names with a dash.
    let found = lines.into_iter().find_map(|line| match line.as_slice() {
        [uri, codename, _, "main"] if !codename.contains('-') => Some(((*uri).to_owned(), (*codename).to_owned())),
        _ => None,
    });
    let Some(found) = found else { bail!("apt knows no Debian to make a bare root of: run apt-get update, on Debian") };
    Ok(found)
}
