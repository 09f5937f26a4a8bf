//! What is sent, and what is sent again: nothing twice, and everything in the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::scene::{BlobRef, Manifest, SceneReport};
use serde_json::json;

use crate::double::{Answer, Double, Request, json as answer, problem};
use crate::program::{Home, Ran, text};

/// Large enough to be asked for before it is sent, and to be sent in many pieces.
const SIZE: usize = 3_000_000;

/// What the stand-in does with the bytes of a blob, one after the other.
#[derive(Debug, Clone, Copy)]
enum Trick {
    /// Takes so many and cuts the connection.
    CutAfter(u64),
    /// Says that it is busy.
    Busy,
    /// Holds a byte less than it said.
    Forget,
    /// Says that they are others than promised.
    Mismatch,
}

#[derive(Default)]
struct Held {
    tricks: Vec<Trick>,
    /// What is held of each blob, by its path.
    blobs: HashMap<String, Vec<u8>>,
    /// Bytes that have come in, the same ones again included.
    received: usize,
    /// The keys of submissions.
    keys: Vec<String>,
    busy_renders: u32,
}

/// A stand-in that keeps blobs, once its tricks are used up.
fn keeping(tricks: &[Trick], busy_renders: u32) -> (Double, Arc<Mutex<Held>>) {
    let mut tricks = tricks.to_vec();
    tricks.reverse();
    let held = Arc::new(Mutex::new(Held { tricks, busy_renders, ..Held::default() }));
    let kept = Arc::clone(&held);
    (Double::start(move |request| serve(request, &kept)), held)
}

fn serve(request: &mut Request, held: &Mutex<Held>) -> Answer {
    let body_of_blob = request.method == "PUT";
    let small = if body_of_blob { Vec::new() } else { request.read_all() };
    let mut held = held.lock().unwrap();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.starts_with("/api/v1/jobs?") => answer(200, &json!({ "jobs": [] })),
        ("POST", "/api/v1/scenes") => {
            let manifest: Manifest = serde_json::from_slice(&small).unwrap();
            let is_here = |blob: &BlobRef| {
                let key = format!("/api/v1/blobs/{}", blob.sha256);
                held.blobs.get(&key).is_some_and(|bytes| bytes.len() as u64 == blob.size_bytes)
            };
            let missing_blobs = manifest.blobs().into_iter().filter(|blob| !is_here(blob)).collect();
            let report = SceneReport {
                scene_id: manifest.id(),
                size_bytes: manifest.size_bytes(),
                manifest,
                missing_blobs,
                inspection: None,
                touched_at: jiff::Timestamp::UNIX_EPOCH,
            };
            answer(201, &serde_json::to_value(report).unwrap())
        }
        ("HEAD", path) => {
            let offset = held.blobs.get(path).map_or(0, Vec::len);
            Some((404, vec![("upload-offset", offset.to_string())], Vec::new()))
        }
        ("PUT", path) => {
            let path = path.to_owned();
            put(request, &mut held, &path)
        }
        ("POST", "/render") => {
            held.keys.push(request.headers["idempotency-key"].clone());
            if held.busy_renders > 0 {
                held.busy_renders -= 1;
                return Some((503, vec![("retry-after", "0".to_owned())], Vec::new()));
            }
            answer(202, &json!({ "jobId": JobId::generate() }))
        }
        other => panic!("{other:?}"),
    }
}

fn put(request: &mut Request, held: &mut Held, path: &str) -> Answer {
    let range = request.headers.get("content-range").cloned();
    let from: usize = range.map_or(0, |range| range["bytes ".len()..].split('-').next().unwrap().parse().unwrap());
    let trick = held.tricks.pop();
    let blob = held.blobs.entry(path.to_owned()).or_default();
    if let Some(Trick::Forget) = trick {
        blob.pop();
    }
    if from != blob.len() && from != 0 {
        let mut offset = problem(409, "offset-mismatch").unwrap();
        offset.1.push(("upload-offset", blob.len().to_string()));
        return Some(offset);
    }
    blob.truncate(from);
    match trick {
        Some(Trick::CutAfter(bytes)) => {
            let came = request.read(bytes);
            held.received += came.len();
            blob.extend(came);
            None
        }
        Some(Trick::Busy) => Some((503, vec![("retry-after", "0".to_owned())], Vec::new())),
        Some(Trick::Mismatch) => problem(422, "digest-mismatch"),
        Some(Trick::Forget) | None => {
            let came = request.read_all();
            held.received += came.len();
            blob.extend(came);
            let digest = Sha256Digest::of(blob).to_string();
            assert!(path.ends_with(&digest), "what is held is not what was promised");
            answer(201, &json!({}))
        }
    }
}

/// A .blend, and a file beside it that is large.
fn project(home: &Home) -> String {
    home.file("p/large.bin", (0..SIZE).map(|at| (at * at / 7).to_le_bytes()[0]).collect::<Vec<_>>());
    text(&home.file("p/shot.blend", b"BLENDER-v304 and so on")).to_owned()
}

fn submit(home: &Home, double: &Double) -> Ran {
    let scene = project(home);
    home.run(&double.url(), &["submit", &scene, "-f", "1", "--no-blender", "--folder", text(&home.path("p")), "--json"])
}

#[test]
fn a_cut_upload_goes_on_where_it_was_cut() {
    let (home, (double, held)) = (Home::new(), keeping(&[], 0));
    held.lock().unwrap().tricks = vec![Trick::CutAfter(1_500_000), Trick::CutAfter(700_000)];
    // The small file may meet a trick as well: it is sent whole each time.
    let ran = submit(&home, &double).ends_with(0);
    let held = held.lock().unwrap();
    assert!(held.blobs.values().any(|blob| blob.len() == SIZE), "{ran:#?}");
    // What was held was not sent again, but for what the small file cost.
    assert!(held.received <= SIZE + 100, "{} of {SIZE} bytes were sent", held.received);
    assert!(ran.err.contains("Trying again"), "{ran:#?}");
}

#[test]
fn a_busy_orchestrator_is_asked_again_and_one_submission_is_one_key() {
    let (home, (double, held)) = (Home::new(), keeping(&[Trick::Busy, Trick::Busy, Trick::Busy], 2));
    submit(&home, &double).ends_with(0);
    let held = held.lock().unwrap();
    assert_eq!(held.keys.len(), 3, "{:?}", held.keys);
    assert!(held.keys.iter().all(|key| *key == held.keys[0] && !key.is_empty()), "{:?}", held.keys);
}

#[test]
fn an_offset_that_has_changed_is_obeyed() {
    let (home, (double, held)) = (Home::new(), keeping(&[], 0));
    held.lock().unwrap().tricks = vec![Trick::Forget, Trick::Forget, Trick::CutAfter(1_000_000), Trick::CutAfter(10)];
    submit(&home, &double).ends_with(0);
    assert!(held.lock().unwrap().blobs.values().any(|blob| blob.len() == SIZE));
}

#[test]
fn a_blob_that_changed_on_its_way_is_an_error() {
    let (home, (double, _)) = (Home::new(), keeping(&[Trick::Mismatch, Trick::Mismatch], 0));
    let ran = submit(&home, &double).ends_with(1);
    assert!(ran.err.contains("changed while it was sent: submit again"), "{ran:#?}");
    assert_eq!(double.count("POST /render"), 0);
}

#[test]
fn a_second_submission_sends_and_reads_nothing() {
    let (home, (double, held)) = (Home::new(), keeping(&[], 0));
    let first = submit(&home, &double).ends_with(0).json();
    assert_eq!(first["sentBytes"], SIZE + 22);
    let sent = double.count("PUT");
    // As if it had been saved a while ago: what has just changed is read each time.
    let large = home.path("p/large.bin");
    let saved = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let settle = |name: &str| {
        std::fs::File::options().write(true).open(home.path(name)).unwrap().set_modified(saved).unwrap();
    };
    settle("p/large.bin");
    settle("p/shot.blend");
    let arguments = [
        "submit",
        text(&home.path("p/shot.blend")),
        "-f",
        "1",
        "--no-blender",
        "--folder",
        text(&home.path("p")),
        "--json",
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    home.run(&double.url(), &arguments).ends_with(0);
    // Now that its digest is remembered, the file need not even be readable.
    #[cfg(unix)]
    std::fs::set_permissions(&large, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let third = home.run(&double.url(), &arguments).ends_with(0).json();
    assert_eq!((&third["sentBytes"], &third["sceneId"]), (&json!(0), &first["sceneId"]));
    assert_eq!(double.count("PUT"), sent);
    assert_eq!(held.lock().unwrap().keys.len(), 3);
}
