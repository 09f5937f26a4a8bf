//! Frames on their way into a folder: whole or not at all, and nothing of anybody else's is touched.

use std::sync::{Arc, Mutex};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use serde_json::{Value, json};

use crate::double::{Double, Request, json as answer, problem};
use crate::program::{Home, text};

/// A job's frames as the stand-in has them: number, generation, name, content; and how many answers are to be broken.
#[derive(Default)]
struct Job {
    frames: Vec<(i32, u32, &'static str, &'static str)>,
    broken: u32,
}

fn serving(job: &Arc<Mutex<Job>>) -> Double {
    let job = Arc::clone(job);
    Double::start(move |request: &mut Request| {
        let mut job = job.lock().unwrap();
        let path = request.path.clone();
        if let Some((_, query)) = path.split_once("/frames?since=") {
            let since: usize = query.split('&').next().unwrap().parse().unwrap();
            let frames: Vec<Value> = (since..job.frames.len()).map(|at| recorded(at, job.frames[at])).collect();
            return answer(200, &json!({ "frames": frames, "cursor": since.max(job.frames.len()) }));
        }
        let Some((frame, name)) = path.split_once("/frames/").and_then(|(_, rest)| rest.split_once("/files/")) else {
            return problem(404, "not-found");
        };
        let found = job.frames.iter().rev().find(|(number, _, own, _)| number.to_string() == frame && *own == name);
        let Some((_, _, _, content)) = found.copied() else { return problem(404, "not-found") };
        if job.broken > 0 {
            job.broken -= 1;
            return Some((200, Vec::new(), vec![b'?'; content.len()]));
        }
        Some((200, Vec::new(), content.as_bytes().to_vec()))
    })
}

fn recorded(at: usize, (frame, generation, name, content): (i32, u32, &str, &str)) -> Value {
    json!({
        "frame": frame, "generation": generation, "recordedAt": "2026-01-01T00:00:00Z", "renderMs": 1,
        "peakMemoryBytes": null, "agent": "barn", "place": at + 1, "hasThumbnail": false,
        "files": [{
            "name": name, "sizeBytes": content.len(), "sha256": Sha256Digest::of(content.as_bytes()), "width": 1, "height": 1,
        }],
    })
}

#[test]
fn frames_are_fetched_once_and_replaced_only_by_their_own_successors() {
    let (home, id) = (Home::new(), JobId::generate().to_string());
    let job = Arc::new(Mutex::new(Job::default()));
    let double = serving(&job);
    let read = |name: &str| std::fs::read_to_string(home.path("out").join(name)).ok();
    let fetch = || {
        let ran = home.run(&double.url(), &["download", &id, "--out", text(&home.path("out")), "--json"]);
        (ran.code.unwrap(), ran.json())
    };
    home.file("out/left/0002.png", "somebody else's");
    job.lock().unwrap().frames =
        vec![(1, 1, "0001.png", "one"), (2, 1, "left/0002.png", "two"), (3, 1, "0003.png", "three")];
    let (code, first) = fetch();
    assert_eq!((code, &first["fetched"], &first["cursor"]), (1, &json!(2), &json!(3)), "{first}");
    assert!(first["failed"][0]["reason"].as_str().unwrap().contains("did not come from this job"), "{first}");
    assert_eq!(read("left/0002.png").as_deref(), Some("somebody else's"));
    assert_eq!(read("0001.png").as_deref(), Some("one"));

    std::fs::remove_file(home.path("out/left/0002.png")).unwrap();
    let files_before = double.count("GET /api/v1/jobs/");
    let (code, second) = fetch();
    assert_eq!((code, &second["fetched"], &second["kept"]), (0, &json!(1), &json!(2)), "{second}");
    assert_eq!(double.count("GET /api/v1/jobs/"), files_before + 3, "two pages and one file");

    // Rendered anew: what this program put there gives way; what the user has made of it does not.
    job.lock().unwrap().frames.extend([(1, 2, "0001.png", "one again"), (3, 2, "0003.png", "three again")]);
    home.file("out/0003.png", "retouched");
    let (code, third) = fetch();
    assert_eq!((code, &third["fetched"]), (1, &json!(1)), "{third}");
    assert_eq!((read("0001.png").as_deref(), read("0003.png").as_deref()), (Some("one again"), Some("retouched")));
}

#[test]
fn what_does_not_arrive_as_recorded_never_gets_its_name() {
    let (home, id) = (Home::new(), JobId::generate().to_string());
    let job = Arc::new(Mutex::new(Job { frames: vec![(1, 1, "0001.png", "one")], broken: 2 }));
    let double = serving(&job);
    let out = home.path("out");
    let arguments = ["download", &id, "--out", text(&out), "--json"];
    let ran = home.run(&double.url(), &arguments).ends_with(0);
    assert_eq!(ran.json()["fetched"], 1);

    std::fs::remove_file(out.join("0001.png")).unwrap();
    job.lock().unwrap().broken = 99;
    let ran = home.run(&double.url(), &arguments).ends_with(1);
    assert!(ran.json()["failed"][0]["reason"].as_str().unwrap().contains("did not arrive"), "{ran:#?}");
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "only the record is there: {left:?}");
}

#[test]
fn two_frames_of_one_name_stay_two_files() {
    let (home, id) = (Home::new(), JobId::generate().to_string());
    let job =
        Arc::new(Mutex::new(Job { frames: vec![(1, 1, "still.png", "one"), (2, 1, "still.png", "two")], broken: 0 }));
    let double = serving(&job);
    let out = home.path("out");
    for fetched in [2, 0] {
        let ran = home.run(&double.url(), &["download", &id, "--out", text(&out), "--json"]).ends_with(0);
        assert_eq!(ran.json()["fetched"], fetched, "{ran:#?}");
    }
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!((read("still.png"), read("still.frame2.png")), ("one".to_owned(), "two".to_owned()));
}
