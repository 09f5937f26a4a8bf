//! What people and their programs do over `/api/v1`: control jobs and agents, list, watch; and submit the same thing twice.

use serde_json::{Value, json};

use crate::agent::{Agent, Upload, assert_no_content, assert_outcome};
use crate::server::Farm;
use crate::wire::{Answer, Request, Wire};

fn get(farm: &Farm, path: &str) -> Answer {
    Request::get(&format!("/api/v1{path}")).send(farm.address)
}

fn post(farm: &Farm, path: &str, body: &Value) -> Answer {
    let request = Request::post(&format!("/api/v1{path}"), body.to_string());
    request.header("Content-Type", "application/json").send(farm.address)
}

#[test]
fn a_cancelled_job_is_410_and_its_agent_is_told_to_stop() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let lease = agent.lease();
    let answer = post(&farm, &format!("/jobs/{job}/cancel"), &Value::Null);
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"cancelled".into()));
    farm.status(&job).assert_plain("HTTP/1.1 410 Gone", "Job cancelled");
    assert_eq!(farm.report(&job)["state"], "cancelled");
    let held = json!([{"leaseId": lease.id, "frame": 1, "fraction": 0.5, "framesDone": 0}]);
    let revoked = json!({"verdict": "revoked", "reason": "jobCancelled"});
    assert_eq!(agent.heartbeat(&held).json()["leases"][0]["standing"], revoked);
    assert_outcome(&agent.put(&lease, 1), "jobGone");
    let again = post(&farm, &format!("/jobs/{job}/cancel"), &Value::Null);
    assert!(again.assert_problem(409, "urn:haywain:illegal-move").contains("is cancelled"));
}

#[test]
fn a_paused_job_is_still_running_to_plain_clients_and_goes_on_when_it_is_resumed() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 2}));
    assert_eq!(post(&farm, &format!("/jobs/{job}/pause"), &Value::Null).json()["state"], "paused");
    farm.status(&job).assert_plain("HTTP/1.1 202 Accepted", "Job still running");
    let mut waiting = Wire::connect(farm.address);
    waiting.send(&agent.lease_request(&crate::agent::request_id()).bytes());
    waiting.assert_silent(std::time::Duration::from_millis(200));
    assert_eq!(post(&farm, &format!("/jobs/{job}/resume"), &Value::Null).status, 200);
    assert_eq!(waiting.answer().json()["jobId"], job);
}

#[test]
fn failed_frames_are_retried_and_done_ones_rendered_anew() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 2, "maxAttempts": 1, "batchSize": 1}));
    let lease = agent.lease();
    agent.fail(&lease, 1, "crashed", "it died");
    let lease = agent.lease();
    agent.deliver(&lease, 2);
    let failed = farm.status(&job);
    assert_eq!(failed.status, 500);
    assert_eq!(failed.text(), "Job failed: frames 1: crashed: it died");

    let attempts = get(&farm, &format!("/jobs/{job}/attempts?frame=1")).json();
    let attempt = &attempts["attempts"][0];
    assert_eq!((&attempt["cause"], &attempt["logTail"]), (&"crashed".into(), &"the log's end".into()));
    let frames = get(&farm, &format!("/jobs/{job}/frames")).json();
    assert_eq!((&frames["frames"][0]["frame"], &frames["frames"][1]), (&2.into(), &Value::Null));

    assert_eq!(post(&farm, &format!("/jobs/{job}/retry"), &Value::Null).json()["counts"]["pending"], 1);
    let rerender = json!({"frames": [{"from": 2, "to": 2}]});
    assert_eq!(post(&farm, &format!("/jobs/{job}/rerender"), &rerender).json()["counts"]["pending"], 2);
    let lease = agent.lease();
    agent.deliver(&lease, 1);
    let again = agent.lease();
    let mut upload = Upload::of(&again);
    upload.meta["generation"] = 2.into();
    assert_outcome(&upload.put(farm.address, &again.id, 2), "recorded");
    assert_eq!(get(&farm, &format!("/jobs/{job}/frames?since=1")).json()["frames"][1]["generation"], 2);
    farm.status(&job).assert_plain("HTTP/1.1 200 OK", "Job completed");
}

#[test]
fn jobs_are_listed_filtered_and_paged() {
    let farm = Farm::start();
    let jobs: Vec<_> = (0..3).map(|_| farm.submit(&json!({"from": 1, "to": 1}))).collect();
    let ids = |path: &str| -> Vec<String> {
        let page = get(&farm, path).json();
        page["jobs"].as_array().unwrap().iter().map(|job| job["jobId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/jobs"), [&*jobs[2], &jobs[1], &jobs[0]]);
    assert_eq!(ids("/jobs?limit=2"), [&*jobs[2], &jobs[1]]);
    assert_eq!(ids(&format!("/jobs?before={}", jobs[1])), [&*jobs[0]]);
    post(&farm, &format!("/jobs/{}/priority", jobs[0]), &json!({"priority": 7}));
    assert_eq!(get(&farm, &format!("/jobs/{}", jobs[0])).json()["priority"], 7);
    post(&farm, &format!("/jobs/{}/cancel", jobs[1]), &Value::Null);
    assert_eq!(ids("/jobs?state=cancelled"), [&*jobs[1]]);
    assert_eq!(ids("/jobs?state=running"), [""; 0]);
    for (path, words) in [("/jobs?limit=0", "limit"), ("/jobs?state=asleep", "asleep"), ("/jobs?stat=failed", "stat")] {
        assert!(get(&farm, path).assert_problem(400, "urn:haywain:invalid-input").contains(words), "{path}");
    }
}

#[test]
fn agents_are_listed_and_controlled() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let state = || get(&farm, "/agents").json()["agents"][0]["state"].clone();
    assert_eq!(state(), "online");
    for (command, then) in
        [("drain", "draining"), ("resume", "online"), ("set-aside", "setAside"), ("resume", "online")]
    {
        assert_no_content(&post(&farm, &format!("/agents/{}/{command}", agent.id), &Value::Null));
        assert_eq!(state(), then);
    }
    post(&farm, &format!("/agents/{}/drain", agent.id), &Value::Null);
    assert_eq!(agent.heartbeat(&json!([])).json()["agent"], "drain");
    let there = post(&farm, &format!("/agents/{}/forget", agent.id), &Value::Null);
    assert!(there.assert_problem(409, "urn:haywain:illegal-move").contains("is there"));
    let leaves = json!({"agentId": agent.id, "incarnation": 1});
    assert_no_content(&crate::agent::post("/leave", &leaves).send(farm.address));
    assert_eq!(state(), "offline");
    assert_no_content(&post(&farm, &format!("/agents/{}/forget", agent.id), &Value::Null));
    assert_eq!(get(&farm, "/agents").json(), json!({"agents": []}));
}

#[test]
fn who_or_what_is_not_there_is_404() {
    let farm = Farm::start();
    let nobody = crate::agent::agent_id();
    for path in ["", "/frames", "/attempts"] {
        get(&farm, &format!("/jobs/{nobody}{path}")).assert_problem(404, "urn:haywain:not-found");
        get(&farm, &format!("/jobs/barn{path}")).assert_problem(400, "urn:haywain:invalid-input");
    }
    post(&farm, &format!("/jobs/{nobody}/cancel"), &Value::Null).assert_problem(404, "urn:haywain:not-found");
    post(&farm, &format!("/agents/{nobody}/drain"), &Value::Null).assert_problem(404, "urn:haywain:unknown-agent");
}

#[test]
fn a_watcher_sees_what_changes_and_misses_nothing_when_it_comes_back() {
    let farm = Farm::start();
    let first = farm.submit(&json!({"from": 1, "to": 1}));
    let watch = |after: &str| {
        let mut wire = Wire::connect(farm.address);
        wire.send(&Request::get("/api/v1/events").header("Last-Event-ID", after).bytes());
        wire
    };
    let mut watcher = watch("0");
    let head = watcher.until("text/event-stream");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let event = watcher.until(&first);
    assert!(event.contains("id: 1") && event.contains(r#""kind":"jobSubmitted""#), "{event}");
    let second = farm.submit(&json!({"from": 1, "to": 1}));
    watcher.until(&second);

    let back = watch("1").until(&second);
    assert!(!back.contains(&first), "{back}");
    // Whoever says nothing hears what comes from now on.
    let mut fresh = Wire::connect(farm.address);
    fresh.send(&Request::get("/api/v1/events").bytes());
    fresh.until("text/event-stream");
    let third = farm.submit(&json!({"from": 1, "to": 1}));
    let news = fresh.until(&third);
    assert!(!news.contains(&second), "{news}");
}

#[test]
fn a_submission_with_a_key_is_one_job_however_often_it_is_sent() {
    let farm = Farm::start();
    let submit =
        |key: &str, body: &str| Request::post("/render", body).header("Idempotency-Key", key).send(farm.address);
    let first = submit("night-7", r#"{"from":1,"to":20}"#);
    assert_eq!(first.status, 202);
    let again = submit("night-7", r#"{"from":1,"to":20}"#);
    assert_eq!((again.status, again.json(), again.header("location")), (202, first.json(), first.header("location")));
    assert_ne!(submit("night-8", r#"{"from":1,"to":20}"#).json(), first.json());
    assert_eq!(submit("night-7", r#"{"from":1,"to":21}"#).status, 422);
    assert_eq!(submit("", r#"{"from":1,"to":20}"#).status, 400);
    assert_eq!(get(&farm, "/jobs").json()["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn the_api_describes_itself() {
    let farm = Farm::start();
    let document = get(&farm, "/openapi.json").json();
    assert!(document["paths"]["/api/v1/jobs/{job}/cancel"]["post"].is_object());
    let page = get(&farm, "/docs/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("swagger"), "{}", page.text());
}
