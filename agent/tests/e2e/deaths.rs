//! Processes die in mid-job: the orchestrator, the agent, Blender. The job completes, and what was acknowledged is not
//! rendered again.

use std::collections::BTreeMap;

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, Process, pictures, wait};
use crate::system::{is_running, signal};

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
fn an_orchestrator_that_is_away_for_longer_than_a_lease_costs_no_frame_and_renders_none_twice() {
    let mut farm = Farm::start(&blenders::scene("half_a_second"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 200, "batchSize": 100}));
    farm.wait_for(&path, "two frames", |job| job.counts.done >= 2);
    farm.kill_orchestrator();
    // The agent renders on until its lease has run out by its own clock, and no longer.
    agent.wait_for_log("the lease has run out here: waiting for the orchestrator");
    let rendered = agent.logged("frame rendered").len();
    farm.restart_orchestrator();
    let job = farm.wait_for(&path, "what was rendered meanwhile", |job| job.counts.done > rendered as u64);
    assert_eq!(job.failures, []);
    let renders = renders_by_frame(&agent);
    assert!(renders.values().all(|renders| *renders == 1), "{renders:?}");
}

#[test]
fn a_frozen_agent_s_frames_go_to_another_and_what_it_finishes_late_is_superseded_or_counts() {
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let frozen = farm.agent("frozen", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 6, "batchSize": 6}));
    farm.wait_for(&path, "a frame", |job| job.counts.done >= 1);
    signal(frozen.id(), "STOP");
    let _other = farm.agent("other", &blenders::path(Kind::Program), 1);
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    assert_eq!(job.agents.iter().map(|share| share.frames).sum::<u64>(), 6, "each frame is recorded once");
    signal(frozen.id(), "CONT");
    // It comes back to a farm that has no use for what it had in work, and says so of itself.
    wait("the end of its lease", || (!frozen.logged("frame is no longer ours").is_empty()).then_some(()));
    assert_eq!(farm.job(&path).agents.iter().map(|share| share.frames).sum::<u64>(), 6);
}

#[test]
fn a_killed_blender_costs_an_attempt_and_not_the_agent() {
    let farm = Farm::start(&blenders::scene("basic"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 40, "batchSize": 40}));
    farm.wait_for(&path, "a frame", |job| job.counts.done >= 1);
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    signal(blender, "KILL");
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let failed = agent.logged("attempt failed");
    assert!(failed.len() <= 1, "{failed:?}");
    assert!(failed.iter().all(|line| line["cause"] == "crashed"), "{failed:?}");
    assert_eq!(agent.logged("Blender started").len(), 2);
}

/// How often each frame was rendered, by the agent's own word.
pub(crate) fn renders_by_frame(agent: &Process) -> BTreeMap<String, usize> {
    let mut renders = BTreeMap::new();
    for line in agent.logged("frame rendered") {
        *renders.entry(line["frame"].to_string()).or_default() += 1;
    }
    renders
}
