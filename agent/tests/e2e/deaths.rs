//! Processes die in mid-job: the orchestrator, the agent, Blender. The job completes, and what was acknowledged is not
//! rendered again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, Process, pictures, wait};

#[test]
fn a_killed_orchestrator_loses_nothing_and_renders_nothing_twice() {
    let mut farm = Farm::start(&blenders::scene("basic"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 30}));
    farm.wait_for(&path, "three frames", |job| job.counts.done >= 3);
    farm.kill_orchestrator();
    let before: Vec<_> = std::fs::read_dir(farm.folder().join("orchestrator/frames")).unwrap().collect();
    assert_eq!(before.len(), 1);
    farm.restart_orchestrator();
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    assert_eq!(pictures(&job).len(), 30, "one file for each frame, none left by cut-off uploads");
    let renders = renders_by_frame(&agent);
    assert_eq!(renders.len(), 30);
    assert!(renders.values().all(|renders| *renders == 1), "{renders:?}");
}

#[test]
fn a_killed_agent_s_frames_are_rendered_by_its_next_life_and_its_blender_is_gone() {
    let farm = Farm::start(&blenders::scene("basic"));
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 20}));
    farm.wait_for(&path, "two frames", |job| job.counts.done >= 2);
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    agent.kill();
    wait("the end of Blender", || (!is_running(blender)).then_some(()));
    let recorded = farm.job(&path).counts.done;
    let next_life = farm.agent("one", &blenders::path(Kind::Program), 1);
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    assert_eq!(pictures(&job).len(), 20);
    let renders = renders_by_frame(&next_life);
    assert!(renders.len() as u64 <= 20 - recorded, "{recorded} were recorded, yet {} rendered", renders.len());
}

#[test]
fn a_stopped_agent_gives_its_frames_back_at_once() {
    let farm = Farm::start(&blenders::scene("slow"));
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 2}));
    farm.wait_for(&path, "a frame in work", |job| job.batches.iter().any(|batch| batch.frame_in_work.is_some()));
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    assert_eq!(agent.terminate(), Some(0));
    assert!(!is_running(blender), "Blender outlives its agent");
    let job = farm.job(&path);
    assert_eq!((job.counts.pending, job.counts.leased), (2, 0));
    assert_eq!(job.failures, []);
}

#[test]
fn a_killed_blender_costs_an_attempt_and_not_the_agent() {
    let farm = Farm::start(&blenders::scene("basic"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 40, "batchSize": 40}));
    farm.wait_for(&path, "a frame", |job| job.counts.done >= 1);
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    assert!(Command::new("kill").args(["-KILL", &blender.to_string()]).status().unwrap().success());
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let failed = agent.logged("attempt failed");
    assert!(failed.len() <= 1, "{failed:?}");
    assert!(failed.iter().all(|line| line["cause"] == "crashed"), "{failed:?}");
    assert_eq!(agent.logged("Blender started").len(), 2);
}

/// How often each frame was rendered, by the agent's own word.
fn renders_by_frame(agent: &Process) -> BTreeMap<String, usize> {
    let mut renders = BTreeMap::new();
    for line in agent.logged("frame rendered") {
        *renders.entry(line["frame"].to_string()).or_default() += 1;
    }
    renders
}

fn is_running(process: u64) -> bool {
    // A zombie that nobody has reaped yet has ended, too.
    std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
}
