//! Leases on the wire: how they are asked for, kept, and given back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Grant, assert_no_content, lease_id, post, request_id};
use crate::server::Farm;
use crate::wire::{Request, Wire};

#[test]
fn the_same_request_gets_the_same_lease_and_a_new_one_gets_another() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let request = request_id();
    let first = Grant::of(&agent.ask(&request));
    assert_eq!((first.job.as_str(), first.from, first.to), (job.as_str(), 1, 5));
    assert_eq!(farm.report(&job)["scene"], first.scene.as_str());
    assert_eq!(Grant::of(&agent.ask(&request)), first);
    let second = agent.lease();
    assert_ne!(second.id, first.id);
    assert_eq!((second.from, second.to), (6, 10));
    assert!(second.epoch > first.epoch, "{first:?}, {second:?}");
    assert_eq!(Grant::of(&agent.ask(&request)), first);
    assert_eq!(farm.counts(&job), [10, 10, 0, 0]);
}

#[test]
fn a_request_id_is_its_agent_s_own() {
    let farm = Farm::start();
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    farm.submit(&json!({"from": 1, "to": 20}));
    let request = request_id();
    let first = Grant::of(&barn.ask(&request));
    let second = Grant::of(&mill.ask(&request));
    assert!(second.from > first.to, "{first:?}, {second:?}");
}

#[test]
fn a_request_whose_lease_has_ended_is_told_so() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    farm.submit(&json!({"from": 1, "to": 20}));
    let request = request_id();
    let lease = Grant::of(&agent.ask(&request));
    agent.complete(&lease);
    agent.ask(&request).assert_problem(409, "urn:haywain:lease-ended");
    assert_eq!(agent.lease().from, 1);
}

#[test]
fn a_waiting_request_is_held_open_and_answered_by_every_kind_of_work() {
    let farm = Farm::start();
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let wait = || {
        let mut wire = Wire::connect(farm.address);
        wire.send(&mill.lease_request(&request_id()).bytes());
        wire.assert_silent(Duration::from_millis(200));
        wire
    };
    let mut waiting = wait();
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    let lease = Grant::of(&waiting.answer());
    assert_eq!(lease.job, job);

    let mut waiting = wait();
    mill.release(&lease, &[1]);
    let lease = Grant::of(&waiting.answer());

    let mut waiting = wait();
    mill.complete(&lease);
    let lease = Grant::of(&waiting.answer());
    mill.complete(&lease);

    // A failed frame is for another agent.
    let lease = barn.lease();
    let mut waiting = wait();
    barn.fail(&lease, 1, "crashed", "it died");
    let lease = Grant::of(&waiting.answer());
    mill.complete(&lease);

    let lease = barn.lease();
    let mut waiting = wait();
    assert_eq!(barn.next_life().register("barn").status, 200);
    assert_eq!(Grant::of(&waiting.answer()).from, lease.from);
}

#[test]
fn an_unknown_lease_is_told_so() {
    let farm = Farm::start();
    let lease = lease_id();
    let failure = json!({"frame": 1, "cause": "crashed", "message": "", "logTail": "", "peakMemoryBytes": null});
    for (call, body) in [("failures", failure), ("release", json!({"frames": [1]})), ("complete", json!({}))] {
        let answer = post(&format!("/leases/{lease}/{call}"), &body).send(farm.address);
        answer.assert_problem(404, "urn:haywain:unknown-lease");
    }
}

#[test]
fn what_is_no_call_is_refused_as_a_problem() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    farm.submit(&json!({"from": 1, "to": 20}));
    let lease = agent.lease();
    let failures = format!("/leases/{}/failures", lease.id);
    let cause = json!({"frame": 1, "cause": "gremlins", "message": "", "logTail": "", "peakMemoryBytes": null});
    let frame = json!({"frame": 1_048_575, "cause": "crashed", "message": "", "logTail": "", "peakMemoryBytes": null});
    for (path, body) in [
        ("/lease", json!({})),
        ("/lease", json!({"agentId": "barn", "incarnation": 1, "requestId": request_id(), "memoryAvailableBytes": 0})),
        (
            "/lease",
            json!({"agentId": agent.id, "incarnation": -1, "requestId": request_id(), "memoryAvailableBytes": 0}),
        ),
        (failures.as_str(), cause),
        (failures.as_str(), frame),
        ("/leases/barn/release", json!({"frames": []})),
    ] {
        let answer = post(path, &body).send(farm.address);
        assert!((400..500).contains(&answer.status), "{path} {body}: {answer:?}");
        answer.assert_problem(answer.status, "urn:haywain:invalid-input");
    }
    let broken = Request::post("/api/v1/agent/lease", "{").send(farm.address);
    broken.assert_problem(400, "urn:haywain:invalid-input");
    assert_eq!(agent.held(&lease.id), json!([{"from": 1, "to": 5}]));
}

#[test]
fn a_failure_that_is_reported_twice_counts_once() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    let mut last = None;
    for attempt in 1..=3 {
        assert_eq!(farm.counts(&job), [1, 0, 0, 0], "before attempt {attempt}");
        let lease = agent.lease();
        agent.fail(&lease, 1, "out_of_memory", "first word");
        agent.fail(&lease, 1, "crashed", "second thought");
        last = Some(lease);
    }
    let report = farm.report(&job);
    assert_eq!((&report["state"], &report["failures"][1]), (&"failed".into(), &Value::Null), "{report}");
    let failure = &report["failures"][0];
    assert_eq!((&failure["attempts"], &failure["cause"]), (&3.into(), &"out_of_memory".into()), "{failure}");
    agent.fail(&last.unwrap(), 1, "crashed", "long after");
    assert_eq!(farm.report(&job)["failures"], report["failures"]);
}

#[test]
fn a_failure_that_is_nobody_s_fault_costs_no_attempt() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    for cause in ["agent_stopped", "disk_full", "agent_stopped", "disk_full", "crashed", "crashed"] {
        let lease = agent.lease();
        agent.fail(&lease, 1, cause, "it was");
    }
    assert_eq!(farm.counts(&job), [1, 0, 0, 0]);
}

#[test]
fn released_frames_go_to_whoever_asks_next() {
    let farm = Farm::start();
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let job = farm.submit(&json!({"from": 1, "to": 40}));
    let lease = barn.lease();
    assert_eq!((lease.from, lease.to), (1, 5));
    barn.deliver(&lease, 1);
    // A frame that is done, and one that was never the lease's, are passed over.
    barn.release(&lease, &[1, 2, 4, 5, 6]);
    assert_eq!(farm.counts(&job), [38, 1, 1, 0]);
    assert_eq!(barn.held(&lease.id), json!([{"from": 3, "to": 3}]));
    let again = mill.lease();
    assert_eq!((again.from, again.to), (2, 2));
    // Once more is no news.
    barn.release(&lease, &[2, 4, 5]);
    assert_eq!(mill.held(&again.id), json!([{"from": 2, "to": 2}]));
    assert_eq!(farm.counts(&job), [37, 2, 1, 0]);
    assert_eq!(mill.lease().from, 4);
}

#[test]
fn completing_a_lease_gives_back_what_it_still_holds_and_may_be_repeated() {
    let farm = Farm::start();
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let lease = barn.lease();
    barn.deliver(&lease, 1);
    barn.complete(&lease);
    assert_eq!((farm.counts(&job), barn.held(&lease.id)), ([19, 0, 1, 0], json!([])));
    let again = mill.lease();
    assert_eq!(again.from, 2);
    let counts = farm.counts(&job);
    barn.complete(&lease);
    assert_eq!(farm.counts(&job), counts);
    assert_eq!(mill.held(&again.id), json!([{"from": again.from, "to": again.to}]));
    // With and without a body: there is nothing to say.
    assert_no_content(&post(&format!("/leases/{}/complete", lease.id), &json!({})).send(farm.address));
}
