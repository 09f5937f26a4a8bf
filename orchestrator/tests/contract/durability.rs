//! What was answered is still so after a stop and a start on the same folder.

use serde_json::{Value, json};

use crate::agent::{Agent, Grant, PNG, assert_outcome, get, request_id};
use crate::server::{Farm, Folder, refusal, sha256};
use crate::wire::Request;

/// A job's report without what depends on the time of asking.
fn lasting(mut report: Value) -> Value {
    for member in ["framesPerSecond", "etaMs"] {
        report.as_object_mut().unwrap().remove(member).unwrap();
    }
    report
}

#[test]
fn a_restart_loses_nothing() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20, "name": "wain"}));
    let request = request_id();
    let lease = Grant::of(&agent.ask(&request));
    agent.deliver(&lease, 1);
    agent.fail(&lease, 2, "crashed", "it died");
    let before = lasting(farm.report(&job));

    let farm = Farm::on(farm.stop());
    let agent = Agent { to: farm.address, ..agent };
    assert_eq!(lasting(farm.report(&job)), before);
    assert_eq!(farm.counts(&job), [16, 3, 1, 0]);
    farm.status(&job).assert_plain("HTTP/1.1 202 Accepted", "Job still running");
    // Nobody need register again, and the lease stands.
    assert_eq!(agent.held(&lease.id), json!([{"from": 3, "to": 5}]));
    assert_eq!(Grant::of(&agent.ask(&request)), lease);
    let held = json!([{"leaseId": lease.id, "frame": 3, "fraction": 0.5, "framesDone": 1}]);
    assert_eq!(agent.heartbeat(&held).status, 200);
    let batch = farm.report(&job)["batches"][0].clone();
    assert_eq!((&batch["frameInWork"], &batch["fraction"]), (&3.into(), &0.5.into()), "its term runs: {batch}");
    assert_outcome(&agent.put(&lease, 1), "alreadyRecorded");
    assert_outcome(&agent.put(&lease, 3), "recorded");
    let contents: Vec<_> = farm.folder.frame_files().iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert_eq!(contents, vec![PNG.to_vec(); 2]);
    // Epochs go on where they were.
    let next = agent.lease();
    assert!(next.epoch > lease.epoch && next.from == 2, "{next:?}");
    let scene = Folder::scene_bytes();
    assert!(get(&format!("/blobs/{}", sha256(&scene))).send(farm.address).body == scene);
}

#[test]
fn a_past_life_and_an_ended_lease_are_remembered() {
    let farm = Farm::start();
    let past = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let lease = past.lease();
    let present = past.next_life();
    assert_eq!(present.register("barn").status, 200);

    let farm = Farm::on(farm.stop());
    let [past, present] = [past, present].map(|agent| Agent { to: farm.address, ..agent });
    past.heartbeat(&json!([])).assert_problem(409, "urn:haywain:stale-incarnation");
    assert_eq!((present.held(&lease.id), farm.counts(&job)), (json!([]), [20, 0, 0, 0]));
    assert_outcome(&present.put(&lease, 5), "recorded");
}

#[test]
fn what_ended_stays_ended() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let completed = farm.submit(&json!({"from": 1, "to": 2}));
    agent.render(&farm, &completed);
    let failed = farm.submit(&json!({"from": 1, "to": 2}));
    let lease = agent.lease();
    agent.fail(&lease, 1, "bad_scene", "there is no camera");
    let farm = Farm::on(farm.stop());
    farm.status(&completed).assert_plain("HTTP/1.1 200 OK", "Job completed");
    let body = "Job failed: frames 1-2: bad_scene: there is no camera";
    farm.status(&failed).assert_plain("HTTP/1.1 500 Internal Server Error", body);
}

#[test]
fn files_that_were_never_recorded_are_removed_at_the_start_and_no_others() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let lease = agent.lease();
    agent.deliver(&lease, 1);
    let recorded = farm.folder.frame_files();
    let folder = farm.stop();
    let stray = folder.data().join("outputs").join(&job).join("another-upload").join("0002.png");
    std::fs::create_dir(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, PNG).unwrap();
    let shown = folder.data().join("frames").join(&job);
    std::fs::remove_file(shown.join("0001.png")).unwrap();
    std::fs::hard_link(&stray, shown.join("0002.png")).unwrap();
    std::fs::write(shown.join("notes.txt"), "a person's").unwrap();
    let farm = Farm::on(folder);
    assert_eq!(farm.folder.frame_files(), recorded);
    let mut names: Vec<_> = std::fs::read_dir(shown).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["0001.png", "notes.txt"]);
}

#[test]
fn without_its_scene_flag_jobs_of_before_go_on() {
    let farm = Farm::start();
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let scene = farm.report(&job)["scene"].clone();
    let farm = Farm::with(farm.stop(), json!({}));
    let agent = Agent { to: farm.address, ..agent };
    assert_eq!(agent.lease().job, job);
    assert_eq!(Request::post("/render", r#"{"from":1,"to":20}"#).send(farm.address).status, 400);
    farm.submit(&json!({"from": 1, "to": 20, "scene": scene}));
}

#[test]
fn a_second_orchestrator_on_the_same_folder_is_refused_by_name() {
    let farm = Farm::start();
    let data = farm.folder.data();
    let refused = refusal(json!({}), &data);
    assert!(refused.contains(&data.display().to_string()) && refused.contains("in use"), "{refused}");
    farm.submit(&json!({"from": 1, "to": 20}));
}
