//! What is removed: jobs by their owners or by their age, with all that they made.

use serde_json::json;

use crate::agent::{Agent, assert_no_content, assert_outcome};
use crate::server::{Farm, Folder};
use crate::wire::{Answer, Request, eventually};

fn delete(farm: &Farm, job: &str) -> Answer {
    Request::new("DELETE", &format!("/api/v1/jobs/{job}")).send(farm.address)
}

fn get(farm: &Farm, path: &str) -> Answer {
    Request::get(&format!("/api/v1/jobs{path}")).send(farm.address)
}

#[test]
fn a_removed_job_is_gone_for_everybody_at_once_and_its_files_follow() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 3}));
    agent.render(&farm, &job);
    let other = farm.submit(&json!({"from": 1, "to": 1}));
    agent.render(&farm, &other);
    assert_no_content(&delete(&farm, &job));
    farm.status(&job).assert_plain("HTTP/1.1 404 Not Found", "Job not found");
    for path in ["", "/frames", "/attempts"] {
        get(&farm, &format!("/{job}{path}")).assert_problem(404, "urn:haywain:not-found");
    }
    let listed = get(&farm, "").json();
    assert_eq!((listed["jobs"].as_array().unwrap().len(), &listed["jobs"][0]["jobId"]), (1, &other.clone().into()));
    for call in ["cancel", "pause", "retry"] {
        let control = Request::post(&format!("/api/v1/jobs/{job}/{call}"), "").send(farm.address);
        control.assert_problem(404, "urn:haywain:not-found");
    }
    delete(&farm, &job).assert_problem(404, "urn:haywain:not-found");
    eventually("the other job's file alone is left", || (farm.folder.frame_files().len() == 1).then_some(()));
    farm.status(&other).assert_plain("HTTP/1.1 200 OK", "Job completed");
    let farm = Farm::on(farm.stop());
    farm.status(&job).assert_plain("HTTP/1.1 404 Not Found", "Job not found");
    assert_eq!(farm.folder.frame_files().len(), 1);
}

#[test]
fn a_job_that_has_not_ended_must_be_cancelled_first() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let refused =
        |farm: &Farm| assert!(delete(farm, &job).assert_problem(409, "urn:haywain:illegal-move").contains("cancel"));
    refused(&farm);
    let lease = agent.lease();
    agent.deliver(&lease, 1);
    refused(&farm);
    assert_eq!(Request::post(&format!("/api/v1/jobs/{job}/cancel"), "").send(farm.address).status, 200);
    assert_no_content(&delete(&farm, &job));
    eventually("its files are gone", || farm.folder.frame_files().is_empty().then_some(()));
    for nobody in [job, "00000000-0000-7000-8000-000000000001".to_owned()] {
        delete(&farm, &nobody).assert_problem(404, "urn:haywain:not-found");
    }
    delete(&farm, "barn").assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn a_frame_that_comes_in_for_a_removed_job_is_not_wanted() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    let leases = agent.give_up();
    assert_eq!(farm.status(&job).status, 500);
    assert_no_content(&delete(&farm, &job));
    let answer = agent.put(&leases[0], 1);
    if answer.status == 200 {
        assert_outcome(&answer, "jobGone");
    } else {
        // Its leases are erased already.
        answer.assert_problem(404, "urn:haywain:unknown-lease");
    }
    eventually("nothing is left", || farm.folder.frame_files().is_empty().then_some(()));
}

#[test]
fn ended_jobs_are_kept_for_as_long_as_is_said() {
    let folder = Folder::new();
    let scene = folder.scene();
    let farm = Farm::on(folder);
    let agent = Agent::registered(&farm, "barn");
    let done = farm.submit(&json!({"from": 1, "to": 2}));
    agent.render(&farm, &done);
    let open = farm.submit(&json!({"from": 1, "to": 2}));
    let key = |farm: &Farm| {
        let body = r#"{"from":1,"to":1}"#;
        let answer = Request::post("/render", body).header("Idempotency-Key", "one").send(farm.address);
        answer.json()["jobId"].as_str().unwrap().to_owned()
    };
    let cancelled = key(&farm);
    assert_eq!(key(&farm), cancelled);
    assert_eq!(Request::post(&format!("/api/v1/jobs/{cancelled}/cancel"), "").send(farm.address).status, 200);
    let farm = Farm::with(farm.stop(), json!({"scene": scene, "keep_jobs": "24h"}));
    farm.status(&done).assert_plain("HTTP/1.1 200 OK", "Job completed");
    let farm = Farm::with(farm.stop(), json!({"scene": scene, "keep_jobs": "0s"}));
    eventually("it goes", || (farm.status(&done).status == 404 && farm.folder.frame_files().is_empty()).then_some(()));
    eventually("a cancelled one goes", || (farm.status(&cancelled).status == 404).then_some(()));
    assert_eq!(farm.status(&open).status, 202);
    // Its key is free again.
    assert_ne!(key(&farm), cancelled);
}
