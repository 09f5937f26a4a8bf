//! Several Blenders side by side: each job is rendered by the one that suits its file, or that it asks for, and by no other.

use std::path::Path;

use haywain_shared::job::{JobReport, JobState};
use serde_json::json;

use crate::blenders::{self, Kind, cold_frame, made_by};
use crate::farm::{Farm, pictures};

const FRAME: i32 = 3;

/// A scene that each of the Blenders renders in its own way, saved by the newer one.
fn saved_by_the_newer() -> std::path::PathBuf {
    made_by("simulation_nodes").join("unbaked.blend")
}

fn assert_rendered_by(kind: Kind, scene: &Path, job: &JobReport) {
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let version = job.blender.as_deref().unwrap();
    assert!(version.starts_with(if kind == Kind::Program { "3.4." } else { "5.0." }), "{job:?}");
    let rendered = image::open(&pictures(job)[0]).unwrap();
    assert!(rendered == cold_frame(kind, scene, FRAME), "{} by {kind:?}", scene.display());
}

#[test]
fn each_job_is_rendered_by_the_blender_that_suits_it() {
    let old = blenders::scene("basic");
    let new = saved_by_the_newer();
    let farm = Farm::start(&old);
    let program = blenders::path(Kind::Program);
    let flags = ["--slots", "1", "--blender", program.to_str().unwrap()];
    let agent = farm.agent_with("both", &blenders::path(Kind::Module), &flags);
    agent.wait_for_log("registered");
    let new_scene = farm.give_blend(&new);
    let frames = format!("{FRAME}");

    let asks = |version: &str| farm.wait_for_end(&farm.render(&json!({"frames": frames, "blender": version})));
    assert_rendered_by(Kind::Program, &old, &farm.wait_for_end(&farm.render(&json!({"frames": frames}))));
    assert_rendered_by(Kind::Module, &old, &asks("5"));
    assert_rendered_by(Kind::Program, &old, &asks("3.4"));
    let job = json!({"frames": frames, "scene": new_scene, "allowUnbaked": true, "device": "software"});
    assert_rendered_by(Kind::Module, &new, &farm.wait_for_end(&farm.render(&job)));
}

#[test]
fn a_file_that_is_too_new_waits_for_a_blender_that_can_open_it() {
    let farm = Farm::start(&blenders::scene("basic"));
    let old = farm.agent_with("old", &blenders::path(Kind::Program), &["--slots", "1", "--tag", "upstairs"]);
    old.wait_for_log("registered");
    let scene = farm.give_blend(&saved_by_the_newer());
    let path = farm.render(&json!({"frames": "3", "scene": scene, "allowUnbaked": true, "device": "software"}));
    let why = "no agent has Blender 5.0, which saved the file, or a newer one: not old (3.4.1)";
    assert_eq!(farm.job(&path).waits_for, [why]);
    // The agent is there, and takes what it can render.
    let other = farm.render(&json!({"frames": "3", "tags": ["upstairs"]}));
    assert_eq!(farm.wait_for_end(&other).state, JobState::Completed);
    assert_eq!(farm.job(&path).counts.pending, 1);

    let _new = farm.agent("new", &blenders::path(Kind::Module), 1);
    assert_rendered_by(Kind::Module, &saved_by_the_newer(), &farm.wait_for_end(&path));
}

#[test]
fn what_a_blender_is_is_asked_once() {
    let farm = Farm::start(&blenders::scene("basic"));
    let place = tempfile::tempdir().unwrap();
    let (counted, count) = (place.path().join("blender"), place.path().join("count"));
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo asked >> '{}'\nexec '{}' \"$@\"\n",
        count.display(),
        blenders::path(Kind::Program).display()
    );
    let install = |script: &str| {
        std::fs::write(&counted, script).unwrap();
        std::fs::set_permissions(&counted, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let asked = || {
        let mut agent = farm.agent("one", &counted, 1);
        agent.wait_for_log("registered");
        assert_eq!(agent.terminate(), Some(0));
        std::fs::read_to_string(&count).unwrap().lines().count()
    };
    install(&script);
    assert_eq!((asked(), asked()), (1, 1));
    install(&format!("{script}# replaced\n"));
    assert_eq!((asked(), asked()), (2, 2));
}
