//! Uploads by an agent that is wrong, odd or in a hurry: each gets an answer that it can act on. A `5xx` would have it
//! try again for ever, a cut connection too.

use serde_json::json;

use crate::agent::{Agent, Grant, PNG, Upload, assert_outcome, lease_id};
use crate::server::Farm;
use crate::wire::{Request, eventually};

const INVALID: (u16, &str) = (400, "urn:haywain:invalid-input");

/// A farm with a job of forty frames, and a lease of its first five.
fn leased() -> (Farm, Agent, Grant) {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 40}));
    let agent = Agent::registered(&farm, "barn");
    let lease = agent.lease();
    (farm, agent, lease)
}

#[test]
fn a_refusal_reaches_an_agent_that_is_still_sending() {
    let (farm, agent, lease) = leased();
    let large = Upload::of(&lease).file("0002.png", &[&PNG[..], &vec![7; 24_000_000]].concat());
    let mut other_job = large.clone();
    other_job.meta["jobId"] = farm.submit(&json!({"from": 1, "to": 5})).into();
    let mut no_files = large.clone();
    no_files.meta["files"] = json!([]);
    let mut no_meta = large.clone();
    no_meta.meta = json!({});
    let wrong_name = large.clone().saying("name", "../0001.png");
    let too_long = large.clone().saying("sizeBytes", 100);
    let wrong_digest = large.clone().saying("sha256", "ab".repeat(32));
    let cases = [
        ("an unknown lease", &large, lease_id(), 1, (404, "urn:haywain:unknown-lease")),
        ("a frame outside the lease", &large, lease.id.clone(), 6, INVALID),
        ("another job", &other_job, lease.id.clone(), 1, INVALID),
        ("no files", &no_files, lease.id.clone(), 1, INVALID),
        ("no meta", &no_meta, lease.id.clone(), 1, INVALID),
        ("a wrong name", &wrong_name, lease.id.clone(), 1, INVALID),
        ("more than was announced", &too_long, lease.id.clone(), 1, (422, "urn:haywain:digest-mismatch")),
        ("a wrong digest", &wrong_digest, lease.id.clone(), 1, (422, "urn:haywain:digest-mismatch")),
    ];
    for (what, upload, lease, frame, (status, kind)) in cases {
        println!("refused for {what}");
        upload.put(agent.to, &lease, frame).assert_problem(status, kind);
    }
    assert_outcome(&large.put(agent.to, &lease.id, 1), "recorded");
    assert_outcome(&large.put(agent.to, &lease.id, 1), "alreadyRecorded");
}

#[test]
fn a_body_that_is_no_upload_is_refused_as_a_problem() {
    let (farm, agent, lease) = leased();
    let path = format!("/api/v1/agent/leases/{}/frames/1", lease.id);
    for request in [
        Request::new("PUT", &path).body(PNG),
        Request::new("PUT", &path).header("Content-Type", "application/json").body("{}"),
        Request::new("PUT", &path).header("Content-Type", "multipart/form-data").body("{}"),
        Request::new("PUT", &path).header("Content-Type", "multipart/form-data; boundary=b").body("no parts"),
    ] {
        let answer = request.send(agent.to);
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answer.assert_problem(answer.status, "urn:haywain:invalid-input");
    }
    assert_eq!(farm.counts(&lease.job), [35, 5, 0, 0]);
}

#[test]
fn what_stands_before_the_files_has_a_bound() {
    let (farm, agent, lease) = leased();
    let path = format!("/api/v1/agent/leases/{}/frames/1", lease.id);
    let honest = Upload::of(&lease).request(&lease.id, 1).bytes();
    let at = honest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (first, rest) = honest[at..].split_at(2);
    let padding = vec![b' '; 8_000_000];
    let meta_at = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, content) = rest.split_at(meta_at);
    let cases = [
        ("before the first part", [&padding, &b"\r\n"[..], first, head, content].concat()),
        (
            "in a part's head",
            [first, &head[..meta_at - 4], b"\r\nX: ", &vec![b'x'; 8_000_000], b"\r\n\r\n", content].concat(),
        ),
        ("in the description", [first, head, &padding, content].concat()),
    ];
    for (what, body) in cases {
        println!("too much {what}");
        let request = Request::new("PUT", &path)
            .header("Content-Type", "multipart/form-data; boundary=haywain-contract-boundary")
            .body(body);
        request.send(agent.to).assert_problem(413, "urn:haywain:too-large");
    }
    assert_eq!(farm.counts(&lease.job), [35, 5, 0, 0]);
    agent.deliver(&lease, 1);
}

#[test]
fn what_is_said_of_a_failure_is_kept_up_to_a_bound() {
    let (farm, agent, lease) = leased();
    let [message, log] = ["m", "l"].map(|letter| letter.repeat(500_000));
    let report = json!({"frame": 1, "cause": "crashed", "message": message, "logTail": format!("{log}the end"), "peakMemoryBytes": null});
    assert_eq!(crate::agent::post(&format!("/leases/{}/failures", lease.id), &report).send(agent.to).status, 204);
    let attempts = Request::get(&format!("/api/v1/jobs/{}/attempts", lease.job)).send(farm.address).json();
    let text = |member: &str| attempts["attempts"][0][member].as_str().unwrap().to_owned();
    assert_eq!((text("message").len(), text("logTail").len()), (4096, 65536));
    assert!(text("logTail").ends_with("the end"));
}

#[test]
fn two_files_of_one_name_are_refused() {
    let (farm, agent, lease) = leased();
    let twice = Upload::of(&lease).file("0001.png", &PNG);
    twice.put(agent.to, &lease.id, 1).assert_problem(INVALID.0, INVALID.1);
    assert_eq!((farm.counts(&lease.job), farm.folder.frame_files().len()), ([35, 5, 0, 0], 0));
}

#[test]
fn a_name_that_no_folder_takes_is_refused() {
    let (farm, agent, lease) = leased();
    let long = format!("{}.png", "a".repeat(300));
    for name in [long.as_str(), &format!("{long}/0001.png"), &"ü/".repeat(500)] {
        Upload::of(&lease).saying("name", name).put(agent.to, &lease.id, 1).assert_problem(INVALID.0, INVALID.1);
    }
    // What the storage marks its unfinished files with: taken or refused, but not to be tried again.
    let marked = Upload::of(&lease).saying("name", "0001.png#1").put(agent.to, &lease.id, 2);
    assert!(marked.status < 500, "{marked:?}");
    assert_eq!(farm.counts(&lease.job)[0], 35);
    agent.deliver(&lease, 1);
}

#[test]
fn an_odd_name_is_kept_as_it_is_and_goes_when_it_is_refused() {
    let (farm, agent, lease) = leased();
    let odd = ["Sonne über dem Feld.png", "100% [a] {b} ~#1.png", "a b/c d.png", "%2e%2e/0001.png"];
    for name in odd {
        let mut mistaken = Upload::of(&lease).saying("name", name).file("0002.png", &PNG);
        mistaken.meta["files"][1]["width"] = 3.into();
        mistaken.put(agent.to, &lease.id, 1).assert_problem(422, "urn:haywain:invalid-output");
        eventually(name, || farm.folder.frame_files().is_empty().then_some(()));
    }
    for (frame, name) in (1..).zip(odd) {
        assert_outcome(&Upload::of(&lease).saying("name", name).put(agent.to, &lease.id, frame), "recorded");
        let folder = farm.folder.data().join("frames").join(&lease.job);
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), PNG, "{name}");
    }
}

#[test]
fn the_largest_numbers_break_nothing() {
    let (farm, agent, lease) = leased();
    let mut upload = Upload::of(&lease);
    upload.meta["renderMs"] = u64::MAX.into();
    upload.meta["peakMemoryBytes"] = u64::MAX.into();
    for frame in [1, 2] {
        let answer = upload.put(agent.to, &lease.id, frame);
        assert!(answer.status < 500, "{answer:?}: {}", answer.text());
    }
    agent.deliver(&lease, 3);
    assert_eq!(farm.status(&lease.job).status, 202);
    assert!(farm.report(&lease.job)["counts"].is_object());
    assert_eq!(agent.lease().job, lease.job);
}
