//! What an agent fetches: the scene of a batch, byte for byte.

use serde_json::json;

use crate::agent::{Agent, get};
use crate::server::{Farm, Folder, sha256};

#[test]
fn a_scene_is_fetched_as_it_was_given() {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 20}));
    let lease = Agent::registered(&farm, "barn").lease();
    let manifest = get(&format!("/scenes/{}", lease.scene)).send(farm.address);
    assert_eq!(manifest.status, 200);
    let scene = Folder::scene_bytes();
    let file = json!({"path": "barn.blend", "sizeBytes": scene.len(), "sha256": sha256(&scene)});
    assert_eq!(manifest.json(), json!({"entry": "barn.blend", "files": [file]}));

    let blob = get(&format!("/blobs/{}", sha256(&scene))).send(farm.address);
    assert_eq!(blob.status_line, "HTTP/1.1 200 OK");
    assert_eq!(blob.header("content-type"), Some("application/octet-stream"));
    assert_eq!(blob.header("content-length"), Some(scene.len().to_string().as_str()));
    assert!(blob.body == scene, "{} bytes came that are not the scene's", blob.body.len());
}

#[test]
fn a_scene_stays_as_it_was_when_its_file_changes() {
    let farm = Farm::start();
    std::fs::write(farm.folder.scene(), b"BLENDER-v500 and something else").unwrap();
    let scene = Folder::scene_bytes();
    assert!(get(&format!("/blobs/{}", sha256(&scene))).send(farm.address).body == scene);
}

#[test]
fn what_is_not_there_is_not_found() {
    let farm = Farm::start();
    let nothing = "ab".repeat(32);
    for path in [format!("/scenes/{nothing}"), format!("/blobs/{nothing}")] {
        get(&path).send(farm.address).assert_problem(404, "urn:haywain:not-found");
    }
    for path in ["/scenes/barn", "/blobs/..%2Fqueue.sqlite"] {
        get(path).send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
    }
}
