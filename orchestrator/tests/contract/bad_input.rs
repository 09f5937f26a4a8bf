//! Bad input: each kind is refused in its own words, in time, and leaves no job behind.

use serde_json::json;

use crate::agent::Agent;
use crate::server::{Farm, Folder};
use crate::wire::{Answer, Request, Wire, padded};

const NO_SCENE: &str =
    r#"{"from":1,"to":2,"scene":"abababababababababababababababababababababababababababababababab"}"#;

/// Body, and how the answer begins.
pub(crate) const BAD_BODIES: [(&str, &str); 43] = [
    ("{}", "Invalid input"),
    (r#"{"from":1}"#, "Invalid input"),
    (r#"{"to":20}"#, "Invalid input"),
    (r#"{"from":null,"to":20}"#, "Invalid input"),
    (r#"{"from":1,"to":null}"#, "Invalid input"),
    (r#"{"from":null,"to":null}"#, "Invalid input"),
    (r#"{"From":1,"To":20}"#, "Invalid input"),
    (r#"{"from":"1","to":"6"}"#, "Invalid input: from must be a number"),
    (r#"{"from":1,"to":"6"}"#, "Invalid input: to must be a number"),
    (r#"{"from":"NaN","to":6}"#, "Invalid input: from must be a number"),
    (r#"{"from":1,"to":"Infinity"}"#, "Invalid input: to must be a number"),
    (r#"{"from":NaN,"to":6}"#, "Invalid input: the body is not JSON"),
    (r#"{"from":1,"to":Infinity}"#, "Invalid input: the body is not JSON"),
    (r#"{"from":true,"to":6}"#, "Invalid input: from must be a number"),
    (r#"{"from":[1],"to":6}"#, "Invalid input: from must be a number"),
    (r#"{"from":1,"to":{}}"#, "Invalid input: to must be a number"),
    (r#"{"from":1.5,"to":6}"#, "Invalid input: from must be a whole number, not 1.5"),
    (r#"{"from":1,"to":6.000001}"#, "Invalid input: to must be a whole number, not 6.000001"),
    (r#"{"from":20,"to":1}"#, "Invalid input: from (20) is after to (1)"),
    (r#"{"from":2,"to":1}"#, "Invalid input: from (2) is after to (1)"),
    (r#"{"from":-1048575,"to":1}"#, "Invalid input: from: frame -1048575 is outside Blender's range"),
    (r#"{"from":1,"to":1048575}"#, "Invalid input: to: frame 1048575 is outside Blender's range"),
    (r#"{"from":1,"to":2147483648}"#, "Invalid input: to: frame 2147483648 is outside"),
    (r#"{"from":1,"to":9223372036854775808}"#, "Invalid input: to: frame 9223372036854775808 is outside"),
    (r#"{"from":-1e300,"to":1e300}"#, "Invalid input: from: frame -1e+300 is outside"),
    (r#"{"from":1,"to":1000001}"#, "Invalid input: 1000001 frames are more than the 1000000"),
    (r#"{"from":-1048574,"to":1048574}"#, "Invalid input: 2097149 frames are more than the 1000000"),
    (r#"{"from":1,"to":20,"fps":25}"#, "Invalid input: there is no member \"fps\""),
    (r#"{"from":1,"to":20,"From":1}"#, "Invalid input: there is no member \"From\""),
    (r#"{"from":1,"to":20,"batchSize":0}"#, "Invalid input: batchSize must be from 1"),
    (r#"{"from":1,"to":20,"batchSize":"5"}"#, "Invalid input: batchSize must be a number"),
    (r#"{"from":1,"to":20,"name":""}"#, "Invalid input: name must have from 1"),
    (r#"{"from":1,"to":20,"name":7}"#, "Invalid input: name must be a string"),
    (r#"{"from":1,"to":20,"scene":"barn"}"#, "Invalid input: scene: \"barn\" is no scene id"),
    (NO_SCENE, "Invalid input: scene abababab"),
    ("", "Invalid input: the body is empty"),
    (" \r\n\t", "Invalid input: the body is empty"),
    ("from=1&to=20", "Invalid input: the body is not JSON"),
    (r#"{"from":1,"to":20"#, "Invalid input: the body is not JSON"),
    (r#"{"from":1,"to":20}{}"#, "Invalid input: the body is not JSON"),
    ("[1,20]", "Invalid input: the body is a list, not a JSON object"),
    ("null", "Invalid input: the body is null, not a JSON object"),
    ("\"{\\\"from\\\":1,\\\"to\\\":20}\"", "Invalid input: the body is a string, not a JSON object"),
];

/// It is refused with these words (all of them, if they are the bare two), both in plain text and as a problem document.
#[track_caller]
fn assert_refused(farm: &Farm, request: &Request, begins: &str) {
    let plain = request.clone().send(farm.address);
    assert_eq!(plain.status_line, "HTTP/1.1 400 Bad Request", "{request:?}");
    assert_eq!(plain.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((plain.header("location"), plain.header("retry-after")), (None, None));
    let told = if begins == "Invalid input" { plain.text() == begins } else { plain.text().starts_with(begins) };
    assert!(told, "{request:?}: {:?} instead of {begins:?}", plain.text());
    assert!(plain.text().len() < 600 && !plain.text().contains('\n'), "no place for a stack trace: {:?}", plain.text());

    let problem = request.clone().accept_json().send(farm.address);
    assert_eq!(problem.assert_problem(400, "urn:haywain:invalid-input"), plain.text());
}

#[test]
fn bad_input_is_refused_in_its_own_words_and_leaves_no_job() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    for (body, begins) in BAD_BODIES {
        assert_refused(&farm, &Request::post("/render", body), begins);
    }
    assert_refused(&farm, &Request::new("POST", "/render"), "Invalid input: the body is empty");
    assert_refused(
        &farm,
        &Request::post("/render", b"{\"from\":1,\"to\":\xff}"),
        "Invalid input: the body is not JSON",
    );
    let deep = "[".repeat(10_000);
    assert_refused(&farm, &Request::post("/render", deep), "Invalid input: the body is not JSON");

    let job = farm.submit(&json!({"from": 1, "to": 20}));
    assert_eq!(agent.lease().job, job, "a refused job was queued before it");
}

#[test]
fn more_frames_than_were_configured_are_refused() {
    let folder = Folder::new();
    let scene = folder.scene();
    let farm = Farm::with(folder, json!({"scene": scene, "max_frames": 10}));
    let request = Request::post("/render", r#"{"from":1,"to":11}"#);
    assert_refused(&farm, &request, "Invalid input: 11 frames are more than the 10");
}

#[test]
fn without_a_default_scene_a_job_must_name_one() {
    let farm = Farm::with(Folder::new(), json!({}));
    let request = Request::post("/render", r#"{"from":1,"to":20}"#);
    assert_refused(&farm, &request, "Invalid input: there is no default scene");
    assert_refused(&farm, &Request::post("/render", r#"{"from":1}"#), "Invalid input");
}

#[test]
fn what_a_client_sent_comes_back_as_text_never_as_html() {
    let farm = Farm::start();
    for body in [
        r#"{"from":1,"to":2,"<script>alert(1)</script>&":1}"#,
        r#"{"from":1,"to":2,"scene":"<script>alert(1)</script>&"}"#,
    ] {
        let plain = Request::post("/render", body).send(farm.address);
        assert_eq!(plain.status, 400);
        assert!(plain.text().contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"), "{:?}", plain.text());
        assert!(!plain.text().contains(['<', '>']), "{:?}", plain.text());
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        let problem = Request::post("/render", body).accept_json().send(farm.address);
        assert!(problem.assert_problem(400, "urn:haywain:invalid-input").contains("<script>"));
    }
}

#[test]
fn a_body_over_the_limit_gets_its_413_however_large_it_is() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let assert_too_large = |answer: &Answer| {
        assert_eq!(answer.status_line, "HTTP/1.1 413 Payload Too Large");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(answer.text().starts_with("Invalid input: the body is larger than 65536 bytes"), "{answer:?}");
    };
    for length in [65_537, 1024 * 1024, 8 * 1024 * 1024] {
        let body = padded(r#"{"from":1,"to":20}"#, length);
        assert_too_large(&Request::post("/render", body.as_str()).send(farm.address));
        let problem = Request::post("/render", body).accept_json().send(farm.address);
        problem.assert_problem(413, "urn:haywain:too-large");
    }
    let mut chunked = Wire::connect(farm.address);
    chunked.send(b"POST /render HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", 40_000, padded(r#"{"from":1,"to":20}"#, 40_000));
    chunked.send(format!("{chunk}{chunk}0\r\n\r\n").as_bytes());
    assert_too_large(&chunked.answer());

    let job = farm.submit(&json!({"from": 1, "to": 20}));
    assert_eq!(agent.lease().job, job);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let status = format!("/status/{job}");
    let cases = [
        ("GET", "/render", "POST"),
        ("PUT", "/render", "POST"),
        ("DELETE", "/render", "POST"),
        ("POST", &status, "GET,HEAD"),
        ("DELETE", &status, "GET,HEAD"),
        ("GET", "/api/v1/agent/lease", "POST"),
    ];
    for (method, path, allowed) in cases {
        let request = Request::new(method, path).body(r#"{"from":1,"to":20}"#);
        let plain = request.clone().send(farm.address);
        plain.assert_plain("HTTP/1.1 405 Method Not Allowed", "Method not allowed");
        assert_eq!(plain.header("allow"), Some(allowed), "{method} {path}");
        let problem = request.accept_json().send(farm.address);
        problem.assert_problem(405, "urn:haywain:method-not-allowed");
        assert_eq!(problem.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn a_wrong_path_is_not_found() {
    let farm = Farm::start();
    for path in [
        "/",
        "/rendr",
        "/Render",
        "/render/",
        "/status",
        "/status/",
        "/status/a/b",
        "/api/v1/agent/nothing",
        "/%ff",
        "/foo/api/v1/jobs",
        "/api/v1/nothing",
        "/api",
    ] {
        let post = Request::new("POST", path).body(r#"{"from":1,"to":20}"#);
        for request in [post, Request::get(path)] {
            request.clone().send(farm.address).assert_plain("HTTP/1.1 404 Not Found", "Not found");
            request.accept_json().send(farm.address).assert_problem(404, "urn:haywain:not-found");
        }
    }
}

#[test]
fn what_is_no_http_gets_an_end_and_nobody_else_does() {
    let farm = Farm::start();
    for garbage in ["\0\u{1}\u{2}\r\n\r\n", "POST /render\r\n\r\n", "{\"from\":1,\"to\":20}\r\n\r\n"] {
        let mut wire = Wire::connect(farm.address);
        wire.send(garbage.as_bytes());
        let end = String::from_utf8(wire.rest()).unwrap();
        assert!(end.is_empty() || end.starts_with("HTTP/1.1 400 "), "{garbage:?}: {end:?}");
    }
    farm.submit(&json!({"from": 1, "to": 20}));
}
