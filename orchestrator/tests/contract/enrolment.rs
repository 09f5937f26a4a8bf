//! Agents with tokens of their own: how each comes by one, and what it may touch.

use haywain_orchestrator::access::table::{TABLE, To};
use serde_json::{Value, json};

use crate::agent::{Agent, Grant, Upload, assert_no_content, assert_outcome, get, post, request_id};
use crate::server::{Farm, Folder, sha256};
use crate::tokens::{new_token, token};
use crate::wire::{Request, Wire, eventually};

/// An agent's own token, as it would draw it.
fn drawn(letter: char) -> String {
    format!("haywain_agent_{letter}{}", "A".repeat(42))
}

/// A farm, a token to enrol with, and one who operates.
fn farm() -> (Farm, String, String) {
    let (farm, [enrol, operate]) = Farm::with_keys([("enrol", "rack"), ("operate", "otto")], json!({}));
    (farm, enrol, operate)
}

fn enrolled(farm: &Farm, enrol: &str, name: &str, own: &str) -> Agent {
    let agent = Agent::stranger(farm);
    let answer = agent.introduction(name, own).bearer(enrol).send(farm.address);
    assert_eq!(answer.status, 200, "{answer:?}");
    agent
}

fn leased(farm: &Farm, agent: &Agent, own: &str) -> Grant {
    Grant::of(&agent.lease_request(&request_id()).bearer(own).send(farm.address))
}

fn submit(farm: &Farm, operate: &str, body: &Value) {
    let answer = Request::post("/render", body.to_string()).bearer(operate).send(farm.address);
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[test]
fn an_agent_exchanges_its_enrolment_for_a_token_of_its_own() {
    let (farm, enrol, _) = farm();
    let own = drawn('B');
    let agent = enrolled(&farm, &enrol, "barn", &own);
    // Its answer may be lost, and it may start anew.
    assert_eq!(agent.introduction("barn", &own).bearer(&enrol).send(farm.address).status, 200);
    assert_eq!(agent.next_life().introduction("barn", &own).bearer(&own).send(farm.address).status, 200);
    let listed = String::from_utf8(token(&farm.folder, &["list"]).stdout).unwrap();
    let line = listed.lines().find(|line| line.contains(&agent.id)).unwrap();
    assert!(line.contains("barn") && line.contains("agent"), "{listed}");
}

#[test]
fn an_enrolment_counts_agents() {
    let (farm, _, _) = farm();
    let once = new_token(&farm.folder, &["--name", "once", "--role", "enrol", "--uses", "1"]);
    enrolled(&farm, &once, "barn", &drawn('B'));
    let second = Agent::stranger(&farm).introduction("shed", &drawn('C')).bearer(&once).send(farm.address);
    second.assert_problem(403, "urn:haywain:forbidden");
    let without = Agent::stranger(&farm);
    let body = json!({
        "agentId": without.id, "incarnation": 1, "name": "x", "slots": 1, "blenders": [],
        "machine": {"os": "", "arch": "", "logicalCores": 1, "memoryBytes": 1},
    });
    post("/register", &body).bearer(&once).send(farm.address).assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn an_agent_speaks_for_itself_alone() {
    let (farm, enrol, _) = farm();
    let (barns, sheds) = (drawn('B'), drawn('C'));
    let (barn, shed) = (enrolled(&farm, &enrol, "barn", &barns), enrolled(&farm, &enrol, "shed", &sheds));
    let forbidden = |request: Request| {
        request.bearer(&barns).send(farm.address).assert_problem(403, "urn:haywain:forbidden");
    };
    forbidden(shed.introduction("shed", &barns));
    forbidden(shed.lease_request(&request_id()));
    let sample = json!({"coresBusy": 1.5, "memoryAvailableBytes": 8});
    let beat =
        |agent: &Agent| json!({"agentId": agent.id, "incarnation": 1, "slots": 1, "sample": sample, "leases": []});
    forbidden(post("/heartbeat", &beat(&shed)));
    forbidden(post("/leave", &json!({"agentId": shed.id, "incarnation": 1})));
    assert_eq!(post("/heartbeat", &beat(&barn)).bearer(&barns).send(farm.address).status, 200);
    // Nor does somebody with an enrolment token become it.
    let thief = shed.introduction("shed", &drawn('D')).bearer(&enrol).send(farm.address);
    thief.assert_problem(403, "urn:haywain:forbidden");
}

#[test]
fn an_agent_touches_its_own_leases_alone() {
    let (farm, enrol, operate) = farm();
    let (barns, sheds) = (drawn('B'), drawn('C'));
    let (barn, _shed) = (enrolled(&farm, &enrol, "barn", &barns), enrolled(&farm, &enrol, "shed", &sheds));
    submit(&farm, &operate, &json!({"from": 1, "to": 40}));
    let lease = leased(&farm, &barn, &barns);
    let failure = json!({"frame": 1, "cause": "crashed", "message": "boom", "logTail": "", "peakMemoryBytes": null});
    let path = |rest: &str| format!("/leases/{}{rest}", lease.id);
    for request in [
        post(&path("/failures"), &failure),
        post(&path("/release"), &json!({"frames": [1]})),
        post(&path("/complete"), &json!(null)),
        Upload::of(&lease).request(&lease.id, 1),
    ] {
        request.bearer(&sheds).send(farm.address).assert_problem(404, "urn:haywain:unknown-lease");
    }
    let deliver = |frame| Upload::of(&lease).saying("name", format!("{frame}.png")).request(&lease.id, frame);
    assert_outcome(&deliver(1).bearer(&barns).send(farm.address), "recorded");
    // What it once held it may deliver, and nothing else.
    assert_no_content(&post(&path("/complete"), &json!(null)).bearer(&barns).send(farm.address));
    let failure = json!({"frame": 2, "cause": "crashed", "message": "boom", "logTail": "", "peakMemoryBytes": null});
    assert_no_content(&post(&path("/failures"), &failure).bearer(&barns).send(farm.address));
    let attempts = Request::get(&format!("/api/v1/jobs/{}/attempts", lease.job)).bearer(&operate).send(farm.address);
    assert_eq!(attempts.json()["attempts"].as_array().unwrap().len(), 1, "the frame that was delivered");
    assert_outcome(&deliver(2).bearer(&barns).send(farm.address), "recorded");
}

#[test]
fn another_agent_s_lease_scene_or_file_is_not_there_by_any_route() {
    let (farm, enrol, operate) = farm();
    let (barns, sheds) = (drawn('B'), drawn('C'));
    let (barn, _shed) = (enrolled(&farm, &enrol, "barn", &barns), enrolled(&farm, &enrol, "shed", &sheds));
    submit(&farm, &operate, &json!({"from": 1, "to": 40}));
    let lease = leased(&farm, &barn, &barns);
    let blob = sha256(&Folder::scene_bytes());
    let names = [("{lease}", &*lease.id), ("{scene}", &*lease.scene), ("{blob}", &*blob), ("{frame}", "1")];
    let theirs = TABLE.iter().filter(|rule| rule.to == To::Agents && rule.path.contains('{'));
    let mut calls = 0;
    for rule in theirs {
        let path = names.iter().fold(rule.path.to_owned(), |path, (part, name)| path.replace(part, name));
        let request = Request::new(rule.method.as_str(), &path).header("Content-Type", "application/json").body("{}");
        assert_eq!(request.bearer(&sheds).send(farm.address).status, 404, "{} {path}", rule.method);
        calls += 1;
    }
    assert!(calls >= 8, "{calls}");
    let deliver = Upload::of(&lease).request(&lease.id, 1).bearer(&barns);
    assert_outcome(&deliver.send(farm.address), "recorded");
}

#[test]
fn an_agent_fetches_the_scenes_of_its_work_alone() {
    let (farm, enrol, operate) = farm();
    let (barns, sheds) = (drawn('B'), drawn('C'));
    let (barn, _shed) = (enrolled(&farm, &enrol, "barn", &barns), enrolled(&farm, &enrol, "shed", &sheds));
    submit(&farm, &operate, &json!({"from": 1, "to": 1}));
    let blob = format!("/blobs/{}", sha256(&Folder::scene_bytes()));
    let fetched = |path: &str, token: &str| get(path).bearer(token).send(farm.address).status;
    assert_eq!(fetched(&blob, &barns), 404);
    let lease = leased(&farm, &barn, &barns);
    let scene = format!("/scenes/{}", lease.scene);
    for path in [&scene, &blob] {
        assert_eq!((fetched(path, &barns), fetched(path, &sheds)), (200, 404), "{path}");
    }
    // Neither does it by the clients' way.
    assert_eq!(Request::get(&format!("/api/v1{blob}")).bearer(&barns).send(farm.address).status, 403);
}

#[test]
fn an_agent_that_is_shut_out_loses_its_open_poll() {
    let (farm, enrol, operate) = farm();
    let own = drawn('B');
    let agent = enrolled(&farm, &enrol, "barn", &own);
    let mut poll = Wire::connect(farm.address);
    poll.send(&agent.lease_request(&request_id()).bearer(&own).bytes());
    let output = token(&farm.folder, &["revoke", "barn"]);
    assert!(output.status.success(), "{output:?}");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(warned.contains("rack") && warned.contains("still good"), "{warned}");
    poll.answer().assert_problem(401, "urn:haywain:unauthenticated");
    // With the enrolment token alone it does not come back.
    let again = agent.introduction("barn", &own).bearer(&enrol).send(farm.address);
    assert!(again.assert_problem(403, "urn:haywain:forbidden").contains("shut out"));
    submit(&farm, &operate, &json!({"from": 1, "to": 1}));
    assert_eq!(agent.lease_request(&request_id()).bearer(&own).send(farm.address).status, 401);
}

#[test]
fn an_agent_that_is_shut_out_while_it_sends_a_frame_delivers_nothing() {
    let (farm, enrol, operate) = farm();
    let own = drawn('B');
    let agent = enrolled(&farm, &enrol, "barn", &own);
    submit(&farm, &operate, &json!({"from": 1, "to": 1}));
    let lease = leased(&farm, &agent, &own);
    let upload = Upload::of(&lease).request(&lease.id, 1).bearer(&own).bytes();
    let (most, last) = upload.split_at(upload.len() - 60);
    let mut sending = Wire::connect(farm.address);
    sending.send(most);
    // A file that is being written is how one sees that the handler is at work.
    eventually("the frame comes in", || (!farm.folder.frame_files().is_empty()).then_some(()));
    assert!(token(&farm.folder, &["revoke", "barn"]).status.success());
    sending.answer().assert_problem(401, "urn:haywain:unauthenticated");
    sending.send(last);
    // What is under way ends before the orchestrator does.
    let farm = Farm::on(farm.stop());
    let job = Request::get(&format!("/api/v1/jobs/{}", lease.job)).bearer(&operate).send(farm.address).json();
    assert_eq!((&job["counts"]["done"], farm.folder.frame_files().len()), (&json!(0), 0), "{job}");
}

#[test]
fn a_refusal_at_the_gate_reaches_an_agent_that_is_still_sending() {
    let (farm, enrol, operate) = farm();
    let (barns, sheds) = (drawn('B'), drawn('C'));
    let (barn, _) = (enrolled(&farm, &enrol, "barn", &barns), enrolled(&farm, &enrol, "shed", &sheds));
    submit(&farm, &operate, &json!({"from": 1, "to": 1}));
    let lease = leased(&farm, &barn, &barns);
    let large = Upload::of(&lease).file("0002.png", &vec![7; 12_000_000]).request(&lease.id, 1);
    let put = |token: &str| large.clone().bearer(token).send(farm.address);
    for _ in 0..5 {
        large.clone().send(farm.address).assert_problem(401, "urn:haywain:unauthenticated");
        put(&drawn('D')).assert_problem(401, "urn:haywain:unauthenticated");
        put(&operate).assert_problem(403, "urn:haywain:forbidden");
        put(&sheds).assert_problem(404, "urn:haywain:unknown-lease");
    }
}
