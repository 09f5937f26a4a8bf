//! The step that installs: after it, every program is there that the other steps call.

use std::process::Command;

use super::steps::Outcome;
use super::{bpy, deploy, fuzz, nat, tools};
use crate::blender;
use crate::foreground;
use crate::workspace::Workspace;

/// Looks for everything, and installs what is missing.
pub(super) fn ensure(workspace: &Workspace) -> anyhow::Result<Outcome> {
    components(workspace)?;
    println!("    Blender: {}", blender::ensure()?.display());
    println!("    cargo-deny: {}", tools::ensure_cargo_deny(workspace)?.display());
    deploy::ensure()?;
    nat::ensure()?;
    match bpy::ensure(workspace) {
        Ok(python) => println!("    bpy: {}", python.display()),
        Err(error) => {
            bpy::must_it_be_there().map_err(|reason| error.context(reason))?;
            return Ok(Outcome::Skipped(format!(
                "the tests with bpy: this platform has none ({})",
                std::env::consts::OS
            )));
        }
    }
    println!("    schemathesis: {}", fuzz::ensure(workspace)?.display());
    Ok(Outcome::Passed)
}

/// The toolchain's components that a minimal installation lacks.
fn components(workspace: &Workspace) -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !foreground::succeeds(workspace.cargo().args([subcommand, "--version"]))? {
            let mut command = Command::new("rustup");
            command.args(["component", "add", component]).current_dir(&workspace.root);
            println!(
                "    There is no `cargo {subcommand}`; it will be installed by\n    {}",
                foreground::shown(&command)
            );
            foreground::run(&mut command)?;
        }
    }
    Ok(())
}
