//! Devices, with real Blenders on a machine that has no GPU: what is asked for is what renders, or the job says what it waits
//! for. GPUs themselves are tested by what was recorded of them (`slot/equipment.rs`, `tests/driver/test_devices.py`).

use std::fs;

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::{Failure, Opened};
use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::job::{JobReport, JobState};
use haywain_shared::options::RenderOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::blenders::{self, BOTH, Kind, made_by};
use crate::farm::Farm;
use crate::session::{opening, start};

fn with(scene: impl serde::Serialize, device: Option<&str>) -> Value {
    json!({"from": 1, "to": 2, "scene": scene, "device": device, "maxAttempts": 1})
}

/// Waits until a job says that it waits for this.
fn waits_for(farm: &Farm, job: &str, what: &str) -> JobReport {
    farm.wait_for(job, what, |job| job.waits_for.iter().any(|reason| reason.starts_with(what)))
}

#[test]
fn a_scene_set_to_gpu_is_rendered_on_a_cpu_only_where_that_is_asked_for() {
    let scenes = made_by("devices");
    let farm = Farm::start(&scenes.join("gpu.blend"));
    let _agent = farm.agent("barn", &blenders::path(Kind::Program), 1);
    let scene = farm.give_blend(&scenes.join("gpu.blend"));
    // The first agent that opens the scene learns what it asks for, and renders nothing.
    let silent = farm.render(&with(scene, None));
    let waits = waits_for(
        &farm,
        &silent,
        "no agent has GPU, which the scene asks for (device: any would take a CPU): not barn",
    );
    assert_eq!((waits.counts.done, waits.counts.failed), (0, 0));
    for device in ["any", "cpu"] {
        let job = farm.wait_for_end(&farm.render(&with(scene, Some(device))));
        assert_eq!((job.state, job.device), (JobState::Completed, Some(DeviceKind::Cpu)), "{device}");
    }
    let optix = farm.render(&with(scene, Some("optix")));
    waits_for(&farm, &optix, "no agent has OptiX, which the job asks for: not barn");
    let (code, body) = farm.refused(&with(scene, Some("gpus")));
    assert!(
        code == 400 && body.contains("device: there is no device \"gpus\": choose one of cpu, gpu"),
        "{code} {body}"
    );
}

#[test]
fn what_only_software_would_draw_is_drawn_only_if_that_is_asked_for() {
    let scenes = made_by("devices");
    for kind in BOTH {
        let farm = Farm::start(&scenes.join("drawn.blend"));
        let _agent = farm.agent("barn", &blenders::path(kind), 1);
        let scene = farm.give_blend(&scenes.join("drawn.blend"));
        for device in [None, Some("any")] {
            let silent = farm.render(&with(scene, device));
            let waits = waits_for(&farm, &silent, "no agent has GPU that draws EEVEE");
            assert_eq!(waits.counts.done, 0);
        }
        let job = farm.wait_for_end(&farm.render(&with(scene, Some("software"))));
        assert_eq!((job.state, job.device), (JobState::Completed, Some(DeviceKind::Software)), "{kind:?}");
    }
}

#[test]
fn a_scene_waits_for_a_blender_that_can_denoise_it() {
    let scenes = made_by("devices");
    let farm = Farm::start(&scenes.join("denoised.blend"));
    let _without = farm.agent("barn", &blenders::path(Kind::Program), 1);
    let jobs = ["denoised", "denoised_by_nodes"].map(|name| {
        let scene = farm.give_blend(&scenes.join(name).with_extension("blend"));
        farm.render(&json!({"from": 1, "to": 6, "scene": scene, "maxAttempts": 1}))
    });
    for job in &jobs {
        // The first that opens it cannot render it, and nobody pays for that.
        let what = "no agent has a Blender in which OpenImageDenoise works, by which the scene is denoised: not barn (";
        let waits = waits_for(&farm, job, what);
        assert_eq!((waits.counts.done, waits.counts.failed), (0, 0));
    }
    let _with = farm.agent("mill", &blenders::path(Kind::Module), 1);
    for job in &jobs {
        assert_eq!(farm.wait_for_end(job).state, JobState::Completed);
        let tried = farm.attempts(job);
        let causes: Vec<_> = tried.iter().filter_map(|attempt| attempt.cause).collect();
        assert_eq!(causes, [Cause::DeviceUnavailable], "{tried:?}");
    }
}

#[test]
fn what_failed_is_tried_again_at_the_next_start_and_all_in_another_jail() {
    let farm = Farm::start(&blenders::scene("basic"));
    let file = farm.folder().join("barn/blenders.json");
    let known = || serde_json::from_slice::<Vec<Value>>(&fs::read(&file).unwrap()).unwrap();
    let blender = blenders::path(Kind::Program);
    let lives = |flags: &[&str]| {
        let mut agent = farm.agent_with("barn", &blender, &[&["--slots", "1"], flags].concat());
        agent.wait_for_log("agent ready");
        let asked = agent.logged("finding out what it can do on this machine").len();
        assert_eq!(agent.terminate(), Some(0));
        let entry = known().into_iter().find(|entry| entry["path"] == json!(blender)).unwrap();
        let engines = entry["facts"]["engines"].as_array().unwrap().clone();
        (asked, engines.into_iter().filter(|engine| engine.get("failure").is_some()).collect::<Vec<_>>())
    };
    lives(&[]);
    assert_eq!(lives(&[]), (0, vec![]), "it knows");

    // As it is where nothing draws, and somebody has done something about it.
    let mut entries = known();
    for entry in &mut entries {
        entry["tried"]["failed"] = json!(["EEVEE"]);
        for engine in entry["facts"]["engines"].as_array_mut().unwrap() {
            if engine["name"] == "EEVEE" {
                engine["failure"] = json!("there is nothing that draws");
            }
        }
    }
    fs::write(&file, json!(entries).to_string()).unwrap();
    assert_eq!(lives(&[]), (1, vec![]), "it has tried again");
    assert_eq!(lives(&[]), (0, vec![]), "it knows");
    assert_eq!(lives(&["--sandbox", "off"]), (1, vec![]), "all is other without a jail");
}

/// Opens one of the scenes of this module in a Blender.
async fn opened(kind: Kind, name: &str) -> Result<Opened, Failure> {
    let root = made_by("devices");
    let scene =
        SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None };
    let folder = TempDir::new().unwrap();
    start(kind, folder.path()).await.open(&scene, opening(&RenderOptions::default())).await
}

#[tokio::test]
async fn denoising_is_never_switched_off_in_silence() {
    for name in ["denoised", "denoised_by_nodes"] {
        // Debian builds it without the library: by itself it fails in mid-frame, or passes the noise through without a word.
        let failure = opened(Kind::Program, name).await.unwrap_err();
        assert_eq!(failure.cause, Cause::DeviceUnavailable, "{failure}");
        assert!(failure.message.contains("OpenImageDenoise"), "{failure}");
        opened(Kind::Module, name).await.unwrap();
    }
}
