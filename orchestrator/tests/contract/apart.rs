//! Those who submit are kept apart: each sees its own jobs, scenes and files, and hears nothing of others'.

use haywain_orchestrator::access::table::{TABLE, To};
use serde_json::{Value, json};

use crate::server::{Farm, Folder, sha256};
use crate::wire::{Answer, Request, Wire};

const SECRET: &[u8] = b"BLENDER-v304 and a secret";

/// A farm of two who submit and one who operates.
fn farm() -> (Farm, [String; 3]) {
    Farm::with_keys([("submit", "ann"), ("submit", "bob"), ("operate", "otto")], json!({}))
}

fn submit(farm: &Farm, token: &str, body: &Value) -> Answer {
    Request::post("/render", body.to_string()).bearer(token).send(farm.address)
}

fn accepted(farm: &Farm, token: &str, body: &Value) -> String {
    let answer = submit(farm, token, body);
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["jobId"].as_str().unwrap().to_owned()
}

fn get(farm: &Farm, token: &str, path: &str) -> Answer {
    Request::get(path).bearer(token).send(farm.address)
}

fn manifest() -> String {
    let file = json!({"path": "a.blend", "sizeBytes": SECRET.len(), "sha256": sha256(SECRET)});
    json!({"entry": "a.blend", "files": [file]}).to_string()
}

fn blob() -> String {
    format!("/api/v1/blobs/{}", sha256(SECRET))
}

fn head(farm: &Farm, token: &str) -> (u16, Option<String>) {
    let mut wire = Wire::connect(farm.address);
    wire.send(&Request::new("HEAD", &blob()).bearer(token).bytes());
    let answer = wire.head();
    (answer.status, answer.header("upload-offset").map(str::to_owned))
}

#[test]
fn nobody_sees_another_s_jobs() {
    let (farm, [ann, bob, otto]) = farm();
    let job = accepted(&farm, &ann, &json!({"from": 1, "to": 2}));
    let path = format!("/api/v1/jobs/{job}");
    let nobody = get(&farm, &bob, &path.replace(&job, &crate::agent::lease_id()));
    let others = get(&farm, &bob, &path);
    assert_eq!((others.status, nobody.status), (404, 404));
    others.assert_problem(404, "urn:haywain:not-found");
    get(&farm, &bob, &format!("/status/{job}")).assert_plain("HTTP/1.1 404 Not Found", "Job not found");
    for rest in ["/frames", "/frames.zip", "/attempts", "/frames/1/image"] {
        assert_eq!(get(&farm, &bob, &format!("{path}{rest}")).status, 404, "{rest}");
    }
    for rest in ["/cancel", "/pause", "/priority"] {
        let moved = Request::post(&format!("{path}{rest}"), r#"{"priority": 5}"#).bearer(&bob).send(farm.address);
        assert_eq!(moved.status, 404, "{rest}");
    }
    assert_eq!(Request::new("DELETE", &path).bearer(&bob).send(farm.address).status, 404);
    let listed = |token: &str| get(&farm, token, "/api/v1/jobs").json()["jobs"].as_array().unwrap().len();
    assert_eq!((listed(&ann), listed(&bob), listed(&otto)), (1, 0, 1));
    // Whose job it is may do all of it, and who operates.
    let own = get(&farm, &ann, &path).json();
    assert_eq!((&own["state"], &own["outputFolder"]), (&json!("pending"), &Value::Null), "{own}");
    assert!(get(&farm, &otto, &path).json()["outputFolder"].is_string());
    for token in [&ann, &otto] {
        let moved = Request::post(&format!("{path}/priority"), r#"{"priority": 5}"#).bearer(token).send(farm.address);
        assert_eq!(moved.status, 200, "{moved:?}");
    }
}

#[test]
fn another_s_job_scene_or_file_is_not_there_by_any_route() {
    let (farm, [ann, bob, _]) = farm();
    let registered = Request::post("/api/v1/scenes", manifest()).bearer(&ann).send(farm.address).json();
    assert_eq!(Request::new("PUT", &blob()).bearer(&ann).body(SECRET).send(farm.address).status, 201);
    let scene = registered["sceneId"].as_str().unwrap();
    let job = accepted(&farm, &ann, &json!({"from": 1, "to": 2}));
    let names =
        [("{job}", &*job), ("{scene}", scene), ("{blob}", &sha256(SECRET)), ("{frame}", "1"), ("{name}", "1.png")];
    let theirs = TABLE.iter().filter(|rule| matches!(rule.to, To::Clients | To::Plain));
    let theirs: Vec<_> =
        theirs.filter(|rule| ["{job}", "{scene}", "{blob}"].iter().any(|part| rule.path.contains(part))).collect();
    assert!(theirs.len() >= 20, "{theirs:?}");
    for rule in theirs {
        // Whoever has all bytes of a file may send them.
        if rule.method == "PUT" {
            continue;
        }
        let path = names.iter().fold(rule.path.to_owned(), |path, (part, name)| path.replace(part, name));
        let request = Request::new(rule.method.as_str(), &path).header("Content-Type", "application/json");
        let mut wire = Wire::connect(farm.address);
        wire.send(&request.body(r#"{"frames": [{"from": 1, "to": 1}], "priority": 5}"#).bearer(&bob).bytes());
        assert_eq!(wire.head().status, 404, "{} {path}", rule.method);
    }
    let own = get(&farm, &ann, &format!("/api/v1/jobs/{job}")).json();
    assert_eq!((&own["state"], &own["priority"]), (&json!("pending"), &json!(0)), "{own}");
}

#[test]
fn nobody_hears_of_another_s_jobs() {
    let (farm, [ann, bob, otto]) = farm();
    let watch = |token: &str| {
        let mut wire = Wire::connect(farm.address);
        wire.send(&Request::get("/api/v1/events?after=0").bearer(token).bytes());
        assert_eq!(wire.head().status, 200);
        wire
    };
    let [anns, bobs, ottos] = [&ann, &bob, &otto].map(|token| watch(token));
    let first = accepted(&farm, &ann, &json!({"from": 1, "to": 2}));
    let second = accepted(&farm, &bob, &json!({"from": 1, "to": 2}));
    for (mut wire, jobs) in [(anns, vec![&first]), (bobs, vec![&second]), (ottos, vec![&first, &second])] {
        let mut heard = String::new();
        for job in &jobs {
            heard += &wire.until(job);
        }
        assert_eq!(heard.matches("jobId").count(), jobs.len(), "{heard}");
    }
}

#[test]
fn the_same_key_of_two_is_two_keys() {
    let (farm, [ann, bob, _]) = farm();
    let submit = |token: &str, to: u32| {
        let body = json!({"from": 1, "to": to}).to_string();
        Request::post("/render", body).header("Idempotency-Key", "k").bearer(token).send(farm.address)
    };
    let (first, second) = (submit(&ann, 1).json(), submit(&bob, 2).json());
    assert_ne!(first["jobId"], second["jobId"]);
    assert_eq!(submit(&ann, 1).json()["jobId"], first["jobId"]);
    assert_eq!(submit(&ann, 2).status, 422);
}

#[test]
fn a_digest_is_not_as_good_as_its_file() {
    let (farm, [ann, bob, _]) = farm();
    let register = |token: &str| Request::post("/api/v1/scenes", manifest()).bearer(token).send(farm.address);
    let put = |token: &str| Request::new("PUT", &blob()).bearer(token).body(SECRET).send(farm.address).status;
    let scene = register(&ann).json()["sceneId"].as_str().unwrap().to_owned();
    assert_eq!(put(&ann), 201);
    assert_eq!((head(&farm, &ann).0, get(&farm, &ann, &blob()).body), (200, SECRET.to_vec()));

    // To everybody else it is as if it were not here.
    let scene_path = format!("/api/v1/scenes/{scene}");
    for path in [&blob(), &scene_path] {
        get(&farm, &bob, path).assert_problem(404, "urn:haywain:not-found");
    }
    assert_eq!(head(&farm, &bob), (404, Some("0".to_owned())));
    let unknown = submit(&farm, &bob, &json!({"from": 1, "to": 2, "scene": scene}));
    let never = submit(&farm, &bob, &json!({"from": 1, "to": 2, "scene": "ab".repeat(32)}));
    assert_eq!(unknown.text(), never.text().replace(&"ab".repeat(32), &scene));
    let asked = Request::post(&format!("{scene_path}/inspection"), "").bearer(&bob).send(farm.address);
    assert_eq!(asked.status, 404);

    // A manifest does not open it.
    let registered = register(&bob);
    assert_eq!((registered.status, registered.json()["missingBlobs"].as_array().unwrap().len()), (201, 1));
    assert_eq!((head(&farm, &bob).0, get(&farm, &bob, &blob()).status), (404, 404));
    let asked = Request::post(&format!("{scene_path}/inspection"), "").bearer(&bob).send(farm.address);
    assert_eq!(asked.status, 409);
    // Its bytes do, which have to be right.
    let wrong = Request::new("PUT", &blob()).bearer(&bob).body("guess").send(farm.address);
    wrong.assert_problem(422, "urn:haywain:digest-mismatch");
    assert_eq!((put(&bob), put(&bob)), (201, 200));
    assert_eq!(get(&farm, &bob, &blob()).body, SECRET);
    accepted(&farm, &bob, &json!({"from": 1, "to": 2, "scene": scene}));
}

#[test]
fn what_another_has_begun_to_send_nobody_goes_on_with() {
    let (farm, [ann, bob, _]) = farm();
    let length = SECRET.len();
    let mut cut = Wire::connect(farm.address);
    let whole = Request::new("PUT", &blob()).bearer(&ann).body(SECRET).bytes();
    cut.send(&whole[..whole.len() - 1]);
    cut.shut();
    cut.rest();
    assert_eq!(head(&farm, &ann), (404, Some((length - 1).to_string())));
    assert_eq!(head(&farm, &bob), (404, Some("0".to_owned())));
    let rest = |token: &str| {
        let range = format!("bytes {}-{}/{length}", length - 1, length - 1);
        let request = Request::new("PUT", &blob()).header("Content-Range", &range).bearer(token);
        request.body(&SECRET[length - 1..]).send(farm.address).status
    };
    assert_eq!((rest(&bob), rest(&ann)), (409, 201));
}

#[test]
fn a_scene_in_one_file_is_its_sender_s() {
    let (farm, [ann, bob, _]) = farm();
    let send = |token: &str| {
        let request = Request::new("PUT", "/api/v1/scenes/files/a.blend").bearer(token);
        request.body(Folder::scene_bytes()).send(farm.address)
    };
    // The orchestrator's own scene has these bytes: nobody is told.
    let first = send(&ann);
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!((send(&ann).status, send(&bob).status), (200, 201));
    let listed = |token: &str| get(&farm, token, "/api/v1/scenes").json()["scenes"].clone();
    assert_eq!(listed(&ann).as_array().unwrap().len(), 1);
    assert_eq!(listed(&ann)[0]["complete"], true);
}

#[test]
fn strangers_may_submit_what_is_the_orchestrator_s_own() {
    let (farm, [ann]) = Farm::with_keys([("submit", "ann")], json!({"anonymous_submit": true}));
    let plain = |body: &Value| Request::post("/render", body.to_string()).send(farm.address);
    let answer = plain(&json!({"from": 1, "to": 2}));
    assert_eq!(answer.status, 202, "{answer:?}");
    let job = answer.json()["jobId"].as_str().unwrap().to_owned();
    farm.status(&job).assert_plain("HTTP/1.1 202 Accepted", "Job still running");
    assert_eq!(farm.report(&job)["outputFolder"], Value::Null);
    let anns = accepted(&farm, &ann, &json!({"from": 1, "to": 2}));
    farm.status(&anns).assert_plain("HTTP/1.1 404 Not Found", "Job not found");
    // Scenes that others have sent are not theirs to render.
    let send = Request::new("PUT", "/api/v1/scenes/files/a.blend").bearer(&ann).body(SECRET).send(farm.address);
    let scene = send.json()["sceneId"].clone();
    let refused = plain(&json!({"from": 1, "to": 2, "scene": scene}));
    assert!(refused.status == 400 && refused.text().contains("not on this orchestrator"), "{refused:?}");
}
