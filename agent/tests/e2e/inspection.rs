//! What is in a scene is told by the first agent that opens it, and counts from then on.

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Opening;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::{CameraMarker, FaultKind, Inspection, ViewLayerFacts};
use haywain_shared::job::JobState;
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::InspectionWish;
use serde_json::json;

use crate::blenders::{self, BOTH, Kind, made_by};
use crate::farm::Farm;
use crate::session::{frame, start};

fn scene(script: &'static str, name: &str) -> SceneFolder {
    let root = made_by(script);
    SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None }
}

async fn inspected(kind: Kind, scene: &SceneFolder) -> Inspection {
    let place = tempfile::tempdir().unwrap();
    let mut session = start(kind, &place.path().join("blender")).await;
    // Told even where the opening is refused.
    let _ =
        session.open(scene, Opening { options: &RenderOptions::default(), inspection: InspectionWish::Wanted }).await;
    let inspection = session.take_inspection().unwrap();
    assert_eq!(session.take_inspection(), None, "told once");
    session.end().await;
    *inspection
}

#[tokio::test]
async fn a_scene_is_told_as_its_artist_knows_it() {
    for kind in BOTH {
        let found = inspected(kind, &scene("options", "options")).await;
        assert!(found.saved_by.starts_with("3.4"), "{found:?}");
        assert_eq!(found.active_scene, "Scene");
        let [other, main] = &found.scenes[..] else { panic!("{found:?}") };
        assert_eq!((other.name.as_str(), main.name.as_str()), ("Other", "Scene"));
        assert_eq!((main.frame_start, main.frame_end, main.frame_step), (frame(1), frame(250), 1));
        assert_eq!((main.engine.as_str(), main.samples, main.device.as_deref()), ("CYCLES", Some(2), Some("CPU")));
        assert_eq!((main.width, main.height, main.format.as_str(), main.is_movie), (64, 36, "PNG", false));
        assert_eq!((other.width, other.height, other.camera.as_deref()), (40, 40, Some("Above")));
        assert_eq!(
            (main.camera.as_deref(), &main.cameras[..]),
            (Some("Front"), &["Front".to_owned(), "Side".to_owned()][..])
        );
        let marker = |frame: FrameNumber, camera: &str| CameraMarker { frame, camera: camera.to_owned() };
        assert_eq!(main.camera_markers, [marker(frame(1), "Front"), marker(frame(5), "Side")]);
        let layer = |name: &str| ViewLayerFacts { name: name.to_owned(), renders: true };
        assert_eq!(main.view_layers, [layer("ViewLayer"), layer("Bare")]);
        assert_eq!((main.view_transform.as_str(), main.look.as_str()), ("Filmic", "None"));
        assert!((main.fps - 24.0).abs() < 1e-9 && found.memory_bytes > 50_000_000, "{found:?}");
        assert!(main.faults.is_empty() && other.faults.is_empty() && found.scripts.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn what_speaks_against_a_scene_is_told_by_name() {
    let cases = [
        ("make", "no_camera", FaultKind::NoCamera, "no camera"),
        ("scripts", "needs_python", FaultKind::BrokenDrivers, "Object 'Cube'"),
        ("scripts", "addon", FaultKind::UnknownParts, "node 'Studio"),
        ("simulations", "cloth", FaultKind::UnbakedSimulations, "'Cloth' of 'Sheet'"),
    ];
    for kind in BOTH {
        for (script, name, fault, words) in cases {
            let scene = if script == "make" {
                let entry = blenders::scene(name);
                SceneFolder { root: entry.parent().unwrap().to_owned(), entry, places: Vec::new(), color_config: None }
            } else {
                scene(script, name)
            };
            let found = inspected(kind, &scene).await;
            let faults = &found.scenes[0].faults;
            assert_eq!(faults.len(), 1, "{name} under {kind:?}: {faults:?}");
            assert!(faults[0].kind == fault && faults[0].message.contains(words), "{faults:?}");
        }
    }
    let registered = inspected(Kind::Program, &scene("scripts", "registered")).await;
    assert_eq!((registered.scripts, registered.scenes[0].faults.len()), (vec!["rig_ui.py".to_owned()], 0));
}

#[test]
fn what_the_first_agent_found_speaks_at_the_next_submission() {
    let farm = Farm::start(&scene("options", "options").entry);
    let _agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    // Nothing is known yet: it is the agent that refuses, before any frame.
    let job = farm.wait_for_end(&farm.render(&json!({"frames": "1-3", "camera": "Top"})));
    assert_eq!((job.state, job.counts.done), (JobState::Failed, 0), "{job:?}");
    let words = "there is no camera 'Top': choose one of 'Front', 'Side'";
    assert!(job.scene_fault.as_ref().unwrap().message.contains(words), "{job:?}");
    let inspection = farm.scene_report(job.scene).inspection.unwrap();
    assert_eq!(inspection.active_scene, "Scene");

    let (status, body) = farm.refused(&json!({"frames": "1-3", "camera": "Top"}));
    assert_eq!(status, 400);
    assert!(body.starts_with("Invalid input: ") && body.contains(words), "{body}");
    let job = farm.wait_for_end(&farm.render(&json!({"frames": "1", "camera": "Side"})));
    assert_eq!(job.state, JobState::Completed, "{job:?}");
}
