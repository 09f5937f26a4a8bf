//! A scene is a stranger's file: with its Python allowed it still reads, writes, calls and leaves nothing that is not its own;
//! by default it runs none. And nothing of a killed agent lives on.

#![cfg(target_os = "linux")]

use std::io::Write as _;

use haywain_agent::jail::{Jailer, Sandbox, Strength};
use haywain_shared::job::JobState;
use serde_json::json;

use crate::blenders::{self, Kind, made_by};
use crate::farm::{Farm, Process, pictures, wait};
use crate::system;

fn hostile() -> std::path::PathBuf {
    made_by("hostile").join("hostile.blend")
}

/// The processes that carry the mark of an agent's folder.
fn marked(farm: &Farm, agent: &str) -> Vec<u64> {
    system::processes_with(&format!("HAYWAIN_AGENT_FOLDER={}", farm.folder().join(agent).display()))
}

/// Whether this kernel can build all of the walls; where it cannot, a test says so past libtest's capture and proves nothing.
fn walls_are_full() -> bool {
    let jailer = Jailer::new(env!("CARGO_BIN_EXE_haywain-agent").into(), Sandbox::Require);
    let strength = jailer.strength().unwrap();
    if strength != Strength::Full {
        let told = format!("SKIPPED: a hostile scene in the sandbox (this kernel builds a {} one)\n", strength.word());
        std::io::stderr().write_all(told.as_bytes()).unwrap();
    }
    strength == Strength::Full
}

fn file_name(farm: &Farm, path: &str) -> String {
    let job = farm.wait_for_end(path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    pictures(&job).remove(0).file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_hostile_scene_gets_nowhere_and_leaves_nothing() {
    if !walls_are_full() {
        return;
    }
    for kind in [Kind::Program, Kind::Module] {
        let farm = Farm::start(&hostile());
        let flags = ["--slots", "1", "--allow-scripts", "--sandbox", "require"];
        let mut agent = farm.agent_with("careful", &blenders::path(kind), &flags);
        agent.wait_for_log("Blender runs in a sandbox");
        // What it may: start a child, which is stopped with it, and write into a home that is its own.
        let got = file_name(&farm, &farm.render(&json!({"frames": "1", "scripts": true})));
        assert_eq!(got, "got-frame-fork-home_0001.png", "{kind:?}");
        // A job without scripts runs none, and has a Blender of its own: that with the child is ended.
        let before = marked(&farm, "careful");
        let got = file_name(&farm, &farm.render(&json!({"frames": "1"})));
        assert_eq!(got, "shot_0001.png", "{kind:?}");
        wait("the end of what the hostile Blender had started", || {
            before.iter().all(|process| !system::is_running(*process)).then_some(())
        });
        agent.kill();
        wait("the end of Blender", || marked(&farm, "careful").is_empty().then_some(()));
    }
}

#[test]
fn without_walls_the_same_scene_goes_far() {
    let farm = Farm::start(&hostile());
    let flags = ["--slots", "1", "--allow-scripts", "--sandbox", "off"];
    let agent = farm.agent_with("open", &blenders::path(Kind::Program), &flags);
    let got = file_name(&farm, &farm.render(&json!({"frames": "1", "scripts": true})));
    assert!(got.starts_with("got-passwd-secrets-"), "or the test above proves nothing: {got}");
    agent.wait_for_log("Blender can do here what this agent's user can");
}

#[test]
fn what_a_killed_agent_leaves_is_ended_by_its_next_life() {
    let farm = Farm::start(&hostile());
    let start =
        || -> Process { farm.agent_with("one", &blenders::path(Kind::Program), &["--slots", "1", "--allow-scripts"]) };
    let mut first = start();
    file_name(&farm, &farm.render(&json!({"frames": "1", "scripts": true})));
    assert!(!marked(&farm, "one").is_empty());
    first.kill();
    // Blender ends with the agent; what Blender has started has nobody to end with.
    wait("orphans alone", || (marked(&farm, "one").len() == 2).then_some(()));
    let next = start();
    next.wait_for_log("an earlier life of this agent has left processes: ended");
    wait("the end of the orphans", || marked(&farm, "one").is_empty().then_some(()));
}
