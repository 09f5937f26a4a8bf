//! Frames that depend on those before them: refused by the simulation's name unless somebody does not mind, rendered right
//! when they are asked for in sequence.

use std::path::PathBuf;

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Session;
use haywain_shared::cause::Cause;
use haywain_shared::job::JobState;
use haywain_shared::options::{Allowance, FrameOrder, RenderOptions};
use serde_json::json;

use crate::blenders::{self, BOTH, Change, Kind, assert_same, cold_file, made_by};
use crate::deaths::renders_by_frame;
use crate::farm::{Farm, pictures};
use crate::session::{TERMS, empty_folder, frame, opening, start};

/// The scenes, and what each names.
const UNBAKED: [(&str, &str); 5] = [
    ("rigid", "the rigid bodies"),
    ("cloth", "'Cloth' of 'Sheet'"),
    ("instanced", "'Cloth' of 'Cape'"),
    ("soft", "'Softbody' of 'Cube'"),
    ("sparks", "'Sparks' of 'Cube'"),
];

/// As an artist comes to a frame of a simulation: by playing all before it.
const PLAYED: Change<'_> =
    Change { scene: "", color_config: None, python: "for number in range(1, 21): bpy.context.scene.frame_set(number)" };

fn scene(name: &str) -> SceneFolder {
    made("simulations", name)
}

fn made(script: &'static str, name: &str) -> SceneFolder {
    let root = made_by(script);
    SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None }
}

async fn render(session: &mut Session, into: PathBuf, number: i64) -> PathBuf {
    let rendered = session.render(frame(number), &into, TERMS, |_| {}).await.unwrap();
    into.join(&rendered.files[0].name)
}

#[tokio::test]
async fn a_simulation_is_refused_by_name_or_rendered_as_it_was_asked_for() {
    let sequential = RenderOptions { order: FrameOrder::Sequential, ..RenderOptions::default() };
    let careless = RenderOptions { allow: [Allowance::UnbakedSimulations].into(), ..RenderOptions::default() };
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let mut session = start(kind, &place.path().join("blender")).await;
        for (name, words) in UNBAKED {
            let scene = scene(name);
            let failure = session.open(&scene, opening(&RenderOptions::default())).await.unwrap_err();
            assert_eq!(failure.cause, Cause::BadScene, "{failure}");
            assert!(failure.message.contains(words), "{kind:?}: {failure}");

            session.open(&scene, opening(&sequential)).await.unwrap();
            let (_played, played) = cold_file(kind, &scene.entry, 20, PLAYED);
            // On from an earlier frame, and once more from a later one, from which there is no way back but the start.
            for (turn, number) in [12, 20, 20, 25, 20].into_iter().enumerate() {
                let farmed = render(&mut session, empty_folder(&place, &format!("{name}-{turn}")), number).await;
                if number == 20 {
                    assert_same(&farmed, &played);
                }
            }

            session.open(&scene, opening(&careless)).await.unwrap();
            let (_jumped, jumped) = cold_file(kind, &scene.entry, 20, Change::default());
            for turn in ["first", "second"] {
                let farmed = render(&mut session, empty_folder(&place, &format!("{name}-{turn}")), 20).await;
                assert_same(&farmed, &jumped);
            }
            let differ = image::open(&played).unwrap() != image::open(&jumped).unwrap();
            assert!(differ, "{name} under {kind:?}: the test proves nothing");
        }
        session.end().await;
    }
}

#[tokio::test]
async fn what_only_looks_like_a_simulation_renders_in_any_order() {
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let mut session = start(kind, &place.path().join("blender")).await;
        for name in ["free_sparks", "baked"] {
            let scene = scene(name);
            let opened = session.open(&scene, opening(&RenderOptions::default())).await.unwrap();
            assert_eq!(opened.notes, [""; 0], "{name} under {kind:?}");
            let (_played, played) = cold_file(kind, &scene.entry, 20, PLAYED);
            for (turn, number) in [25, 20, 3].into_iter().enumerate() {
                let farmed = render(&mut session, empty_folder(&place, &format!("{name}-{turn}")), number).await;
                if number == 20 {
                    assert_same(&farmed, &played);
                }
            }
        }
        session.end().await;
    }
}

#[tokio::test]
async fn simulation_zones_are_told_apart_by_their_bakes() {
    let kind = Kind::Module;
    let place = tempfile::tempdir().unwrap();
    let mut session = start(kind, &place.path().join("blender")).await;
    let unbaked = made("simulation_nodes", "unbaked");
    let (_played, played) = cold_file(kind, &unbaked.entry, 20, PLAYED);
    let failure = session.open(&unbaked, opening(&RenderOptions::default())).await.unwrap_err();
    assert!(failure.message.contains("the simulation nodes of 'Mover' of 'Cube'"), "{failure}");
    let sequential = RenderOptions { order: FrameOrder::Sequential, ..RenderOptions::default() };
    for (name, options) in
        [("unbaked", sequential), ("packed", RenderOptions::default()), ("on_disk", RenderOptions::default())]
    {
        session.open(&made("simulation_nodes", name), opening(&options)).await.unwrap();
        assert_same(&render(&mut session, empty_folder(&place, name), 20).await, &played);
    }
    session.end().await;
}

#[test]
fn a_sequence_that_lost_its_agent_is_played_from_the_start_and_only_what_is_missing_is_rendered() {
    let scene = scene("rigid");
    let farm = Farm::start(&scene.entry);
    let mut first_life = farm.agent("one", &blenders::path(Kind::Program), 2);
    let path = farm.render(&json!({"from": 1, "to": 25, "batchSize": 1, "order": "sequential", "device": "software"}));
    let job = farm.wait_for(&path, "some frames", |job| job.counts.done >= 5);
    assert!(job.batches.len() <= 1, "two slots, and one of them at it: {job:?}");
    first_life.kill();
    let recorded = farm.job(&path).counts.done;
    let next_life = farm.agent("one", &blenders::path(Kind::Program), 2);
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let rendered = renders_by_frame(&next_life);
    assert!(rendered.len() as u64 <= 25 - recorded, "{recorded} were recorded, yet {rendered:?} rendered");
    let (_played, played) = cold_file(Kind::Program, &scene.entry, 20, PLAYED);
    assert_same(&pictures(&job)[19], &played);
}
