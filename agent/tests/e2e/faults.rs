//! Scenes that can't be rendered fail their job, by name and cause, and the agent lives on.

use std::path::Path;

use haywain_shared::cause::Cause;
use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::Farm;

fn job_fails(scene: &Path, cause: Cause, words: &str) {
    let farm = Farm::start(scene);
    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 1, "to": 1000}));
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Failed);
    let fault = job.scene_fault.expect("the scene is at fault");
    assert_eq!(fault.cause, cause);
    assert!(fault.message.contains(words), "{}", fault.message);
    assert_eq!(job.counts.failed, 1000);
    let (status, body) = farm.status(&path);
    assert_eq!(status, 500);
    assert!(body.starts_with(&format!("Job failed: frames 1-1000: {cause}: ")), "{body}");
    // The scene is blamed once, not once for each frame.
    assert_eq!(agent.logged("attempt failed").len(), 1);

    // The agent goes on: it only waits for the next job.
    assert_eq!(agent.logged("stopping").len(), 0);
}

#[test]
fn a_scene_without_a_camera() {
    job_fails(&blenders::scene("no_camera"), Cause::BadScene, "has no camera");
}

#[test]
fn a_texture_that_is_not_there() {
    job_fails(&blenders::scene("texture_beside_it"), Cause::MissingFile, "bark.png");
}

#[test]
fn a_file_that_is_cut_off() {
    let whole = std::fs::read(blenders::scene("basic")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.blend");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    job_fails(&cut, Cause::BadScene, "cut.blend");
}

#[test]
fn the_log_of_an_attempt_is_its_own() {
    let farm = Farm::start(&blenders::scene("basic"));
    let _agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let good = farm.wait_for_end(&farm.render(&json!({"from": 1, "to": 2})));
    assert_eq!(good.state, JobState::Completed);
    // The same Blender opens another scene, in vain.
    let bad = farm.render(&json!({"from": 1, "to": 1, "scene": farm.give_blend(&blenders::scene("no_camera"))}));
    assert_eq!(farm.wait_for_end(&bad).state, JobState::Failed);
    let log = &farm.attempts(&bad)[0].log_tail;
    assert!(log.contains("no_camera.blend") && !log.contains("basic.blend") && !log.contains("Fra:"), "{log}");
}
