//! SIGKILL takes the agent again and again, at whatever it is just doing: its next start leaves nothing of the life before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};
use crate::system::{is_running, processes_in};

/// What a life is waited for before it ends.
const MOMENTS: [&str; 4] = ["batch received", "Blender started", "scene opened", "frame rendered"];

/// How many lives; set `HAYWAIN_TEST_KILLS` for more.
fn lives() -> usize {
    std::env::var("HAYWAIN_TEST_KILLS").map_or(4, |text| text.parse().unwrap())
}

/// What is below a folder and was there before `moment`.
fn older(folder: &Path, moment: SystemTime) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| older(&path, moment).into_iter().chain([path]));
    // What has gone meanwhile is not there.
    let is_older = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.modified().unwrap() < moment);
    found.filter(is_older).collect()
}

#[test]
fn of_a_killed_life_nothing_is_left_after_the_next_start() {
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let path = farm.render(&json!({"from": 1, "to": 100_000, "batchSize": 4}));
    let data_dir = farm.folder().join("one");
    let next_life = || {
        let birth = farm.folder().join("birth");
        fs::write(&birth, "").unwrap();
        let born = birth.metadata().unwrap().modified().unwrap();
        (farm.agent("one", &blenders::path(Kind::Program), 2), born)
    };
    for life in 0..lives() {
        let (mut agent, born) = next_life();
        agent.wait_for_log(MOMENTS[life % MOMENTS.len()]);
        assert_eq!(older(&data_dir.join("work"), born), Vec::<PathBuf>::new(), "before life {life}");
        let started = agent.logged("Blender started");
        let blenders: Vec<_> = started.iter().map(|line| line["process"].as_u64().unwrap()).collect();
        agent.kill();
        wait("the end of its Blenders", || blenders.iter().all(|blender| !is_running(*blender)).then_some(()));
        wait("the end of all that it started", || processes_in(&data_dir).is_empty().then_some(()));
    }
    let (mut agent, born) = next_life();
    agent.wait_for_log("frame rendered");
    assert_eq!(older(&data_dir.join("work"), born), Vec::<PathBuf>::new());
    assert_eq!(farm.control(&path, "cancel").0, 200);
    assert_eq!(farm.job(&path).state, JobState::Cancelled);
    assert_eq!(agent.terminate(), Some(0));
    assert_eq!(processes_in(&data_dir), Vec::<u64>::new());
}
