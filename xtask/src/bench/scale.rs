//! What two more agents bring while a job runs, against three times what one does before they come and after they have left. The
//! frames wait more than they compute, so that three agents fit on two processors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::farm::Farm;
use crate::foreground;
use crate::http::Client;
use crate::workspace::{Profile, Workspace};
use crate::{blender, interrupt};

/// The agents: the first is there all the time.
const AGENTS: [&str; 3] = ["first", "second", "third"];
/// Frames of the job: more than the bench renders.
const FRAMES: u32 = 100_000;
/// The most attempts that the orchestrator tells in one answer.
const TOLD: usize = 10_000;
/// How long any call may take, and how long agents may take to come.
const CALL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is looked.
const GLANCE: Duration = Duration::from_millis(20);
/// What issue 7 asks for.
const GOAL: f64 = 0.9;

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// For how long frames are counted, with one agent and with three
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=600))]
    window: u64,
}

/// A farm with a job that waits.
struct Stage {
    farm: Farm,
    client: Client,
    job: String,
}

/// Measures, and prints the figures.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let programs = workspace.build_farm(Profile::Release)?;
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let scene = make_scene(&workspace, &folder)?;
    let mut stage = Stage::open(Farm::start(&programs, &folder, &scene)?)?;
    let window = Duration::from_secs(flags.window);
    let hire = |stage: &mut Stage, name| stage.farm.start_agent_with(&programs, name, &["--allow-scripts"]);

    hire(&mut stage, AGENTS[0])?;
    let before = stage.rate(&AGENTS[..1], window)?;
    println!("    one agent: {before:.3} frames a second");
    for name in &AGENTS[1..] {
        hire(&mut stage, name)?;
    }
    let all = stage.rate(&AGENTS, window)?;
    println!("    three agents: {all:.3} frames a second");
    stage.farm.keep_agents(1);
    let after = stage.rate(&AGENTS[..1], window)?;
    println!("    one agent again: {after:.3} frames a second");
    let frames = stage.expect_each_frame_once()?;
    let alone = f64::midpoint(before, after);
    let ratio = all / (3.0 * alone);
    println!(
        "three agents / three times one agent: {ratio:.3} (asked: at least {GOAL}); {frames} frames, none rendered twice"
    );
    if ratio < GOAL {
        bail!("three agents did {ratio:.3} of three times one agent's frames, less than {GOAL}");
    }
    drop(stage);
    // Kept when it fails: the logs are in it.
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}

fn make_scene(workspace: &Workspace, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut blender = Command::new(blender::ensure()?);
    blender.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
    blender.arg(workspace.root.join("agent/tests/scenes/waits.py")).arg("--").arg(folder);
    blender.env("PYTHONDONTWRITEBYTECODE", "1");
    foreground::output(&mut blender)?;
    Ok(folder.join("waits.blend"))
}

impl Stage {
    fn open(farm: Farm) -> anyhow::Result<Self> {
        let client = Client::new(farm.url(), CALL);
        let body = json!({"from": 1, "to": FRAMES, "scripts": true});
        let answer = client.post("/render", &body)?.expect_status(202)?;
        let job = answer.json()?["jobId"].as_str().context("a job has an id")?.to_owned();
        Ok(Self { farm, client, job: format!("/api/v1/jobs/{job}") })
    }

    /// Frames a second over `window`, from the moment on at which each of these agents has delivered a frame since now.
    fn rate(&mut self, agents: &[&str], window: Duration) -> anyhow::Result<f64> {
        let at_first = self.shares(agents)?;
        let mut counted = self.wait(|shares| shares.iter().zip(&at_first).all(|(now, first)| now > first), agents)?;
        let (first, started) = counted;
        while counted.1.duration_since(started) < window {
            let so_far = counted.0;
            counted = self.wait(|shares| shares.iter().sum::<u64>() > so_far, agents)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "frames are few")]
        let frames = (counted.0 - first) as f64;
        Ok(frames / counted.1.duration_since(started).as_secs_f64())
    }

    /// Waits until the frames of these agents are as `enough` wants them: their sum, and when that was seen.
    fn wait(&mut self, enough: impl Fn(&[u64]) -> bool, agents: &[&str]) -> anyhow::Result<(u64, Instant)> {
        let began = Instant::now();
        loop {
            let shares = self.shares(agents)?;
            if enough(&shares) {
                return Ok((shares.iter().sum(), Instant::now()));
            }
            self.farm.check()?;
            if began.elapsed() > PATIENCE {
                bail!("no frames for {} s from {agents:?}", PATIENCE.as_secs());
            }
            interrupt::pause(GLANCE)?;
        }
    }

    /// How many frames each of these agents has delivered.
    fn shares(&self, agents: &[&str]) -> anyhow::Result<Vec<u64>> {
        let report = self.client.get_json(&self.job)?;
        let shares = report["agents"].as_array().context("a job without shares")?;
        let of = |name: &&str| shares.iter().find(|share| share["agent"] == **name);
        Ok(agents.iter().map(|name| of(name).and_then(|share| share["frames"].as_u64()).unwrap_or(0)).collect())
    }

    /// Fails when a frame was tried more than once: how many were.
    fn expect_each_frame_once(&self) -> anyhow::Result<usize> {
        let list = self.client.get_json(&format!("{}/attempts", self.job))?;
        let attempts = list["attempts"].as_array().context("a list of attempts")?;
        if attempts.len() >= TOLD {
            bail!("there are more attempts than can be looked through: take a shorter window");
        }
        let frames: BTreeSet<_> = attempts.iter().filter_map(|attempt| attempt["frame"].as_i64()).collect();
        if let Some(failed) = attempts.iter().find(|attempt| attempt["cause"] != Value::Null) {
            bail!("an attempt has failed: {failed}");
        }
        if frames.len() != attempts.len() {
            bail!("{} frames were tried {} times", frames.len(), attempts.len());
        }
        Ok(frames.len())
    }
}
