//! `cargo xtask chaos`: real processes, real Blender, and one fault after the other; then the proof that nothing was lost and
//! nothing done twice.

mod cast;
mod dice;
mod disk;
mod evidence;
mod journal;
mod line;
mod moment;
mod pictures;
mod queue;
mod report;
mod schedule;
mod stage;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::blender;
use crate::interrupt::{self, Interrupted};
use crate::workspace::{FarmPrograms, Profile, Workspace};
use evidence::Evidence;
use pictures::{Lengths, Pictures, Scene};
use report::Harvest;
use schedule::Kind;
use stage::Stage;

/// How long processes may take to be gone from the system's list after their end.
const VANISHING: Duration = Duration::from_secs(2);
/// The most problems that are told one by one.
const TOLD: usize = 40;

/// What the chaos can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// For how many minutes faults come
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// Which faults, and when: the same seed gives the same ones
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Take the programs as `cargo build` makes them, not in release
    #[arg(long)]
    debug_build: bool,
}

/// A run's measure.
struct Run {
    seed: u64,
    faults: Duration,
    kinds: Vec<Kind>,
    /// The time from one fault to the next.
    gap_ms: RangeInclusive<u64>,
    lengths: Lengths,
    profile: Profile,
}

/// Runs for minutes, with every kind of fault.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let run = Run {
        seed: flags.seed,
        faults: Duration::from_mins(flags.minutes),
        kinds: schedule::ALL.to_vec(),
        gap_ms: 1000..=5000,
        lengths: Lengths::from([(Scene::Basic, 40), (Scene::HalfASecond, 12)]),
        profile: if flags.debug_build { Profile::Debug } else { Profile::Release },
    };
    perform(&Workspace::find()?, run)
}

/// Runs for about half a minute, with the faults that are over within seconds: a part of `cargo xtask test`.
pub(crate) fn briefly(workspace: &Workspace) -> anyhow::Result<()> {
    let run = Run {
        seed: 1,
        faults: Duration::from_secs(20),
        kinds: schedule::QUICK.to_vec(),
        gap_ms: 500..=2000,
        lengths: Lengths::from([(Scene::Basic, 20), (Scene::HalfASecond, 4)]),
        profile: Profile::Debug,
    };
    perform(workspace, run)
}

fn perform(workspace: &Workspace, run: Run) -> anyhow::Result<()> {
    if !cfg!(unix) {
        bail!("chaos needs a system with signals");
    }
    println!("==> chaos: seed {}, {} s of faults", run.seed, run.faults.as_secs());
    let blender = blender::find().context("there is no Blender here: run `cargo xtask test --only setup` first")?;
    let blender = std::path::absolute(blender)?;
    let programs = workspace.build_farm(run.profile)?;
    let folder = workspace.target.join(format!("chaos-{}", std::process::id()));
    let outcome = perform_in(&folder, workspace, run, &programs, &blender);
    if outcome.as_ref().is_err_and(anyhow::Error::is::<Interrupted>) {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    outcome
}

fn perform_in(
    folder: &Path,
    workspace: &Workspace,
    run: Run,
    programs: &FarmPrograms,
    blender: &Path,
) -> anyhow::Result<()> {
    let Run { seed, faults, mut kinds, gap_ms, lengths, profile: _ } = run;
    println!("==> scenes, and their frames by a plain Blender, in {}", folder.display());
    let pictures = Pictures::make(workspace, blender, folder.join("scenes"), &lengths)?;

    let mut stage = Stage::set(programs, &pictures, folder.to_owned(), seed, &lengths, blender, &mut kinds)?;
    println!("==> one orchestrator and {} agents are at work", stage.agents.len());
    let started = Instant::now();
    stage.play(&schedule::plan(seed, faults, &kinds, &gap_ms))?;
    println!("==> no more faults after {:.0} s: waiting for the jobs", started.elapsed().as_secs_f64());
    let healing = stage.await_completion()?;
    println!("    {:.1} s", healing.as_secs_f64());
    let (mut harvest, mut problems) = reap(&mut stage, &pictures)?;
    stage.leave()?;
    problems.append(&mut stage.problems);
    let agents = stage.agents.iter().map(cast::Player::journal).collect::<anyhow::Result<Vec<_>>>()?;
    let names: Vec<_> = stage.agents.iter().map(|agent| agent.name.clone()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let orchestrator = stage.orchestrator.journal()?;
    let injections = stage.injections.clone();
    drop(stage);
    problems.extend(left_over(folder)?);

    let evidence = Evidence::new(agents, orchestrator, &names, &injections);
    let doubled = evidence.recorded_twice();
    harvest.doubled += doubled.len() as u64;
    problems.extend(doubled);
    let (again, together) = evidence.rendered_again();
    harvest.together = together;
    problems.extend(again);
    let (causes, unexplained) = evidence.failures();
    problems.extend(unexplained);
    print!("\n{}\n", report::faults(&evidence));
    print!("{}", report::figures(harvest, &causes, &evidence.handovers(), &injections));
    conclude(folder, seed, &problems)
}

/// Looks at every job and each of its pictures.
fn reap(stage: &mut Stage, pictures: &Pictures) -> anyhow::Result<(Harvest, Vec<String>)> {
    let (mut harvest, mut problems) = (Harvest::default(), Vec::new());
    for job in &stage.queue.jobs {
        let report = stage.queue.client.get_json(&job.path())?;
        let total = job.frames.end() - job.frames.start() + 1;
        harvest.jobs += 1;
        harvest.frames += total;
        let shares = report["agents"].as_array().into_iter().flatten();
        let recorded: u64 = shares.filter_map(|share| share["frames"].as_u64()).sum();
        harvest.doubled += recorded.saturating_sub(total);
        let count = |name: &str| report["counts"][name].as_u64();
        let counts = ["total", "done", "pending", "leased", "failed"].map(count);
        if report["state"] != "completed" || counts != [Some(total), Some(total), Some(0), Some(0), Some(0)] {
            problems.push(format!("job {} is not completed: {}", job.id, without_tails(report.clone())));
        }
        if recorded != total {
            problems.push(format!("the agents' shares of job {} are {recorded} frames of {total}", job.id));
        }
        let output = report["outputFolder"].as_str().context("a job without an output folder")?;
        let wrong = pictures.judge(job.scene, job.frames.clone(), Path::new(output))?;
        harvest.lost += wrong.len() as u64;
        problems.extend(wrong.into_iter().map(|problem| format!("job {}: {problem}", job.id)));
    }
    Ok((harvest, problems))
}

/// A job without what its Blenders printed, which is in the logs.
fn without_tails(mut report: Value) -> Value {
    for failure in report["failures"].as_array_mut().into_iter().flatten() {
        failure["logTail"] = Value::Null;
    }
    report
}

/// Processes and mounts of this run that are still there.
fn left_over(folder: &Path) -> anyhow::Result<Vec<String>> {
    let deadline = Instant::now() + VANISHING;
    loop {
        let mut left = cast::of_run(folder);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        left.extend(mounts.lines().filter(|mount| mount.contains(&*folder.to_string_lossy())).map(str::to_owned));
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left.into_iter().map(|what| format!("left over: {what}")).collect());
        }
        interrupt::pause(Duration::from_millis(100))?;
    }
}

/// Tells the problems, or that there are none; then nothing is kept.
fn conclude(folder: &Path, seed: u64, problems: &[String]) -> anyhow::Result<()> {
    if problems.is_empty() {
        println!("no process is left");
        return std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()));
    }
    println!();
    for problem in problems.iter().take(TOLD) {
        println!("FOUND: {problem}");
    }
    if problems.len() > TOLD {
        println!("FOUND: and {} more", problems.len() - TOLD);
    }
    bail!("{} problems; the logs are in {} (seed {seed})", problems.len(), folder.display());
}
