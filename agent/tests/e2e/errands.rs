//! Scenes that somebody wants to know of without a job: an agent looks, and goes on with what else there is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use haywain_shared::inspection::InspectionStanding;
use haywain_shared::job::JobState;
use haywain_shared::scene::SceneId;
use serde_json::json;

use crate::blenders::{self, BOTH, Kind};
use crate::farm::{Farm, wait};
use crate::system::is_running;

/// What an agent has found, once one has.
fn found(farm: &Farm, scene: SceneId) -> InspectionStanding {
    wait("the inspection", || {
        Some(farm.ask_about(scene)).filter(|standing| !matches!(standing, InspectionStanding::Asked { .. }))
    })
}

#[test]
fn a_scene_is_looked_at_and_then_rendered_from_where_it_is_open() {
    for kind in BOTH {
        let farm = Farm::start(&blenders::scene("basic"));
        let agent = farm.agent("one", &blenders::path(kind), 1);
        let scene = farm.give_blend(&blenders::scene("basic"));
        let InspectionStanding::Known { inspection } = found(&farm, scene) else { panic!("it is a good scene") };
        assert_eq!(inspection.objections(&haywain_shared::options::RenderOptions::default()), Vec::<String>::new());
        let job = farm.wait_for_end(&farm.render(&json!({"from": 1, "to": 2})));
        assert_eq!(job.state, JobState::Completed);
        assert_eq!((agent.logged("Blender started").len(), agent.logged("scene opened").len()), (1, 1), "{kind:?}");
        let cold = blenders::cold_frame(kind, &blenders::scene("basic"), 2);
        let warm = image::open(&crate::farm::pictures(&job)[1]).unwrap();
        assert!(cold == warm, "{kind:?}: a frame after an inspection is like any other");
    }
}

#[test]
fn who_looks_at_a_scene_may_be_sent_home_and_another_one_looks() {
    let farm = Farm::start(&blenders::scene("basic"));
    let (real, slow) = (blenders::path(Kind::Program), farm.folder().join("slow-blender"));
    // It says its version, gets ready, and never opens anything.
    let ready = r#"{"event":"ready","protocol":1,"blender":"0","pid":'$$'}"#;
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--python*) echo '{ready}'; exec sleep 1000;; esac\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let mut agent = farm.agent("one", &slow, 1);
    let scene = farm.give_blend(&blenders::scene("basic"));
    wait("the agent to look", || {
        matches!(farm.ask_about(scene), InspectionStanding::Asked { agent: Some(name), .. } if name == "one")
            .then_some(())
    });
    let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
    assert_eq!(agent.terminate(), Some(0));
    wait("the end of Blender", || (!is_running(blender)).then_some(()));
    assert!(matches!(farm.ask_about(scene), InspectionStanding::Asked { agent: None, .. }));
    let _other = farm.agent("two", &real, 1);
    assert!(matches!(found(&farm, scene), InspectionStanding::Known { .. }));
}
