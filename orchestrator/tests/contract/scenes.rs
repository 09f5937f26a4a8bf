//! Scenes: registered and asked for by clients, and fetched by agents, byte for byte.

use serde_json::{Value, json};

use crate::agent::{Agent, get};
use crate::server::{Farm, Folder, sha256};
use crate::wire::{Answer, Request};

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

fn manifest(files: &[(&str, &[u8])]) -> Value {
    let files: Vec<_> = files
        .iter()
        .map(|(path, content)| json!({"path": path, "sizeBytes": content.len(), "sha256": sha256(content)}))
        .collect();
    json!({"entry": "a.blend", "files": files})
}

fn register(farm: &Farm, manifest: &Value) -> Answer {
    Request::post("/api/v1/scenes", manifest.to_string()).send(farm.address)
}

fn send(farm: &Farm, content: &[u8]) {
    let request = Request::new("PUT", &format!("/api/v1/blobs/{}", sha256(content))).body(content);
    assert_eq!(request.send(farm.address).status, 201);
}

#[test]
fn a_registered_scene_says_what_is_still_to_be_sent() {
    let farm = Farm::with(Folder::new(), json!({}));
    let (blend, image) = (&b"BLENDER-v304"[..], &b"an image"[..]);
    let manifest = manifest(&[("a.blend", blend), ("tex/b.png", image), ("tex/same.png", image)]);
    let answer = register(&farm, &manifest);
    assert_eq!(answer.status, 201, "{answer:?}");
    let scene = answer.json();
    let id = scene["sceneId"].as_str().unwrap();
    let missing = |scene: &Value| {
        let mut blobs: Vec<_> =
            scene["missingBlobs"].as_array().unwrap().iter().map(|blob| blob["sha256"].clone()).collect();
        blobs.sort_by_key(ToString::to_string);
        blobs
    };
    assert_eq!((&scene["manifest"], scene["sizeBytes"].as_u64()), (&manifest, Some(12 + 8 + 8)));
    let mut both = [sha256(blend), sha256(image)];
    both.sort();
    assert_eq!(missing(&scene), both);

    let submit = || Request::post("/render", json!({"from": 1, "to": 2, "scene": id}).to_string());
    let refused = submit().send(farm.address);
    assert_eq!(refused.status, 400);
    for word in ["Invalid input: ", "a.blend", "tex/b.png", "tex/same.png"] {
        assert!(refused.text().contains(word), "{}", refused.text());
    }
    submit().accept_json().send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
    send(&farm, blend);
    let refused = submit().send(farm.address).text().to_owned();
    assert!(refused.contains("tex/b.png") && !refused.contains("a.blend"), "{refused}");
    let listed = |farm: &Farm| Request::get("/api/v1/scenes").send(farm.address).json()["scenes"].clone();
    assert_eq!(listed(&farm)[0]["complete"], false);
    send(&farm, image);
    let again = register(&farm, &manifest);
    assert_eq!((again.status, missing(&again.json())), (200, vec![]));
    let found = Request::get(&format!("/api/v1/scenes/{id}")).send(farm.address);
    assert_eq!((found.status, missing(&found.json())), (200, vec![]));
    let summary = listed(&farm)[0].clone();
    assert_eq!(
        (&summary["sceneId"], &summary["entry"], &summary["files"], &summary["sizeBytes"], &summary["complete"]),
        (&json!(id), &json!("a.blend"), &json!(3), &json!(28), &json!(true))
    );
    assert_eq!(submit().send(farm.address).status, 202);
}

#[test]
fn of_many_files_that_have_not_come_five_are_named() {
    let farm = Farm::with(Folder::new(), json!({}));
    let names: Vec<_> = (0..9).map(|number| format!("tex{number}.png")).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("a.blend", b"BLENDER")];
    files.extend(names.iter().map(|name| (name.as_str(), name.as_bytes())));
    let scene = register(&farm, &manifest(&files)).json();
    let body = json!({"from": 1, "to": 2, "scene": scene["sceneId"]});
    let refused = Request::post("/render", body.to_string()).send(farm.address);
    assert!(
        refused.text().contains("a.blend, tex0.png, tex1.png, tex2.png, tex3.png and 5 more"),
        "{}",
        refused.text()
    );
}

#[test]
fn a_scene_that_lacks_files_is_rendered_only_if_its_owner_does_not_mind() {
    let farm = Farm::with(Folder::new(), json!({}));
    let mut manifest = manifest(&[("a.blend", b"BLENDER")]);
    manifest["missing"] = json!(["//tex/gone.png", "D:\\lost.exr"]);
    let scene = register(&farm, &manifest).json()["sceneId"].clone();
    send(&farm, b"BLENDER");
    let refused = Request::post("/render", json!({"from": 1, "to": 2, "scene": scene}).to_string()).send(farm.address);
    assert_eq!(refused.status, 400);
    for word in ["Invalid input: ", "//tex/gone.png", "D:\\lost.exr", "\"allowMissing\": true"] {
        assert!(refused.text().contains(word), "{}", refused.text());
    }
    farm.submit(&json!({"from": 1, "to": 2, "scene": scene, "allowMissing": true}));
}

#[test]
fn a_manifest_that_can_t_be_is_refused_by_name() {
    let farm = Farm::with(Folder::new(), json!({}));
    let file = |path: &str| json!({"path": path, "sizeBytes": 1, "sha256": "ab".repeat(32)});
    let cases = [
        (json!({"entry": "a.blend", "files": []}), "no files"),
        (json!({"entry": "a.blend", "files": [file("b.blend")]}), "a.blend"),
        (json!({"entry": "../a.blend", "files": [file("../a.blend")]}), "../a.blend"),
        (json!({"entry": "a.blend", "files": [file("a.blend"), file("Tex.png"), file("tex.png")]}), "Tex.png"),
        (json!({"entry": "a.blend", "files": [file("a.blend")], "frames": 7}), "frames"),
        (json!({"entry": "a.blend", "files": [{"path": "a.blend", "sizeBytes": -1, "sha256": "ab".repeat(32)}]}), "-1"),
        (json!({"entry": "a.blend", "files": [{"path": "a.blend", "sizeBytes": 1, "sha256": "ab"}]}), "SHA-256"),
        (json!({"entry": "a.blend", "files": [file("a.blend")], "places": [{"original": "tex"}]}), "tex"),
        (json!([]), "manifest"),
    ];
    for (manifest, word) in cases {
        let detail = register(&farm, &manifest).assert_problem(400, "urn:haywain:invalid-input");
        assert!(detail.contains(word), "{word}: {detail}");
    }
    send(&farm, b"BLENDER");
    let mut lying = manifest(&[("a.blend", b"BLENDER")]);
    lying["files"][0]["sizeBytes"] = 9.into();
    let detail = register(&farm, &lying).assert_problem(400, "urn:haywain:invalid-input");
    assert!(detail.contains("7 bytes, not 9"), "{detail}");
    assert_eq!(Request::get("/api/v1/scenes").send(farm.address).json(), json!({"scenes": []}));
    Request::get(&format!("/api/v1/scenes/{}", "ab".repeat(32)))
        .send(farm.address)
        .assert_problem(404, "urn:haywain:not-found");
}

#[test]
fn scenes_are_listed_in_pages_the_latest_touched_first() {
    let farm = Farm::with(Folder::new(), json!({}));
    let ids: Vec<Value> = (0..5)
        .map(|number| {
            let content = format!("BLENDER {number}");
            register(&farm, &manifest(&[("a.blend", content.as_bytes())])).json()["sceneId"].clone()
        })
        .collect();
    let page = |query: &str| {
        let page = Request::get(&format!("/api/v1/scenes{query}")).send(farm.address).json();
        page["scenes"].as_array().unwrap().iter().map(|scene| scene["sceneId"].clone()).collect::<Vec<_>>()
    };
    let all = page("");
    let mut sorted = [all.clone(), ids].map(|mut ids| {
        ids.sort_by_key(ToString::to_string);
        ids
    });
    assert_eq!(std::mem::take(&mut sorted[0]), sorted[1]);
    let first = page("?limit=2");
    let second = page(&format!("?limit=3&before={}", first[1].as_str().unwrap()));
    assert_eq!([first, second].concat(), all);
    for query in ["?limit=0", "?limit=1001", "?before=barn", "?from=1"] {
        let refused = Request::get(&format!("/api/v1/scenes{query}")).send(farm.address);
        refused.assert_problem(400, "urn:haywain:invalid-input");
    }
}
