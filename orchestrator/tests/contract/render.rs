//! `POST /render` that is accepted, in all the ways in which HTTP lets it be said.

use serde_json::json;

use crate::agent::Agent;
use crate::server::{Farm, Folder};
use crate::wire::{Answer, Request, Wire, exchange, padded};

const BODY: &str = r#"{"from":1,"to":20}"#;

/// It is the contract's first row; the job's id.
#[track_caller]
fn assert_accepted(answer: &Answer) -> String {
    let job = answer.json()["jobId"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("location"), Some(format!("/status/{job}").as_str()));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.text(), format!(r#"{{"jobId":"{job}"}}"#));
    assert!(job.len() == 36 && job.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{job}");
    job
}

#[test]
fn a_good_job_is_accepted_word_for_word() {
    let farm = Farm::start();
    let answer = Request::post("/render", BODY).send(farm.address);
    assert_eq!(answer.status_line, "HTTP/1.1 202 Accepted");
    let job = assert_accepted(&answer);
    // The answer is JSON for everybody, and every job is another one.
    let other = assert_accepted(&Request::post("/render", BODY).accept_json().send(farm.address));
    assert_ne!(job, other);
    assert_eq!(farm.counts(&job), [20, 0, 0, 0]);
}

#[test]
fn optional_members_are_taken_at_their_word() {
    let farm = Farm::start();
    let plain = farm.report(&farm.submit(&json!({"from": -3, "to": 20.0})));
    assert_eq!((&plain["batchSize"], &plain["name"]), (&5.into(), &json!(null)));
    assert_eq!(plain["frames"]["pending"], json!([{"from": -3, "to": 20}]));
    let job = json!({
        "from": 1_048_574, "to": 1_048_574, "batchSize": 7, "name": "shot <4> & \"5\"", "scene": plain["scene"],
    });
    let full = farm.report(&farm.submit(&job));
    assert_eq!((&full["batchSize"], &full["name"]), (&7.into(), &job["name"]));
    assert_eq!((&full["scene"], &full["counts"]["total"]), (&plain["scene"], &1.into()));
    let listed = farm.report(&farm.submit(&json!({"frames": "300,310-320x5,1-5", "allowMissing": true})));
    let runs = json!([{"from": 1, "to": 5}, {"from": 300, "to": 300}, {"from": 310, "to": 310}, {"from": 315, "to": 315}, {"from": 320, "to": 320}]);
    assert_eq!((&listed["frames"]["pending"], &listed["options"]["allow"]), (&runs, &json!(["missingFiles"])));
    // Null is the same as not there.
    farm.submit(&json!({"from": 1, "to": 2, "batchSize": null, "name": null, "scene": null}));
}

#[test]
fn every_option_is_taken_at_its_word_or_refused_in_words() {
    let farm = Farm::start();
    let plain = farm.report(&farm.submit(&json!({"from": 1, "to": 2})));
    assert_eq!(plain["options"], json!({"scripts": "blocked", "order": "any"}));
    let cases = [
        ("sceneName", json!("Shot 4"), json!({"sceneName": "Shot 4"}), json!(7), "must be a string"),
        ("viewLayer", json!("Beauty"), json!({"viewLayer": "Beauty"}), json!(""), "must have from 1 to 255 bytes"),
        ("camera", json!("Left"), json!({"camera": "Left"}), json!("a\nb"), "must not contain control characters"),
        ("engine", json!("CYCLES"), json!({"engine": "CYCLES"}), json!([]), "must be a string"),
        ("samples", json!(64), json!({"samples": 64}), json!(0), "must be from 1 to 16777216"),
        ("device", json!("any"), json!({"device": "any"}), json!("gpus"), "choose one of cpu, gpu, cuda, optix"),
        ("resolutionPercent", json!(50), json!({"resolutionPercent": 50}), json!(1001), "must be from 1 to 1000"),
        ("format", json!("PNG"), json!({"format": {"type": "PNG"}}), json!("AVI"), "unknown variant `AVI`"),
        (
            "format",
            json!({"type": "EXR", "colorDepth": 16, "codec": "DWAA"}),
            json!({"format": {"type": "OPEN_EXR", "colorDepth": 16, "codec": "DWAA"}}),
            json!({"type": "PNG", "colorDepth": 32}),
            "PNG has no colour depth of 32 bits",
        ),
        ("persistentData", json!(false), json!({"persistentData": false}), json!("off"), "must be true or false"),
        ("scripts", json!(true), json!({"scripts": "allowed"}), json!("yes"), "must be true or false"),
        ("addons", json!(["rig_tools"]), json!({"addons": ["rig_tools"]}), json!(["../x"]), "names of Python modules"),
        ("order", json!("sequential"), json!({"order": "sequential"}), json!("back"), "\"any\" or \"sequential\""),
        ("allowMissing", json!(true), json!({"allow": ["missingFiles"]}), json!(1), "must be true or false"),
        ("allowBrokenDrivers", json!(true), json!({"allow": ["brokenDrivers"]}), json!(1), "must be true or false"),
        ("allowUnbaked", json!(true), json!({"allow": ["unbakedSimulations"]}), json!(1), "must be true or false"),
        ("allowUnknown", json!(true), json!({"allow": ["unknownParts"]}), json!(1), "must be true or false"),
    ];
    for (member, good, expected, bad, words) in cases {
        let job = farm.report(&farm.submit(&json!({"from": 1, "to": 2, member: good})));
        for (option, value) in expected.as_object().unwrap() {
            assert_eq!(&job["options"][option], value, "{member}: {}", job["options"]);
        }
        let body = json!({"from": 1, "to": 2, member: bad}).to_string();
        let refused = Request::post("/render", body).send(farm.address);
        assert_eq!(refused.status_line, "HTTP/1.1 400 Bad Request", "{member}");
        let said = refused.text();
        assert!(said.starts_with(&format!("Invalid input: {member}")) && said.contains(words), "{member}: {said}");
    }
}

#[test]
fn the_most_frames_that_are_allowed_are_allowed() {
    let folder = Folder::new();
    let scene = folder.scene();
    let farm = Farm::with(folder, json!({"scene": scene, "max_frames": 10}));
    farm.submit(&json!({"from": 1, "to": 10}));
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 1_000_000}));
    assert_eq!(farm.counts(&job), [1_000_000, 0, 0, 0]);
}

#[test]
fn the_request_may_be_written_in_every_way_that_http_allows() {
    let farm = Farm::start();
    let chunked = "POST /render HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   7\r\n{\"from\"\r\nb;hint=1\r\n:1,\"to\":20}\r\n0\r\n\r\n";
    let lower =
        format!("POST /render HTTP/1.1\r\nhost:localhost\r\nconnection:close\r\ncontent-length:{}\r\n\r\n{BODY}", 18);
    let upper = format!(
        "POST /render HTTP/1.1\r\nhost: localhost\r\nCONNECTION: close\r\nCONTENT-LENGTH: {}\r\n\r\n{BODY}",
        18
    );
    let old = format!("POST /render HTTP/1.0\r\nContent-Length: {}\r\n\r\n{BODY}", 18);
    let absolute = format!(
        "POST http://localhost/render?night=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{BODY}",
        18
    );
    for request in [chunked, &lower, &upper, &old, &absolute] {
        let job = assert_accepted(&exchange(farm.address, request.as_bytes()));
        assert_eq!(farm.counts(&job), [20, 0, 0, 0], "{request}");
    }
    let patient = Request::post("/render", BODY).header("Expect", "100-continue");
    assert_accepted(&patient.send(farm.address));
    // As large as a body may be, the most of it white space.
    let large = Request::post("/render", padded(BODY, 65_536));
    assert_accepted(&large.send(farm.address));
}

#[test]
fn two_requests_may_be_sent_before_the_first_answer_is_read() {
    let farm = Farm::start();
    let mut wire = Wire::connect(farm.address);
    let first = Request::post("/render", BODY).bytes();
    let second = Request::post("/render", "{}").header("Connection", "close").bytes();
    wire.send(&[first, second].concat());
    let job = assert_accepted(&wire.answer());
    wire.answer().assert_plain("HTTP/1.1 400 Bad Request", "Invalid input");
    assert_eq!(wire.rest(), b"");
    assert_eq!(farm.counts(&job), [20, 0, 0, 0]);
}

#[test]
fn a_refused_request_leaves_its_connection_usable() {
    let farm = Farm::start();
    let mut wire = Wire::connect(farm.address);
    for request in [Request::post("/render", "{"), Request::get("/render"), Request::post("/nowhere", BODY)] {
        wire.send(&request.bytes());
        assert!(wire.answer().status >= 400);
    }
    wire.send(&Request::post("/render", vec![b' '; 100_000]).bytes());
    assert_eq!(wire.answer().status, 413);
    wire.send(&Request::post("/render", BODY).bytes());
    assert_accepted(&wire.answer());
}

#[test]
fn a_client_that_goes_away_in_mid_body_leaves_no_job() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    // What has arrived would be a whole job.
    let unfinished = format!("POST /render HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{BODY}");
    let chunk =
        format!("POST /render HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{BODY}\r\n");
    for request in [unfinished, chunk] {
        let mut gone = Wire::connect(farm.address);
        gone.send(request.as_bytes());
        drop(gone);
        let mut half_gone = Wire::connect(farm.address);
        half_gone.send(request.as_bytes());
        half_gone.shut();
        let last_words = half_gone.rest();
        assert!(last_words.is_empty() || last_words.starts_with(b"HTTP/1.1 400 "), "{last_words:?}");
    }
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    assert_eq!(agent.lease().job, job);
}
