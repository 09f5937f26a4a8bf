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

/// What an agent has started, whatever has become of it: all of it works in the agent's data folder.
fn started_by(farm: &Farm, agent: &str) -> Vec<u64> {
    system::processes_in(&farm.folder().join(agent))
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
        // What it may: start children, and write into a home that is its own.
        let got = file_name(&farm, &farm.render(&json!({"frames": "1", "scripts": true})));
        assert_eq!(got, "got-frame-fork-bare-home_0001.png", "{kind:?}");
        nothing_outlives_the_session(&farm, &agent, "careful");
        agent.kill();
        wait("the end of Blender", || started_by(&farm, "careful").is_empty().then_some(()));
    }
}

/// A job without scripts runs none, and has a Blender of its own: that of the job before is ended, with all that it has started.
fn nothing_outlives_the_session(farm: &Farm, agent: &Process, name: &str) {
    let before = started_by(farm, name);
    // The warden, Blender, an orphan and a shell with its child, at the least.
    assert!(before.len() >= 5, "{before:?}");
    assert_eq!(file_name(farm, &farm.render(&json!({"frames": "1"}))), "shot_0001.png");
    wait("the end of all that the hostile Blender had started", || {
        before.iter().all(|process| !system::is_running(*process)).then_some(())
    });
    let warden = wait("the agent without zombies", || match *system::children_of(agent.id()) {
        [warden] => Some(warden),
        _ => None,
    });
    assert_eq!(system::children_of(warden).len(), 1, "Blender, and nothing else");
}

#[test]
fn without_walls_the_same_scene_goes_far_and_still_leaves_nothing() {
    let farm = Farm::start(&hostile());
    let flags = ["--slots", "1", "--allow-scripts", "--sandbox", "off"];
    let mut agent = farm.agent_with("open", &blenders::path(Kind::Program), &flags);
    let attack = json!({"frames": "1", "scripts": true});
    let got = file_name(&farm, &farm.render(&attack));
    assert!(got.starts_with("got-passwd-secrets-"), "or the test above proves nothing: {got}");
    assert!(got.ends_with("-signal-mutiny-memory-session-fork-bare-home_0001.png"), "{got}");
    agent.wait_for_log("Blender can do here what this agent's user can");
    nothing_outlives_the_session(&farm, &agent, "open");
    file_name(&farm, &farm.render(&attack));
    agent.kill();
    wait("the end of all that the agent had started", || started_by(&farm, "open").is_empty().then_some(()));
}
