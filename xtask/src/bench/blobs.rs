//! How fast large files go into the orchestrator and out of it, held against a bare handler that does the least that could be
//! done; and what a large scene costs that is submitted again. All in one run, in turns, so that the machine's moods hit all.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use super::meter::Meter;
use super::plain::Plain;
use super::spread::Spread;
use super::submits::{self, Stage};
use super::{MIB, piece, raw};
use crate::farm::Farm;
use crate::interrupt;
use crate::service::Service;
use crate::workspace::{Built, Workspace, must_exist};

/// What issue 4 asks for: at least so many percent of the bare handler's speed, and less memory than this.
const LEAST_PERCENT: f64 = 70.0;
const MOST_MEMORY_MIB: u64 = 100;
/// How long the bare server may take to be ready.
const START: Duration = Duration::from_secs(30);
/// How often it is looked whether it is.
const GLANCE: Duration = Duration::from_millis(20);

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many times each is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The size of the file, and of the scene's textures together, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65536))]
    size: u64,
}

/// The times of both servers.
#[derive(Debug, Default)]
struct Times {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
}

/// What is held against the orchestrator and the client.
struct Bare {
    program: PathBuf,
    plain: Plain,
}

/// Measures, and prints the figures.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let scene = workspace.demo_scene();
    must_exist(&scene)?;
    let Built { programs, client, bare_files, bare_hash } = workspace.build_for_blobs()?;
    let bare = Bare { program: bare_files, plain: Plain(bare_hash) };
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let farm = Farm::start(&programs, &folder, &scene)?;
    let ours = farm.url().trim_start_matches("http://").parse().context("the orchestrator's address")?;
    println!(
        "==> {} rounds of {} MiB in and out, the orchestrator and a bare handler in turns",
        flags.rounds, flags.size
    );
    let (uploads, downloads) = measure(flags, ours, &bare, &folder)?;
    println!("==> {} rounds of a scene of {} MiB, by the client and hashed plainly in turns", flags.rounds, flags.size);
    let meter = Meter::open(ours)?;
    let stage = Stage { client: &client, plain: &bare.plain, meter: &meter, folder: &folder };
    let figures = submits::measure(&stage, flags.size, flags.rounds)?;
    let memory_mib = peak_memory_mib(farm.orchestrator_id());
    drop((farm, meter));
    // Kept when it fails: the logs are in it.
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    tell("in", flags.size, uploads)?;
    tell("out", flags.size, downloads)?;
    submits::tell(figures)?;
    match memory_mib {
        Some(mib) => println!("the orchestrator's memory at its most: {mib} MiB (asked for: under {MOST_MEMORY_MIB})"),
        None => println!("this system does not tell how much memory the orchestrator had at its most"),
    }
    Ok(())
}

fn measure(flags: &Flags, ours: SocketAddr, bare: &Bare, folder: &Path) -> anyhow::Result<(Times, Times)> {
    let (_service, address) = start_bare(&bare.program, folder)?;
    let size_bytes = flags.size * MIB;
    let (mut uploads, mut downloads) = (Times::default(), Times::default());
    for round in 0..flags.rounds {
        let piece = piece(round);
        let file = format!("/files/{round}");
        let blob = format!("/api/v1/blobs/{}", bare.plain.digest(&piece, size_bytes)?);
        let mut both = [
            (address, &file, &mut uploads.bare, &mut downloads.bare),
            (ours, &blob, &mut uploads.ours, &mut downloads.ours),
        ];
        // Who comes first finds another disk than who comes second.
        if round % 2 == 1 {
            both.reverse();
        }
        for (to, path, ups, downs) in both {
            ups.push(raw::upload(to, path, &piece, size_bytes)?);
            downs.push(raw::download(to, path, size_bytes)?);
        }
    }
    Ok((uploads, downloads))
}

fn start_bare(program: &Path, folder: &Path) -> anyhow::Result<(Service, SocketAddr)> {
    let mut service = Service::start("the bare server", program, &[folder], folder.join("bare.log"))?;
    let start = Instant::now();
    loop {
        service.check()?;
        if let Some(address) = service.log().lines().find_map(|line| line.parse().ok()) {
            return Ok((service, address));
        }
        if start.elapsed() > START {
            bail!("the bare server is not ready after {} s", START.as_secs());
        }
        interrupt::pause(GLANCE)?;
    }
}

fn tell(way: &str, size_mib: u64, times: Times) -> anyhow::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let speed = |time: Duration| size_mib as f64 / time.as_secs_f64();
    let all =
        |times: &[Duration]| times.iter().map(|time| format!("{:.0}", speed(*time))).collect::<Vec<_>>().join(" ");
    println!(
        "{way}, round by round, in MiB/s: the orchestrator {}; the bare handler {}",
        all(&times.ours),
        all(&times.bare)
    );
    let median = |times| Spread::of(times).map(|spread| spread.percentile(50)).context("nothing was measured");
    let (ours, bare) = (median(times.ours)?, median(times.bare)?);
    let percent = 100.0 * speed(ours) / speed(bare);
    println!(
        "{way}: the orchestrator {:.0} MiB/s, the bare handler {:.0} MiB/s (medians): {percent:.0} % of it \
         (asked for: {LEAST_PERCENT} %)",
        speed(ours),
        speed(bare),
    );
    Ok(())
}

/// The most memory that a process has had, where the system tells.
fn peak_memory_mib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
