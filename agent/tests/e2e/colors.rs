//! A scene that is looked at through a colour configuration of its own renders with it, or is refused by the name of what is
//! not known without it.

use std::fs;
use std::path::Path;

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Surroundings;
use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::job::JobState;
use haywain_shared::options::{Allowance, RenderOptions};
use haywain_shared::scene::{Manifest, SceneFile};
use serde_json::json;

use crate::blenders::{self, BOTH, Change, Kind, assert_same, cold_file, made_by};
use crate::farm::{Farm, pictures};
use crate::session::{TERMS, empty_folder, frame, opening, start_in};

const FRAME: i32 = 3;

fn scene() -> SceneFolder {
    let root = made_by("colors");
    SceneFolder {
        entry: root.join("studio.blend"),
        color_config: Some(root.join("colors/config.ocio")),
        root,
        places: Vec::new(),
    }
}

#[tokio::test]
async fn a_session_starts_with_the_scene_s_colour_configuration() {
    let careless = RenderOptions { allow: [Allowance::UnknownParts].into(), ..RenderOptions::default() };
    for kind in BOTH {
        let (place, scene) = (tempfile::tempdir().unwrap(), scene());
        let folder = place.path().join("without");
        let mut without = start_in(kind, Surroundings { folder: &folder, color_config: None, addons: None }).await;
        let failure = without.open(&scene, opening(&RenderOptions::default())).await.unwrap_err();
        assert_eq!(failure.cause, Cause::BadScene, "{failure}");
        assert!(failure.message.contains("view transform 'Studio View'"), "{kind:?}: {failure}");
        without.open(&scene, opening(&careless)).await.unwrap();
        without.end().await;

        let folder = place.path().join("with");
        let config = scene.color_config.as_deref();
        let mut with = start_in(kind, Surroundings { folder: &folder, color_config: config, addons: None }).await;
        let opened = with.open(&scene, opening(&RenderOptions::default())).await.unwrap();
        assert_eq!(opened.notes, [""; 0], "{kind:?}");
        let into = empty_folder(&place, "frame");
        let rendered = with.render(frame(FRAME.into()), &into, TERMS, |_| {}).await.unwrap();
        let change = Change { color_config: config, ..Change::default() };
        let (_cold, cold) = cold_file(kind, &scene.entry, FRAME, change);
        assert_same(&into.join(&rendered.files[0].name), &cold);
        let (_plain, plain) = cold_file(kind, &scene.entry, FRAME, Change::default());
        assert!(image::open(&plain).unwrap() != image::open(&cold).unwrap(), "{kind:?}: the test proves nothing");
        with.end().await;
    }
}

#[test]
fn a_scene_carries_its_colour_configuration_to_the_farm() {
    let scene = scene();
    let file = |path: &str| {
        let bytes = fs::read(scene.root.join(path)).unwrap();
        SceneFile { path: path.parse().unwrap(), size_bytes: bytes.len() as u64, sha256: Sha256Digest::of(&bytes) }
    };
    let manifest = Manifest {
        entry: "studio.blend".parse().unwrap(),
        files: vec![file("colors/config.ocio"), file("studio.blend")],
        places: Vec::new(),
        color_config: Some("colors/config.ocio".parse().unwrap()),
        missing: Vec::new(),
    };
    // A job before it in the same slot has another configuration: Blender's own.
    let farm = Farm::start(&blenders::scene("basic"));
    let _agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let id = farm.give_scene(&manifest, &scene.root);
    for body in [json!({"frames": "3"}), json!({"frames": "3", "scene": id}), json!({"frames": "3"})] {
        let job = farm.wait_for_end(&farm.render(&body));
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        let config = scene.color_config.as_deref().filter(|_| body.get("scene").is_some());
        let entry: &Path = if config.is_some() { &scene.entry } else { &blenders::scene("basic") };
        let (_cold, cold) =
            cold_file(Kind::Program, entry, FRAME, Change { color_config: config, ..Change::default() });
        assert_same(&pictures(&job)[0], &cold);
    }
}
