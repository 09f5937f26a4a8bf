//! Seeds, each in a process of its own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backstage::Backstage;
use crate::entropy;
use crate::run::Run;
use crate::stagehand::{Curtain, Stagehand};

/// The seeds that are tried when nobody says which.
const SEEDS: Range<u64> = 0..40;
/// The seeds that are run twice. Among what happens in them are freezes, after which much is to be done at once.
const REPLAYED: [u64; 6] = [3, 5, 7, 8, 9, 17];
/// Says which.
const SEEDS_VARIABLE: &str = "HAYWAIN_SIM_SEEDS";
/// Says which one a process is to run.
const SEED_VARIABLE: &str = "HAYWAIN_SIM_SEED";
/// The beginning of the lines that count what happened.
const COUNT: &str = "count: ";

#[test]
fn seeds() {
    let seeds = std::env::var(SEEDS_VARIABLE).map_or(SEEDS, |text| parse(&text));
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let counts = Mutex::new(BTreeMap::<String, u64>::new());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        let output = run_alone(seed);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            println!(
                "seed {seed} failed; alone: {SEED_VARIABLE}={seed} cargo test -p haywain-agent --test sim one_seed -- --nocapture"
            );
            println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
            failed.lock().unwrap().push(seed);
        }
        for line in text.lines().filter_map(|line| line.strip_prefix(COUNT)) {
            let (number, what) = line.split_once(' ').unwrap();
            *counts.lock().unwrap().entry(what.to_owned()).or_default() += number.parse::<u64>().unwrap();
        }
    };
    let processes = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(work);
        }
    });
    for (what, number) in counts.into_inner().unwrap() {
        println!("{number:>8} {what}");
    }
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(failed.is_empty(), "{} of {seeds:?} failed: {failed:?}", failed.len());
}

/// A seed runs as it did before, to the last choice, also beside another process that is given the same processors.
#[test]
fn a_seed_runs_the_same_twice() {
    for seed in REPLAYED {
        let [once, again] = std::thread::scope(|scope| {
            let runs = [(); 2].map(|()| scope.spawn(|| trace(&run_alone(seed))));
            runs.map(|run| run.join().unwrap())
        });
        let differs = once.lines().zip(again.lines()).find(|(line, other)| line != other);
        assert!(once == again, "seed {seed} runs otherwise the second time, from here: {differs:?}");
    }
}

/// The one seed that a variable names: what [`seeds`] runs in a process of its own. Without the variable, the first.
#[test]
fn one_seed() {
    let seed = std::env::var(SEED_VARIABLE).map_or(SEEDS.start, |seed| seed.parse().expect("a number"));
    let thread = std::thread::Builder::new().name("sim".to_owned());
    let simulation = move || {
        entropy::seed_this_thread(seed);
        simulate(seed)
    };
    let broken = thread.spawn(simulation).unwrap().join().expect("a run comes to its end");
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
}

fn simulate(seed: u64) -> Vec<String> {
    let folder = tempfile::Builder::new().prefix("haywain-sim").tempdir_in(fastest_folder()).unwrap();
    let (backstage, thread) = Backstage::open();
    let stagehand = Stagehand::default();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    stagehand.serve(&mut runtime);
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let curtain = Curtain(stagehand);
    let log = runtime.block_on(async {
        let mut run = Run::new(seed, folder.path(), backstage);
        run.carry_out().await;
        run.end_well().await;
        run.world.house.kill();
        run.world.log.note(format_args!("choices to come: {:016x}", entropy::choices_to_come().await));
        run.world.log.clone()
    });
    drop(curtain);
    drop(runtime);
    thread.join().unwrap();
    for line in log.lines() {
        println!("{line}");
    }
    for (what, number) in log.counts() {
        println!("{COUNT}{number} {what}");
    }
    log.all_broken()
}

fn run_alone(seed: u64) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seeds::one_seed", "--nocapture"])
        .env(SEED_VARIABLE, seed.to_string())
        .output()
        .unwrap()
}

/// What a run has printed, without the test harness's last word, which is how long it took.
fn trace(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let (trace, _) = text.rsplit_once("test result:").expect("a verdict");
    trace.to_owned()
}

fn parse(text: &str) -> Range<u64> {
    let (from, to) = text.split_once("..").expect("seeds, as from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Disks are slow to sync, and this is not about disks.
fn fastest_folder() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
