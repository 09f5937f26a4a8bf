//! Machines that are started from one disk image: each has a copy of the same data folder, and each is to be an agent of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use haywain_shared::job::{AgentState, JobState};
use serde_json::{Value, json};

use crate::apart::Apart;
use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};

/// By what a machine is told from another.
const MACHINE_ID: &str = "/etc/machine-id";

/// A copy of an agent's data folder, as a copy of the disk that it is on has it.
fn copy(farm: &Farm, from: &str, to: &str) {
    let [from, to] = [from, to].map(|name| farm.folder().join(name));
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// The ids of the agents that are there.
fn online(farm: &Farm) -> BTreeSet<String> {
    let there = farm.agents().into_iter().filter(|agent| agent.state == AgentState::Online);
    there.map(|agent| agent.agent_id.to_string()).collect()
}

/// Renders a job with the agents that are there: each frame once.
fn render_once_each(farm: &Farm, frames: u64) {
    let path = farm.render(&json!({"from": 1, "to": frames, "batchSize": 1}));
    let job = farm.wait_for_end(&path);
    assert_eq!((job.state, job.counts.done), (JobState::Completed, frames));
    assert_eq!(farm.attempts(&path).len() as u64, frames);
}

#[test]
fn two_machines_from_one_disk_image_are_two_agents() {
    let Some(apart) = Apart::find("two machines from one disk image") else { return };
    assert!(Path::new(MACHINE_ID).is_file(), "this machine has no id: run systemd-machine-id-setup");
    let blender = blenders::path(Kind::Program);
    let farm = Farm::start_locked(&blenders::scene("half_a_second"));
    let enrolment = farm.folder().join("enrolment");
    fs::write(&enrolment, farm.token(&["create", "--name", "image", "--role", "enrol"])).unwrap();
    let flags = ["--slots", "1", "--token-file", enrolment.to_str().unwrap()];

    // The image is made of a machine on which an agent has run.
    let mut first = farm.agent_with("one", &blender, &flags);
    first.wait_for_log("registered");
    assert_eq!(first.terminate(), Some(0));
    copy(&farm, "one", "two");

    let other_id = farm.folder().join("machine-id");
    fs::write(&other_id, "0123456789abcdef0123456789abcdef\n").unwrap();
    let one = farm.agent_with("one", &blender, &flags);
    let elsewhere =
        apart.command_with(Path::new(env!("CARGO_BIN_EXE_haywain-agent")), &other_id, Path::new(MACHINE_ID));
    let two = farm.agent_by(elsewhere, "two", &blender, &flags);
    for agent in [&one, &two] {
        agent.wait_for_log("registered");
    }
    assert_eq!(
        one.logged("this data folder comes from another machine: a new agent starts here, and enrols as one"),
        [] as [Value; 0]
    );
    two.wait_for_log("this data folder comes from another machine: a new agent starts here, and enrols as one");
    wait("both agents", || (online(&farm).len() == 2).then_some(()));
    render_once_each(&farm, 8);
    let rendered = [&one, &two].map(|agent| agent.logged("frame rendered").len());
    assert!(rendered.iter().all(|frames| *frames > 0), "{rendered:?}");
    let tokens = ["one", "two"].map(|name| fs::read_to_string(farm.folder().join(name).join("token")).unwrap());
    assert_ne!(tokens[0], tokens[1]);
}

#[test]
fn of_two_copies_that_nothing_tells_apart_one_becomes_another_agent() {
    let blender = blenders::path(Kind::Program);
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let mut first = farm.agent("one", &blender, 1);
    first.wait_for_log("registered");
    assert_eq!(first.terminate(), Some(0));
    copy(&farm, "one", "two");
    // Which of the two is the later life is chance: here it is the second.
    let file = farm.folder().join("two/identity.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    kept["incarnation"] = json!(kept["incarnation"].as_u64().unwrap() + 5000);
    fs::write(&file, kept.to_string()).unwrap();

    let mut one = farm.agent("one", &blender, 1);
    one.wait_for_log("registered");
    let two = farm.agent("two", &blender, 1);
    two.wait_for_log("registered");
    assert_eq!(one.wait_for_exit(), Some(3));
    // Whatever starts it again starts another agent, and does not chase the first away.
    let one = farm.agent("one", &blender, 1);
    one.wait_for_log("registered");
    wait("both agents", || (online(&farm).len() == 2).then_some(()));
    render_once_each(&farm, 8);
    for agent in [&one, &two] {
        assert!(!agent.logged("frame rendered").is_empty());
    }
}
