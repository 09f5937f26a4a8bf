//! What is in a scene: asked for by people without a job, and said by agents, or why they can't.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Grant, assert_no_content, post, request_id};
use crate::server::{Farm, Folder, sha256};
use crate::wire::{Answer, Request, Wire};

fn scene_of(farm: &Farm) -> String {
    let scenes = Request::get("/api/v1/scenes").send(farm.address).json();
    scenes["scenes"][0]["sceneId"].as_str().unwrap().to_owned()
}

fn ask(farm: &Farm, scene: &str) -> Answer {
    Request::post(&format!("/api/v1/scenes/{scene}/inspection"), "").send(farm.address)
}

#[track_caller]
fn assert_asked(answer: &Answer, agent: &Value, online: u32) {
    assert_eq!((answer.status, answer.header("retry-after")), (202, Some("1")), "{answer:?}");
    assert_eq!(answer.json(), json!({"state": "asked", "agent": agent, "agentsOnline": online}));
}

fn inspection() -> Value {
    let fault = json!({"kind": "noCamera", "cause": "bad_scene", "message": "Scene 'Shot' has no camera"});
    let shot = json!({
        "name": "Shot", "frameStart": 1, "frameEnd": 20, "frameStep": 1, "fps": 24.0, "camera": null, "cameras": [],
        "cameraMarkers": [], "viewLayers": [{"name": "Beauty", "renders": true}], "engine": "CYCLES", "samples": 4,
        "width": 64, "height": 36, "format": "PNG", "isMovie": false, "device": "CPU", "viewTransform": "Standard",
        "look": "None", "faults": [fault], "cycles": null, "compositorDenoiser": null,
    });
    json!({
        "savedBy": "3.4.1", "openedBy": "3.4.1", "activeScene": "Shot", "scenes": [shot], "files": [], "scripts": [],
        "sounds": [], "colorConfig": "Blender 3.4.1", "memoryBytes": 1_000_000,
    })
}

/// What the agent is to do, which must be to look at a scene.
#[track_caller]
fn assert_errand(answer: &Answer, scene: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({"work": "inspection", "scene": scene}));
}

#[test]
fn somebody_asks_and_an_agent_says_what_is_in_the_scene() {
    let farm = Farm::start();
    let scene = scene_of(&farm);
    assert_asked(&ask(&farm, &scene), &Value::Null, 0);
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    assert_asked(&ask(&farm, &scene), &Value::Null, 2);
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    // Before the batch that waits, once, and again to the same request.
    let request = request_id();
    assert_errand(&barn.ask(&request), &scene);
    assert_eq!(mill.lease().job, job);
    assert_errand(&barn.ask(&request), &scene);
    assert_asked(&ask(&farm, &scene), &"barn".into(), 2);

    assert_no_content(&post(&format!("/scenes/{scene}/inspection"), &inspection()).send(farm.address));
    let known = ask(&farm, &scene);
    assert_eq!((known.status, known.json()), (200, json!({"state": "known", "inspection": inspection()})));
    let kept = Request::get(&format!("/api/v1/scenes/{scene}")).send(farm.address).json();
    assert_eq!(kept["inspection"], inspection());
    let refused = Request::post("/render", r#"{"from":1,"to":2}"#).send(farm.address);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("Scene 'Shot' has no camera"), "{}", refused.text());
}

#[test]
fn a_request_that_waits_is_woken_and_one_whose_agent_has_the_scene_comes_first() {
    let farm = Farm::start();
    let scene = scene_of(&farm);
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let mut waiting = Wire::connect(farm.address);
    waiting.send(&barn.lease_request(&request_id()).bytes());
    let mut has_it = Wire::connect(farm.address);
    let body = json!({
        "agentId": mill.id, "incarnation": 1, "requestId": request_id(), "memoryAvailableBytes": 0, "cached": [scene],
    });
    has_it.send(&post("/lease", &body).bytes());
    has_it.assert_silent(Duration::from_millis(200));
    ask(&farm, &scene);
    assert_errand(&has_it.answer(), &scene);
    waiting.assert_silent(Duration::from_millis(200));
    // It leaves, and the other one is woken for it.
    assert_no_content(&post("/leave", &json!({"agentId": mill.id, "incarnation": 1})).send(farm.address));
    assert_errand(&waiting.answer(), &scene);
}

#[test]
fn who_asks_is_told_why_nobody_can_say() {
    let farm = Farm::start();
    let scene = scene_of(&farm);
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    ask(&farm, &scene);
    let cannot = |agent: &Agent, cause: &str, message: &str| {
        let report = json!({"agentId": agent.id, "cause": cause, "message": message});
        assert_no_content(&post(&format!("/scenes/{scene}/inspection-failure"), &report).send(farm.address));
    };
    assert_errand(&barn.ask(&request_id()), &scene);
    cannot(&barn, "agent_stopped", "the agent leaves");
    assert_errand(&barn.ask(&request_id()), &scene);
    cannot(&barn, "crashed", "Blender ended");
    assert_asked(&ask(&farm, &scene), &Value::Null, 2);
    // Not to the one that has tried: it gets the batch.
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    assert_eq!(Grant::of(&barn.ask(&request_id())).job, job);
    assert_errand(&mill.ask(&request_id()), &scene);
    cannot(&mill, "bad_scene", "Blender 3.4.1 cannot open barn.blend: it is cut off");
    let failed = ask(&farm, &scene);
    let message = "Blender 3.4.1 cannot open barn.blend: it is cut off";
    let expected = json!({"state": "failed", "agent": "mill", "cause": "bad_scene", "message": message});
    assert_eq!((failed.status, failed.json()), (200, expected));
}

#[test]
fn an_agent_that_gets_no_work_gets_no_scene_to_look_at() {
    let farm = Farm::start();
    let scene = scene_of(&farm);
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let drained = Request::post(&format!("/api/v1/agents/{}/drain", barn.id), "").send(farm.address);
    assert!(drained.status < 300, "{drained:?}");
    assert_asked(&ask(&farm, &scene), &Value::Null, 1);
    let mut waiting = Wire::connect(farm.address);
    waiting.send(&barn.lease_request(&request_id()).bytes());
    waiting.assert_silent(Duration::from_millis(200));
    assert_errand(&mill.ask(&request_id()), &scene);
    waiting.assert_silent(Duration::from_millis(200));
}

#[test]
fn a_restart_forgets_who_asked_and_a_scene_that_is_not_there_is_not_asked_for() {
    let farm = Farm::start();
    let scene = scene_of(&farm);
    ask(&farm, &scene);
    let farm = Farm::on(farm.stop());
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    assert_eq!(agent.lease().job, job);
    assert_asked(&ask(&farm, &scene), &Value::Null, 1);
    assert_errand(&agent.ask(&request_id()), &scene);

    ask(&farm, &"ab".repeat(32)).assert_problem(404, "urn:haywain:not-found");
    ask(&farm, "barn").assert_problem(400, "urn:haywain:invalid-input");
    let file = json!({"path": "a.blend", "sizeBytes": 12, "sha256": sha256(b"BLENDER-v304")});
    let manifest = json!({"entry": "a.blend", "files": [file]});
    let farm = Farm::with(Folder::new(), json!({}));
    let registered = Request::post("/api/v1/scenes", manifest.to_string()).send(farm.address).json();
    let incomplete = ask(&farm, registered["sceneId"].as_str().unwrap());
    let words = incomplete.assert_problem(409, "urn:haywain:illegal-move");
    assert!(words.contains("1 of its files have not come yet"), "{words}");
}
