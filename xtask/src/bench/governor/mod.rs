//! What the governor finds on this machine, against the best of all fixed settings and against one Blender with all threads: real
//! Blender, and pairs that take turns in one run, so that whatever else the machine does meets both.

mod ratio;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use self::ratio::Ratios;
use self::stage::Stage;
use crate::table;
use crate::workspace::{FarmPrograms, Profile, Workspace, must_exist};

/// How long the governor may take to settle.
const SETTLE: Duration = Duration::from_hours(1);
/// What it says when it has.
const SETTLED: &str = "settled on a setting";
/// How often each fixed setting has its turn in the search for the best.
const ROUNDS: u32 = 3;
/// The governor's agent.
const GOVERNED: &str = "governed";
/// What issue 6 asks for: of the best, and for the light scene, beside one Blender with all threads.
const GOAL: f64 = 0.95;
const GOAL_LIGHT: f64 = 1.3;

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many pairs to measure of each scene
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// How long one side of a pair works, at least
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    window: u64,
    /// A light scene of your own [default: the demo scene, small]
    #[arg(long, value_name = "BLEND")]
    light: Option<PathBuf>,
    /// A heavy scene of your own [default: the demo scene, larger]
    #[arg(long, value_name = "BLEND")]
    heavy: Option<PathBuf>,
}

/// One of the scenes.
struct Subject {
    name: &'static str,
    scene: PathBuf,
    /// What the job asks besides its frames.
    options: Value,
}

/// Frames rendered at once, and threads of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    slots: usize,
    threads: usize,
}

impl Setting {
    /// As an agent's flag, and its name.
    fn text(self) -> String {
        format!("{}x{}", self.slots, self.threads)
    }
}

/// Measures, and prints the figures.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let demo = workspace.demo_scene();
    must_exist(&demo)?;
    let programs = workspace.build_farm(Profile::Release)?;
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    let small = json!({ "resolutionPercent": 10, "samples": 1 });
    let large = json!({ "resolutionPercent": 50, "samples": 16 });
    let subjects = [("light", &flags.light, small), ("heavy", &flags.heavy, large)];
    for (name, scene, options) in subjects {
        let subject = match scene {
            Some(scene) => Subject { name, scene: scene.clone(), options: json!({}) },
            None => Subject { name, scene: demo.clone(), options },
        };
        must_exist(&subject.scene)?;
        measure(&programs, &folder, &subject, flags)?;
    }
    // Kept when it fails: the logs are in it.
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}

fn measure(programs: &FarmPrograms, folder: &Path, subject: &Subject, flags: &Flags) -> anyhow::Result<()> {
    let window = Duration::from_secs(flags.window);
    let cores = std::thread::available_parallelism().context("counting processors")?.get();
    println!("==> {} scene: {}, {}", subject.name, subject.scene.display(), subject.options);
    let mut stage = Stage::open(programs, &folder.join(subject.name), &subject.scene, &subject.options)?;
    let best = search(&mut stage, cores, window)?;
    let alone = Setting { slots: 1, threads: cores };

    stage.hire(GOVERNED, &[])?;
    let settled = stage.work_until(GOVERNED, SETTLED, SETTLE)?;
    println!("    the governor: {}", settled.trim());
    let sides = [GOVERNED.to_owned(), best.text(), alone.text()];
    // The same setting twice would be a pair with itself.
    let sides = &sides[..if best == alone { 2 } else { 3 }];
    for setting in &sides[1..] {
        stage.hire(setting, &["--slots", setting])?;
    }
    let (mut of_best, mut of_alone) = (Vec::new(), Vec::new());
    for pair in 0..flags.pairs {
        // Whoever comes first in one pair comes last in the next.
        let mut rates = vec![0.0; sides.len()];
        let mut order: Vec<_> = (0..sides.len()).collect();
        if pair % 2 == 1 {
            order.reverse();
        }
        for side in order {
            rates[side] = stage.rate(&sides[side], window)?;
        }
        of_best.push(rates[0] / rates[1]);
        of_alone.extend(rates.get(2).map(|alone| rates[1] / alone));
        let told: Vec<_> = sides.iter().zip(&rates).map(|(side, rate)| format!("{side} {rate:.3}")).collect();
        println!("    pair {}: {} frames a second", pair + 1, told.join(", "));
    }
    tell(&format!("the governor / the best fixed setting ({})", best.text()), of_best, Some(GOAL))?;
    if best == alone {
        println!("    one Blender with all threads is the best fixed setting");
        return Ok(());
    }
    let what = format!("the best fixed setting ({}) / one Blender with all threads ({})", best.text(), alone.text());
    tell(&what, of_alone, (subject.name == "light").then_some(GOAL_LIGHT))
}

/// Finds the best of the fixed settings, by turns.
fn search(stage: &mut Stage, cores: usize, window: Duration) -> anyhow::Result<Setting> {
    let mut found = Vec::new();
    for setting in settings(cores) {
        let name = setting.text();
        stage.hire(&name, &["--slots", &name])?;
        let rates = (0..ROUNDS).map(|_| stage.rate(&name, window)).collect::<anyhow::Result<Vec<_>>>()?;
        stage.dismiss(&name);
        found.push((rates.iter().sum::<f64>() / f64::from(ROUNDS), setting));
    }
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let rows: Vec<_> = found.iter().map(|(rate, setting)| [setting.text(), format!("{rate:.3}")]).collect();
    print!("{}", table::layout(["slots x threads", "frames a second"], &rows));
    Ok(found.first().context("no setting was tried")?.1)
}

/// The settings that are tried on so many processors: up to two slots for each, with threads that just share the processors, with
/// twice as many, and with all.
fn settings(cores: usize) -> Vec<Setting> {
    let next = |slots: &usize| Some(slots + (slots / 2).max(1)).filter(|slots| *slots <= 2 * cores);
    let mut slots: Vec<_> = std::iter::successors(Some(1), next).chain([cores, 2 * cores]).collect();
    slots.sort_unstable();
    slots.dedup();
    let with_threads = |slots: usize| {
        let split = cores.div_ceil(slots);
        let mut threads = vec![split, (2 * split).min(cores), cores];
        threads.dedup();
        threads.into_iter().map(move |threads| Setting { slots, threads })
    };
    slots.into_iter().flat_map(with_threads).collect()
}

fn tell(what: &str, ratios: Vec<f64>, goal: Option<f64>) -> anyhow::Result<()> {
    let pairs = ratios.len();
    let ratios = Ratios::of(ratios).context("nothing was measured")?;
    let (low, high) = ratios.interval();
    let median = ratios.median();
    let goal = goal.map_or_else(String::new, |goal| {
        format!("; goal {goal}: {}", if median >= goal { "reached" } else { "not reached" })
    });
    println!("    {what}: median {median:.3} ({low:.3} to {high:.3}, {pairs} pairs){goal}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_from_one_slot_to_two_for_each_processor() {
        let texts = |cores| settings(cores).into_iter().map(Setting::text).collect::<Vec<_>>().join(" ");
        assert_eq!(texts(1), "1x1 2x1");
        assert_eq!(texts(2), "1x2 2x1 2x2 3x1 3x2 4x1 4x2");
        assert!(texts(8).contains("6x2 6x4 6x8 8x1 8x2 8x8"));
    }
}
