//! A farm that asks for tokens: agents enrol, go by tokens of their own, and are shut out and let in again.

use std::fs;

use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};
use crate::process::Process;
use crate::status::told_by;

#[test]
fn an_agent_enrols_renders_and_goes_by_its_own_token_from_then_on() {
    let blender = blenders::path(Kind::Program);
    let farm = Farm::start_locked(&blenders::scene("basic"));
    let file = farm.folder().join("enrolment");
    fs::write(&file, farm.token(&["create", "--name", "rack", "--role", "enrol", "--uses", "1"])).unwrap();
    let file = file.to_str().unwrap();
    let mut agent = farm.agent_with("barn", &blender, &["--slots", "1", "--token-file", file]);
    let job = farm.render(&json!({"from": 1, "to": 1}));
    assert_eq!(farm.wait_for_end(&job).state, JobState::Completed);
    assert_eq!(agent.terminate(), Some(0));

    // From now on it needs no other.
    let agent = farm.agent("barn", &blender, 1);
    let job = farm.render(&json!({"from": 2, "to": 2}));
    assert_eq!(farm.wait_for_end(&job).state, JobState::Completed);

    // Shut out, it keeps trying, and says why it is not let in.
    farm.token(&["revoke", "barn"]);
    let refused = wait("the agent's word that it is shut out", || {
        let told = agent.logged("no answer from the orchestrator, trying again");
        told.into_iter().find(|line| line["error"].as_str().is_some_and(|error| error.contains("revoked")))
    });
    let own = fs::read_to_string(farm.folder().join("barn/token")).unwrap();
    assert!(!refused.to_string().contains(&own), "{refused}");
    told_by(&farm, "barn", "its status says so, too", |found| {
        let said = found["status"]["obstacles"][0].as_str()?.contains("does not let this agent in");
        (said && found["status"]["doing"] == "registering").then_some(())
    });
    drop(agent);

    // Until its owner lets it in again.
    fs::remove_file(farm.folder().join("barn/token")).unwrap();
    fs::write(file, farm.token(&["create", "--name", "again", "--role", "enrol"])).unwrap();
    let _agent = farm.agent_with("barn", &blender, &["--slots", "1", "--token-file", file]);
    let job = farm.render(&json!({"from": 3, "to": 3}));
    assert_eq!(farm.wait_for_end(&job).state, JobState::Completed);
}

#[test]
fn what_was_rendered_waits_for_an_agent_that_is_not_let_in() {
    let blender = blenders::path(Kind::Program);
    let mut farm = Farm::start_locked(&blenders::scene("half_a_second"));
    let file = farm.folder().join("enrolment");
    fs::write(&file, farm.token(&["create", "--name", "rack", "--role", "enrol"])).unwrap();
    let flags = ["--slots", "1", "--token-file", file.to_str().unwrap()];
    let mut agent = farm.agent_with("barn", &blender, &flags);
    let job = farm.render(&json!({"from": 1, "to": 12, "batchSize": 12}));
    farm.wait_for(&job, "the first frame", |job| job.counts.done >= 1);
    farm.kill_orchestrator();
    let rendered = |agent: &Process| -> Vec<String> {
        agent.logged("frame rendered").iter().map(|line| line["frame"].to_string()).collect()
    };
    wait("a frame that nobody takes", || {
        (rendered(&agent).len() > agent.logged("frame delivered").len()).then_some(())
    });
    // Its token is revoked meanwhile, by mistake.
    farm.token(&["revoke", "barn"]);
    farm.restart_orchestrator();
    wait("nothing that it has to tell is taken", || {
        let told = agent.logged("no answer from the orchestrator, trying again");
        let is_so = |error: &str| error.contains("frame") && error.contains("revoked");
        told.into_iter().find(|line| line["error"].as_str().is_some_and(is_so))
    });
    agent.kill();
    let before = rendered(&agent);
    fs::remove_file(farm.folder().join("barn/token")).unwrap();
    let agent = farm.agent_with("barn", &blender, &flags);
    assert_eq!(farm.wait_for_end(&job).state, JobState::Completed);
    let since = rendered(&agent);
    assert!(since.iter().all(|frame| !before.contains(frame)), "{before:?}, {since:?}");
    assert_eq!(before.len() + since.len(), 12, "{before:?}, {since:?}");
}
