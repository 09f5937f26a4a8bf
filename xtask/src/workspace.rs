//! The workspace and its cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::foreground;

/// Where the workspace is and what builds it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The workspace's folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

/// The two programs of the farm.
#[derive(Debug)]
pub(crate) struct FarmPrograms {
    /// `haywain-orchestrator`.
    pub(crate) orchestrator: PathBuf,
    /// `haywain-agent`.
    pub(crate) agent: PathBuf,
}

/// What the bench of blobs runs.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) programs: FarmPrograms,
    /// `haywain`.
    pub(crate) client: PathBuf,
    /// `bare_files`, an example.
    pub(crate) bare_files: PathBuf,
    /// `bare_hash`, an example.
    pub(crate) bare_hash: PathBuf,
}

impl Workspace {
    /// The workspace that this program belongs to.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"]).arg(manifest);
        let metadata: Value = serde_json::from_str(&foreground::output(&mut command)?).context("cargo metadata")?;
        let folder = |name| metadata[name].as_str().map(PathBuf::from).with_context(|| format!("no {name} from cargo"));
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// Cargo, in the workspace's folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// The scene that the demo renders.
    pub(crate) fn demo_scene(&self) -> PathBuf {
        self.root.join("deploy").join("demo").join("scene.blend")
    }

    /// Builds the farm's programs.
    pub(crate) fn build_farm(&self, profile: Profile) -> anyhow::Result<FarmPrograms> {
        let messages = self.build(profile, &["--package", "haywain-orchestrator", "--package", "haywain-agent"])?;
        let orchestrator = executable(&messages, "haywain-orchestrator")?;
        Ok(FarmPrograms { orchestrator, agent: executable(&messages, "haywain-agent")? })
    }

    /// Builds all that the bench of blobs needs, in release and at once: one after the other, each would want what they all
    /// depend on with other features, and that takes minutes.
    pub(crate) fn build_for_blobs(&self) -> anyhow::Result<Built> {
        let packages = ["haywain-orchestrator", "haywain-agent", "haywain-client"];
        let packages = packages.into_iter().flat_map(|package| ["--package", package]);
        let examples = ["--bins", "--example", "bare_files", "--example", "bare_hash"];
        let messages = self.build(Profile::Release, &packages.chain(examples).collect::<Vec<_>>())?;
        let program = |name| executable(&messages, name);
        Ok(Built {
            programs: FarmPrograms { orchestrator: program("haywain-orchestrator")?, agent: program("haywain-agent")? },
            client: program("haywain")?,
            bare_files: program("bare_files")?,
            bare_hash: program("bare_hash")?,
        })
    }

    /// What cargo says that it has built.
    fn build(&self, profile: Profile, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.cargo();
        command.arg("build").args((profile == Profile::Release).then_some("--release")).args(arguments);
        println!("==> {}", foreground::shown(&command));
        // Cargo shows its progress on standard error; what it has made, it says as JSON.
        command.arg("--message-format=json-render-diagnostics");
        foreground::output(&mut command)
    }
}

/// The cargo that runs this program, else the one on PATH.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // What `cargo run` has said of this program's own package would make it build some of the dependencies anew.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)) {
            command.env_remove(&variable);
        }
    }
    command
}

/// The program of that name among cargo's messages about what it has built.
fn executable(messages: &str, name: &str) -> anyhow::Result<PathBuf> {
    let found = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    found.with_context(|| format!("cargo has built no {name}"))
}

/// Fails when a file is missing that is part of the workspace.
pub(crate) fn must_exist(file: &Path) -> anyhow::Result<()> {
    if !file.is_file() {
        bail!("{} is missing: is this a whole checkout?", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_has_built_is_found_by_its_name() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"haywain-agent"},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"haywain-agent"},"executable":"/t/release/haywain-agent"}"#,
        );
        assert_eq!(executable(messages, "haywain-agent").unwrap(), Path::new("/t/release/haywain-agent"));
        executable(messages, "haywain-orchestrator").unwrap_err();
    }
}
