//! `cargo xtask demo`: one orchestrator and two agents render a short film, watched by a client.

mod progress;
mod summary;
mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::farm::Farm;
use crate::http::Client;
use crate::workspace::{Profile, Workspace, must_exist};
use crate::{blender, interrupt};

/// How long a call to the orchestrator may take.
const CALL: Duration = Duration::from_secs(10);
/// The agents' names.
const AGENTS: [&str; 2] = ["one", "two"];

/// What the demo can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many frames to render
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frames: u32,
}

/// Runs the demo.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let scene = workspace.demo_scene();
    must_exist(&scene)?;
    let blender = blender::ensure()?;
    let programs = workspace.build_farm(Profile::Release)?;

    let folder = folder_of_its_own()?;
    println!("==> one orchestrator and {} agents, in {}", AGENTS.len(), folder.display());
    println!("    Blender: {}", blender.display());
    let mut farm = Farm::start(&programs, &folder, &scene)?;
    println!("    orchestrator: {}", farm.url());
    for name in AGENTS {
        farm.start_agent(&programs, name)?;
    }

    let client = Client::new(farm.url(), CALL);
    let body = json!({ "from": 1, "to": flags.frames });
    println!("==> POST /render {body}");
    let submitted = Instant::now();
    let answer = client.post("/render", &body)?.expect_status(202)?;
    let path = answer.location.clone().context("the orchestrator has named no Location")?;
    let job = answer.json()?["jobId"].as_str().context("the orchestrator has named no jobId")?.to_owned();
    println!("    job {job}, to be watched at {path}");

    watch::until_done(&client, &path, &mut farm)?;
    let wall = submitted.elapsed();
    let report = client.get_json(&path)?;
    // The farm is at rest before its results are shown: whoever reads them can trust that nothing is running any more.
    drop(farm);
    interrupt::check()?;
    print!("{}", summary::of(&report, wall));
    let frames = report["outputFolder"].as_str().context("the orchestrator does not say where the frames are")?;
    println!("The frames are in {frames}\n{}", first_and_last(Path::new(frames))?);
    Ok(())
}

/// A new folder in the current one.
fn folder_of_its_own() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("finding the current folder")?;
    let base = format!("demo-{}", std::process::id());
    let names = std::iter::once(base.clone()).chain((2..100).map(|n| format!("{base}-{n}")));
    for folder in names.map(|name| here.join(name)) {
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("creating {}", folder.display())),
        }
    }
    bail!("there are already a hundred folders {base}-… here");
}

/// The names of the first and of the last file, by name.
fn first_and_last(folder: &Path) -> anyhow::Result<String> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names: Vec<_> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match (names.first(), names.last()) {
        (Some(first), Some(last)) => Ok(format!("{} files, from {first} to {last}", names.len())),
        _ => bail!("the job is completed, and {} is empty", folder.display()),
    }
}
