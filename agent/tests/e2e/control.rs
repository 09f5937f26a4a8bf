//! What people do to a farm while it works: cancel, drain, stop, let it leave by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, pictures, wait};
use crate::system::{is_running, processes_in};

/// Longer than a heartbeat and what a heartbeat may be late by, far shorter than the frame in work.
const ONE_HEARTBEAT: Duration = Duration::from_secs(7);

#[test]
fn who_is_told_to_leave_while_it_tries_its_blenders_does_not_wait_for_them() {
    let farm = Farm::start(&blenders::scene("basic"));
    let folder = tempfile::tempdir().unwrap();
    let blender = folder.path().join("blender");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo Blender 3.4.1 && exit\nexec sleep 1000\n";
    fs::write(&blender, script).unwrap();
    fs::set_permissions(&blender, fs::Permissions::from_mode(0o755)).unwrap();
    let mut agent = farm.agent("one", &blender, 1);
    agent.wait_for_log("finding out what it can do on this machine");
    let data_dir = farm.folder().join("one");
    wait("a Blender that says nothing", || (processes_in(&data_dir).len() == 2).then_some(()));
    assert_eq!(agent.terminate(), Some(0));
    assert_eq!(agent.logged("what it can do could not be found out").len(), 0, "it has waited until that was over");
    wait("the end of Blender", || processes_in(&data_dir).is_empty().then_some(()));
}

#[test]
fn cancelling_a_job_stops_blender_within_a_heartbeat() {
    let farm = Farm::start(&blenders::scene("slow"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 9}));
    farm.wait_for(&path, "a frame in work", |job| job.batches.iter().any(|batch| batch.frame_in_work.is_some()));
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    let cancelled = Instant::now();
    assert_eq!(farm.control(&path, "cancel").0, 200);
    assert_eq!(farm.status(&path), (410, "Job cancelled".to_owned()));
    wait("the end of Blender", || (!is_running(blender)).then_some(()));
    assert!(cancelled.elapsed() < ONE_HEARTBEAT, "{:?}", cancelled.elapsed());
    assert_eq!(farm.control(&path, "cancel").0, 409);
    assert_eq!(agent.logged("attempt failed").len(), 0);
}

#[test]
fn a_rerender_makes_new_pictures_of_the_frames_that_were_named() {
    let farm = Farm::start(&blenders::scene("basic"));
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 4}));
    farm.wait_for_end(&path);
    let (status, answer) = farm.control_with(&path, "rerender", &json!({"frames": [{"from": 2, "to": 3}]}));
    assert_eq!(status, 200, "{answer}");
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed);
    assert_eq!(agent.logged("frame rendered").len(), 6);
    assert_eq!(pictures(&job).len(), 4, "each frame under its own name");
}

#[test]
fn the_first_signal_finishes_the_frame_in_work_and_gives_back_the_rest() {
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 40, "batchSize": 20}));
    farm.wait_for(&path, "a frame", |job| job.counts.done >= 1);
    assert_eq!(agent.terminate(), Some(0));
    let job = farm.job(&path);
    let rendered = agent.logged("frame rendered").len() as u64;
    assert_eq!((job.counts.done, job.counts.leased, job.counts.pending), (rendered, 0, 40 - rendered));
    assert!(rendered < 20, "it did not stop before the batch was done");
    assert_eq!(job.failures, []);
}

#[test]
fn the_second_signal_stops_at_once_and_still_gives_everything_back() {
    let farm = Farm::start(&blenders::scene("slow"));
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 2}));
    farm.wait_for(&path, "a frame in work", |job| job.batches.iter().any(|batch| batch.frame_in_work.is_some()));
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    agent.signal("TERM");
    agent.wait_for_log("leaving: frames in work are finished first; ask again to stop at once");
    assert_eq!(agent.terminate(), Some(4));
    assert!(!is_running(blender), "Blender outlives its agent");
    let job = farm.job(&path);
    assert_eq!((job.counts.pending, job.counts.leased), (2, 0));
    assert_eq!(job.failures, []);
}

#[test]
fn an_agent_that_may_not_take_long_to_leave_puts_down_the_frame_in_work() {
    let farm = Farm::start(&blenders::scene("slow"));
    let mut agent = farm.agent_with("one", &blenders::path(Kind::Program), &["--slots", "1", "--drain-limit", "2s"]);
    let path = farm.render(&json!({"from": 1, "to": 2}));
    farm.wait_for(&path, "a frame in work", |job| job.batches.iter().any(|batch| batch.frame_in_work.is_some()));
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    let asked = Instant::now();
    assert_eq!(agent.terminate(), Some(4));
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(!is_running(blender), "Blender outlives its agent");
    let job = farm.job(&path);
    assert_eq!((job.counts.pending, job.counts.leased), (2, 0));
    assert_eq!(job.failures, []);
}

#[test]
fn an_agent_leaves_by_itself_when_it_is_idle_or_has_worked_enough() {
    let farm = Farm::start(&blenders::scene("basic"));
    let mut idle = farm.agent_with("idle", &blenders::path(Kind::Program), &["--exit-when-idle", "2s"]);
    let path = farm.render(&json!({"from": 1, "to": 2}));
    assert_eq!(farm.wait_for_end(&path).state, JobState::Completed);
    assert_eq!(idle.wait_for_exit(), Some(0));

    let mut busy = farm.agent_with("busy", &blenders::path(Kind::Program), &["--max-jobs", "1"]);
    let first = farm.render(&json!({"from": 1, "to": 2}));
    let second = farm.render(&json!({"from": 1, "to": 2}));
    assert_eq!(busy.wait_for_exit(), Some(0));
    assert_eq!(farm.job(&first).state, JobState::Completed);
    assert_eq!(farm.job(&second).counts.pending, 2);
}

#[test]
fn an_agent_that_is_not_let_in_leaves_when_it_was_idle_for_long_enough() {
    let mut farm = Farm::start(&blenders::scene("basic"));
    farm.kill_orchestrator();
    let mut idle = farm.agent_with("idle", &blenders::path(Kind::Program), &["--exit-when-idle", "1s"]);
    assert_eq!(idle.wait_for_exit(), Some(0));
}
