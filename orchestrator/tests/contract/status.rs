//! `GET /status/{jobId}`: every row of the contract, in plain words and as the whole job.

use serde_json::{Value, json};

use crate::agent::{Agent, PNG};
use crate::server::Farm;
use crate::wire::{Answer, Request};

#[track_caller]
fn assert_running(answer: &Answer, job: &str) {
    assert_eq!(answer.header("location"), Some(format!("/status/{job}").as_str()));
    assert_eq!(answer.header("retry-after"), Some("5"));
}

#[track_caller]
fn assert_ended(answer: &Answer) {
    assert_eq!((answer.header("location"), answer.header("retry-after")), (None, None), "{answer:?}");
}

/// A job of two frames, both given up.
fn failed_job(farm: &Farm, agent: &Agent, message: &str) -> String {
    let job = farm.submit(&json!({"from": 7, "to": 8, "batchSize": 1}));
    for _ in 0..6 {
        let lease = agent.lease();
        agent.fail(&lease, lease.from, "crashed", message);
    }
    job
}

#[test]
fn a_pending_and_a_running_job_are_told_word_for_word() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let assert_still_running = || {
        let answer = farm.status(&job);
        answer.assert_plain("HTTP/1.1 202 Accepted", "Job still running");
        assert_running(&answer, &job);
    };
    assert_still_running();
    let agent = Agent::registered(&farm, "barn");
    let lease = agent.lease();
    assert_still_running();
    agent.deliver(&lease, lease.from);
    assert_still_running();
    agent.release(&lease, &[lease.from + 1]);
    assert_still_running();
}

#[test]
fn a_completed_job_is_told_word_for_word() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 3}));
    agent.render(&farm, &job);
    let answer = farm.status(&job);
    answer.assert_plain("HTTP/1.1 200 OK", "Job completed");
    assert_ended(&answer);
}

#[test]
fn an_unknown_job_is_told_word_for_word() {
    let farm = Farm::start();
    let nobody = "0198c0de-0000-7000-8000-000000000000";
    for id in [nobody, "1", "job", "..", "%20", "%3Cb%3E", "%ff", "0198c0de%00"] {
        let answer = farm.status(id);
        answer.assert_plain("HTTP/1.1 404 Not Found", "Job not found");
        assert_ended(&answer);
        let problem = Request::get(&format!("/status/{id}")).accept_json().send(farm.address);
        assert_eq!(problem.assert_problem(404, "urn:haywain:not-found"), "Job not found");
    }
}

#[test]
fn a_failed_job_names_its_frames_and_their_cause() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = failed_job(&farm, &agent, "Blender <4> & died");
    let answer = farm.status(&job);
    let body = "Job failed: frames 7-8: crashed: Blender &lt;4&gt; &amp; died";
    answer.assert_plain("HTTP/1.1 500 Internal Server Error", body);
    assert_ended(&answer);
}

#[test]
fn a_job_fails_only_when_nothing_can_change_any_more() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 2, "batchSize": 1}));
    for _ in 0..3 {
        let lease = agent.lease();
        assert_eq!((lease.from, lease.to), (1, 1));
        agent.fail(&lease, 1, "timed_out", "it took an hour");
    }
    assert_eq!((farm.status(&job).status, farm.counts(&job)), (202, [1, 0, 0, 1]));
    let lease = agent.lease();
    assert_eq!((farm.status(&job).status, farm.counts(&job)), (202, [0, 1, 0, 1]));
    agent.deliver(&lease, 2);
    assert_eq!((farm.status(&job).status, farm.counts(&job)), (500, [0, 0, 1, 1]));
    assert_eq!(farm.status(&job).text(), "Job failed: frames 1: timed_out: it took an hour");
}

#[test]
fn a_scene_at_fault_fails_the_whole_job_by_name() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let lease = agent.lease();
    agent.fail(&lease, lease.from, "missing_file", "textures/hay.png is not there");
    agent.complete(&lease);
    let answer = farm.status(&job);
    let body = "Job failed: frames 1-20: missing_file: textures/hay.png is not there";
    answer.assert_plain("HTTP/1.1 500 Internal Server Error", body);
    let fault = json!({"cause": "missing_file", "message": "textures/hay.png is not there"});
    assert_eq!(farm.report(&job)["sceneFault"], fault);
}

#[test]
fn json_is_the_whole_job_while_it_runs() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "the barn's");
    let job = farm.submit(&json!({"from": 1, "to": 20, "name": "wain"}));
    let get = || {
        let answer = Request::get(&format!("/status/{job}")).accept_json().send(farm.address);
        assert_eq!(answer.status_line, "HTTP/1.1 202 Accepted");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_running(&answer, &job);
        answer.json()
    };
    let pending = get();
    assert_eq!((&pending["jobId"], &pending["state"]), (&json!(job), &"pending".into()), "{pending}");
    assert_eq!(pending["counts"], json!({"total": 20, "pending": 20, "leased": 0, "done": 0, "failed": 0}));
    assert_eq!((&pending["batches"], &pending["failures"], &pending["agents"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(
        (&pending["endedAt"], &pending["framesPerSecond"], &pending["etaMs"]),
        (&json!(null), &json!(null), &json!(null))
    );
    assert!(pending["createdAt"].as_str().unwrap().ends_with('Z'), "{pending}");

    let lease = agent.lease();
    assert_eq!((lease.from, lease.to), (1, 5));
    agent.deliver(&lease, 1);
    let held = json!([{"leaseId": lease.id, "frame": 2, "fraction": 0.25, "framesDone": 1}]);
    assert_eq!(agent.heartbeat(&held).status, 200);
    let running = get();
    assert_eq!((&running["state"], &running["name"]), (&"running".into(), &"wain".into()), "{running}");
    assert_eq!(running["counts"], json!({"total": 20, "pending": 15, "leased": 4, "done": 1, "failed": 0}));
    let frames = json!({
        "pending": [{"from": 6, "to": 20}], "leased": [{"from": 2, "to": 5}], "done": [{"from": 1, "to": 1}], "failed": [],
    });
    assert_eq!(running["frames"], frames);
    let batch = json!({
        "frames": {"from": 1, "to": 5}, "remaining": [{"from": 2, "to": 5}], "agentId": agent.id, "agent": "the barn's",
        "frameInWork": 2, "fraction": 0.25, "logTail": "",
    });
    assert_eq!(running["batches"], json!([batch]));
    let share = json!({"agentId": agent.id, "agent": "the barn's", "frames": 1, "renderMs": 1500});
    assert_eq!(running["agents"], json!([share]));
    assert!(running["framesPerSecond"].as_f64().unwrap() > 0.0 && running["etaMs"].is_u64(), "{running}");
}

#[test]
fn json_is_the_whole_job_when_it_is_done_and_says_where_the_frames_are() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 3}));
    agent.render(&farm, &job);
    let answer = Request::get(&format!("/status/{job}")).accept_json().send(farm.address);
    assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
    assert_ended(&answer);
    let done = answer.json();
    assert_eq!((&done["state"], &done["frames"]["done"]), (&"completed".into(), &json!([{"from": 1, "to": 3}])));
    assert!(done["endedAt"].is_string() && done["batches"] == json!([]), "{done}");
    let files = crate::server::files_below(done["outputFolder"].as_str().unwrap().as_ref());
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert_eq!(contents, vec![PNG.to_vec(); 3]);
}

#[test]
fn json_of_a_failed_job_has_each_failure_with_its_cause() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = failed_job(&farm, &agent, "<died>");
    let answer = Request::get(&format!("/status/{job}")).accept_json().send(farm.address);
    assert_eq!(answer.status_line, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let failed = answer.json();
    let failure = |frame: i64| {
        json!({
            "frame": frame, "cause": "crashed", "message": "<died>", "agent": "barn", "attempts": 3,
            "logTail": "the log's end",
        })
    };
    assert_eq!((&failed["state"], &failed["failures"]), (&"failed".into(), &json!([failure(7), failure(8)])));
    assert_eq!((&failed["sceneFault"], &failed["batches"]), (&Value::Null, &json!([])));
    assert_eq!(failed["frames"]["failed"], json!([{"from": 7, "to": 8}]));
}

#[test]
fn a_client_that_takes_json_among_others_gets_the_plain_words() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    for accept in ["application/json, text/plain, */*", "*/*", "text/html", "application/json;q=0.5, text/html"] {
        let ask = |request: Request| request.header("Accept", accept).send(farm.address);
        ask(Request::get(&format!("/status/{job}"))).assert_plain("HTTP/1.1 202 Accepted", "Job still running");
        ask(Request::get("/status/nobody")).assert_plain("HTTP/1.1 404 Not Found", "Job not found");
        ask(Request::post("/render", "{}")).assert_plain("HTTP/1.1 400 Bad Request", "Invalid input");
    }
}
