//! What the agent itself takes of its machine, beside the Blenders that it starts: idle, and for each frame and megabyte that it
//! renders and delivers. Linux only: it reads `/proc` (proc(5)).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::farm::Farm;
use crate::http::Client;
use crate::interrupt;
use crate::workspace::{Profile, Workspace, must_exist};

/// How long any call may take.
const CALL: Duration = Duration::from_secs(30);
/// The time that an agent has to find its Blenders and come to rest.
const SETTLE: Duration = Duration::from_secs(15);
/// How often it is looked whether a job has ended.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a job may take.
const LIMIT: Duration = Duration::from_mins(30);
/// The clock's ticks in a second, as the kernel counts for programs (`USER_HZ`, the same on every architecture that Blender
/// runs on).
const TICKS: f64 = 100.0;
/// A megabyte.
const MB: f64 = 1_000_000.0;
/// What issue 6 allows an idle agent, in percent of a core, and in megabytes.
const IDLE_LIMITS: (f64, f64) = (0.5, 30.0);

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// For how many seconds the idle agent is watched
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..))]
    idle_seconds: u64,
    /// How many small frames to render, and how many large ones
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,
}

/// What a process has taken so far.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cpu_seconds: f64,
    resident_mb: f64,
}

/// What a job took.
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    megabytes: f64,
    resident_mb: f64,
}

/// Measures, and prints the figures.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let scene = workspace.demo_scene();
    must_exist(&scene)?;
    let programs = workspace.build_farm(Profile::Release)?;
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut farm = Farm::start(&programs, &folder, &scene)?;
    farm.start_agent(&programs, "measured")?;
    let process = farm.agent_id(0).context("an agent that was just started")?;
    let client = Client::new(farm.url(), CALL);
    interrupt::pause(SETTLE)?;
    let (before, began) = (taken(process)?, Instant::now());
    interrupt::pause(Duration::from_secs(flags.idle_seconds))?;
    farm.check()?;
    let after = taken(process)?;
    let percent = (after.cpu_seconds - before.cpu_seconds) * 100.0 / began.elapsed().as_secs_f64();
    println!(
        "idle for {} s: {percent:.2} % of a core (asked: under {}), {:.1} MB resident (asked: under {})",
        flags.idle_seconds, IDLE_LIMITS.0, after.resident_mb, IDLE_LIMITS.1
    );
    // Blender starts with the first job: that is not the agent's time, but it may do more meanwhile.
    job(&mut farm, &client, process, 1, &json!({}))?;
    let small = job(&mut farm, &client, process, flags.frames, &json!({"resolutionPercent": 20, "samples": 1}))?;
    let large = json!({"resolutionPercent": 400, "samples": 1, "format": {"type": "OPEN_EXR", "codec": "NONE"}});
    let large = job(&mut farm, &client, process, flags.frames, &large)?;
    let frames = f64::from(flags.frames);
    for (name, cost) in [("small", &small), ("large", &large)] {
        println!(
            "{frames} {name} frames, {:.2} MB each, {:.2} frames a second: {:.2} % of a core, {:.1} ms a frame, {:.1} MB resident",
            cost.megabytes / frames,
            frames / cost.seconds,
            cost.cpu_seconds * 100.0 / cost.seconds,
            cost.cpu_seconds * 1000.0 / frames,
            cost.resident_mb,
        );
    }
    let per_mb = (large.cpu_seconds - small.cpu_seconds) / (large.megabytes - small.megabytes);
    let per_frame = (small.cpu_seconds - per_mb * small.megabytes) / frames;
    println!(
        "so {:.1} ms of a core for each frame, and {:.2} ms for each megabyte",
        per_frame * 1000.0,
        per_mb * 1000.0
    );
    drop(farm);
    // Kept when it fails: the logs are in it.
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}

/// Renders frames of the demo's scene, and says what the agent's process took for it.
fn job(farm: &mut Farm, client: &Client, process: u32, frames: u32, options: &Value) -> anyhow::Result<Cost> {
    let mut body = json!({"from": 1, "to": frames, "batchSize": 20});
    let (Some(members), Some(options)) = (body.as_object_mut(), options.as_object()) else {
        bail!("options are an object")
    };
    members.extend(options.clone());
    let (before, began) = (taken(process)?, Instant::now());
    let answer = client.post("/render", &body)?.expect_status(202)?.json()?;
    let id = answer["jobId"].as_str().context("a job has an id")?.to_owned();
    let deadline = began + LIMIT;
    let report = loop {
        interrupt::pause(GLANCE)?;
        farm.check()?;
        let report = client.get_json(&format!("/api/v1/jobs/{id}"))?;
        match report["state"].as_str() {
            Some("completed") => break report,
            Some("pending" | "running") if Instant::now() < deadline => {}
            _ => bail!("the job has not completed: {report}"),
        }
    };
    let (after, seconds) = (taken(process)?, began.elapsed().as_secs_f64());
    let folder = report["outputFolder"].as_str().context("a job has a folder")?;
    Ok(Cost {
        seconds,
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        megabytes: size_mb(Path::new(folder))?,
        resident_mb: after.resident_mb,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn size_mb(folder: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64 / MB)
}

/// What a process has taken, without its children.
fn taken(process: u32) -> anyhow::Result<Taken> {
    let read = |file: &str| {
        let path = format!("/proc/{process}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    };
    let (stat, status) = (read("stat")?, read("status")?);
    numbers(&stat, &status).with_context(|| format!("what /proc says of process {process}"))
}

fn numbers(stat: &str, status: &str) -> Option<Taken> {
    // The program's name may have blanks: what is counted begins behind it, with the third field.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(Taken { cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS, resident_mb: kib.parse::<f64>().ok()? * 1024.0 / MB })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_as_the_manual_says() {
        let stat =
            "7 (a (b) c) S 1 7 7 0 -1 4194560 100 9999 0 0 150 50 9999 9999 20 0 4 0 100 1000 200 18446744073709551615";
        let taken = numbers(stat, "Name:\tx\nVmRSS:\t   20000 kB\nThreads:\t4\n").unwrap();
        assert!((taken.cpu_seconds - 2.0).abs() < 1e-9 && (taken.resident_mb - 20.48).abs() < 1e-9, "{taken:?}");
    }
}
