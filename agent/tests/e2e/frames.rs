//! The frames that come out of the farm are what Blender makes, and Blender is started once a slot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, BOTH, Kind, cold_frame, cold_still};
use crate::farm::{Farm, pictures};

#[test]
fn frames_are_pixel_for_pixel_what_a_cold_blender_makes() {
    for kind in BOTH {
        let scene = blenders::scene("basic");
        let farm = Farm::start(&scene);
        let _agent = farm.agent("one", &blenders::path(kind), 2);
        let path = farm.render(&json!({"from": 1, "to": 6, "batchSize": 2}));
        let job = farm.wait_for_end(&path);
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        assert_eq!(farm.status(&path), (200, "Job completed".to_owned()));
        let pictures = pictures(&job);
        assert_eq!(pictures.len(), 6);
        for (picture, frame) in pictures.iter().zip(1..) {
            let name = picture.file_name().unwrap().to_string_lossy();
            assert!(name.starts_with(&format!("shot_{frame:04}.")), "{name}");
            let farmed = image::open(picture).unwrap();
            assert!(farmed == cold_frame(kind, &scene, frame), "frame {frame} differs under {kind:?}");
        }
    }
}

#[test]
fn frames_before_zero_are_what_blender_makes_there() {
    for kind in BOTH {
        let scene = blenders::scene("before_zero");
        let farm = Farm::start(&scene);
        let _agent = farm.agent("one", &blenders::path(kind), 1);
        let job = farm.wait_for_end(&farm.render(&json!({"from": -2, "to": 1})));
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        let pictures = pictures(&job);
        assert_eq!(pictures.len(), 4);
        for frame in -2..=1 {
            let name = if frame < 0 { format!("shot_-{:04}.png", -frame) } else { format!("shot_{frame:04}.png") };
            let picture = pictures.iter().find(|picture| picture.ends_with(&name)).expect(&name);
            assert!(image::open(picture).unwrap() == cold_still(kind, &scene, frame), "{name} differs under {kind:?}");
        }
    }
}

#[test]
fn the_demo_scene_renders_the_same() {
    let scene = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/scene.blend");
    let farm = Farm::start(&scene);
    let _agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"from": 20, "to": 20}));
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let farmed = image::open(&pictures(&job)[0]).unwrap();
    assert!(farmed == cold_frame(Kind::Program, &scene, 20), "frame 20 differs");
}

#[test]
fn blender_is_started_once_for_each_slot() {
    let farm = Farm::start(&blenders::scene("basic"));
    let counted = Counted::new(farm.folder());
    // It writes down its starts, which a sandbox would keep it from.
    let agent = farm.agent_with("one", &counted.program, &["--slots", "2", "--sandbox", "off"]);
    agent.wait_for_log("agent ready");
    let to_try_it = counted.starts();
    for frames in [1..=8, 9..=16] {
        let path = farm.render(&json!({"from": frames.start(), "to": frames.end(), "batchSize": 1}));
        let job = farm.wait_for_end(&path);
        assert_eq!(job.state, JobState::Completed, "{job:?}");
    }
    assert_eq!(counted.starts() - to_try_it, 2, "sixteen batches, two slots");
}

/// A Blender that counts its starts.
struct Counted {
    program: PathBuf,
    count: PathBuf,
}

impl Counted {
    fn new(folder: &Path) -> Self {
        let (program, count) = (folder.join("counted-blender"), folder.join("starts"));
        let blender = blenders::path(Kind::Program);
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --background ] && echo start >> '{}'\nexec '{}' \"$@\"\n",
            count.display(),
            blender.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { program, count }
    }

    fn starts(&self) -> usize {
        fs::read_to_string(&self.count).unwrap().lines().count()
    }
}
