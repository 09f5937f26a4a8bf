//! An agent on a machine of its own, as far as files go: it runs in a mount namespace in which neither the artist's folder nor the
//! orchestrator's can be seen, so that whatever it renders has come to it by the protocol.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use haywain_shared::job::JobState;

use crate::blenders::{self, Kind, cold_frame};
use crate::farm::{Farm, pictures};
use crate::places::Project;

/// Mounts something empty over each folder up to the first `--`, and becomes the program behind it. The mounts are the
/// namespace's and go with it.
const HIDE: &str = r#"
    while [ "$1" != -- ]; do mount -t tmpfs -o size=64k,mode=755 hidden "$1" || exit 1; shift; done
    shift; exec "$@""#;

/// Puts one file in place of another, and becomes the program behind them.
const REPLACE: &str = r#"mount --bind "$1" "$2" || exit 1; shift 2; exec "$@""#;

/// The means to run a program in a mount namespace of its own.
pub(crate) struct Apart {
    /// What `unshare` is told.
    flags: &'static [&'static str],
}

impl Apart {
    /// As root, else in a user namespace; `None` where the system allows neither, which is said.
    pub(crate) fn find(what_for: &str) -> Option<Self> {
        let found = Self::look();
        if found.is_none() {
            // Not by `eprintln!`, which nobody sees of a test that passes.
            let text = format!("SKIPPED: {what_for} (no mount namespace can be made here, not even as a user)\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
        }
        found
    }

    fn look() -> Option<Self> {
        let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let folder = tempfile::tempdir().unwrap();
        ways.into_iter().map(|flags| Self { flags }).find(|apart| {
            let mut command = apart.command(Path::new("true"), &[folder.path()]);
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        })
    }

    /// `program`, from where these folders are empty. It has the number of the process that is started.
    pub(crate) fn command(&self, program: &Path, hidden: &[&Path]) -> Command {
        let mut command = self.shell(HIDE);
        command.args(hidden).arg("--").arg(program);
        command
    }

    /// `program`, from where `file` is in the place of `replaced`.
    pub(crate) fn command_with(&self, program: &Path, file: &Path, replaced: &Path) -> Command {
        let mut command = self.shell(REPLACE);
        command.args([file, replaced, program]);
        command
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.flags).args(["--propagation", "private", "sh", "-c", script, "sh"]);
        command
    }
}

/// What a path is for a process, in its own namespace.
fn seen_by(process: u64, path: &Path) -> PathBuf {
    Path::new("/proc").join(process.to_string()).join("root").join(path.strip_prefix("/").unwrap())
}

#[test]
fn an_agent_that_shares_no_folder_with_anyone_renders_what_blender_renders() {
    let Some(apart) = Apart::find("an agent that shares no folder") else { return };
    let blender = blenders::path(Kind::Program);
    let farm = Farm::start(&blenders::scene("basic"));
    let projects = blenders::made_by("projects");
    let (data_dir, home) = (farm.data_dir(), farm.folder().join("home"));
    std::fs::create_dir_all(&home).unwrap();
    let hidden: [&Path; 3] = [&projects, &data_dir, &home];
    let agent = farm.agent_apart(&apart, "apart", &blender, &hidden);
    agent.wait_for_log("agent ready");
    for folder in hidden {
        assert_eq!(std::fs::read_dir(seen_by(agent.id(), folder)).unwrap().count(), 0, "{}", folder.display());
    }
    // Else the look would prove nothing.
    assert!(seen_by(agent.id(), &farm.folder().join("apart")).is_dir());

    // Libraries by absolute paths and one that only a library names; textures by relative and absolute ones, in the project
    // and beside it.
    for name in ["libraries", "textures"] {
        let entry = Project::named(name).real_entry();
        assert!(entry.is_file() && !seen_by(agent.id(), &entry).exists());
        let job = farm.wait_for_end(&farm.submit(&entry, "7,12", &blender));
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        let pictures = pictures(&job);
        assert_eq!(pictures.len(), 2);
        for (picture, frame) in pictures.iter().zip([7, 12]) {
            assert!(picture.starts_with(&data_dir) && !seen_by(agent.id(), picture).exists());
            let cold = cold_frame(Kind::Program, &entry, frame);
            assert!(image::open(picture).unwrap() == cold, "frame {frame} of {name} differs");
        }
    }
}
