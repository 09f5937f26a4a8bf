//! Memory is bounded: a scene that takes more than there is ends alone, whoever sets the bound: the agent's owner, the group that it
//! runs in, or the kernel.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use haywain_shared::cause::Cause;
use haywain_shared::job::{AttemptReport, JobState};
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};
use crate::system;

const MIB: u64 = 1 << 20;

/// A control group with a bound of its own, for as long as the value lives.
struct Group(PathBuf);

impl Group {
    /// `None`, aloud, where a test may not make one.
    fn with_memory(bytes: u64, name: &str) -> Option<Self> {
        let name = format!("haywain-test-{}-{name}", std::process::id());
        let kinds = [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")];
        for (root, limit) in kinds {
            if !Path::new(root).join("cgroup.procs").exists() || fs::create_dir(Path::new(root).join(&name)).is_err() {
                continue;
            }
            let group = Self(Path::new(root).join(&name));
            if fs::write(group.0.join(limit), bytes.to_string()).is_ok() {
                return Some(group);
            }
        }
        let told = "SKIPPED: memory of a control group (none with a bound can be made here)\n";
        std::io::stderr().write_all(told.as_bytes()).unwrap();
        None
    }

    /// What starts the agent inside.
    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        command.arg(env!("CARGO_BIN_EXE_haywain-agent"));
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is in it dies with its agent.
        let gone = || (fs::remove_dir(&self.0).is_ok() || !self.0.exists()).then_some(());
        if !std::thread::panicking() {
            wait("the end of a control group", gone);
        }
    }
}

/// The only attempt at the only frame of a job that has failed.
fn failed_attempt(farm: &Farm, path: &str) -> AttemptReport {
    let job = farm.wait_for_end(path);
    assert_eq!(job.state, JobState::Failed, "{job:?}");
    let mut attempts = farm.attempts(path);
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    let attempt = attempts.remove(0);
    assert_eq!(attempt.cause, Some(Cause::OutOfMemory), "{attempt:?}");
    attempt
}

#[test]
fn a_scene_that_takes_more_than_the_limit_ends_alone() {
    let farm = Farm::start(&blenders::scene("half_a_second"));
    let flags = ["--slots", "2", "--max-memory", "1500MiB"];
    let agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
    let light = farm.render(&json!({"from": 1, "to": 24}));
    farm.wait_for(&light, "a light frame", |job| job.counts.done >= 1);
    let greedy = farm.give_blend(&blenders::scene("greedy"));
    let greed = farm.render(&json!({"frames": "11", "scene": greedy, "maxAttempts": 1, "priority": 10}));
    let attempt = failed_attempt(&farm, &greed);
    assert!(attempt.message.contains("may have 1500 MiB (--max-memory)"), "{attempt:?}");
    let peak_bytes = attempt.peak_memory_bytes.unwrap();
    assert!((900 * MIB..3000 * MIB).contains(&peak_bytes), "{attempt:?}");
    assert!(attempt.log_tail.contains("greedy.blend"), "{attempt:?}");

    // The other session has been at work all the time, and goes on.
    assert_eq!(farm.job(&light).state, JobState::Running);
    let job = farm.wait_for_end(&light);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let attempts = farm.attempts(&light);
    assert!(attempts.len() == 24 && attempts.iter().all(|attempt| attempt.cause.is_none()), "{attempts:?}");
    assert!(attempts.iter().all(|attempt| attempt.peak_memory_bytes.is_some_and(|bytes| bytes < 600 * MIB)));

    // Frames of the scene that need less are rendered, by the same agent, with nothing beside them.
    let modest = farm.wait_for_end(&farm.render(&json!({"from": 9, "to": 10, "scene": greedy})));
    assert_eq!(modest.state, JobState::Completed, "{modest:?}");
    assert_eq!(agent.wait_for_log("session without work ended")["why"], "another scene needs its memory");
    assert!(system::is_running(agent.id()));
}

/// How a running Blender stands in the kernel's books.
#[test]
fn blender_takes_the_lowest_place_and_its_bounds_with_it() {
    // As in a container whose manager lets it be killed before all others.
    let offered = |command: &mut Command, score: &str| {
        command.args(["-c", "echo $0 > /proc/self/oom_score_adj && exec \"$@\"", score]);
        command.arg(env!("CARGO_BIN_EXE_haywain-agent"));
    };
    let farm = Farm::start(&blenders::scene("half_a_second"));
    farm.render(&json!({"from": 1, "to": 1000}));
    for (name, before, after) in [("usual", "0", "900"), ("offered", "1000", "1000")] {
        let mut command = Command::new("sh");
        offered(&mut command, before);
        let agent = farm.agent_by(command, name, &blenders::path(Kind::Program), &["--slots", "1"]);
        let blender = agent.wait_for_log("Blender started")["process"].as_u64().unwrap();
        let of_blender = |file: &str| fs::read_to_string(format!("/proc/{blender}/{file}")).unwrap();
        assert_eq!(of_blender("oom_score_adj").trim(), after, "{name}");
        let stat = of_blender("stat");
        assert_eq!(stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(16), Some("19"), "its niceness");
        // The kernel takes the disk's priority from the niceness as long as none is set.
        let disk = Command::new("ionice").args(["-p", &blender.to_string()]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&disk.stdout).trim(), "none: prio 0");
        let limits = of_blender("limits");
        let bounds = [
            ("Max core file size", "0"),
            ("Max file size", "68719476736"),
            ("Max nice priority", "0"),
            ("Max realtime priority", "0"),
        ];
        for (what, most) in bounds {
            let line = limits.lines().find_map(|line| line.strip_prefix(what)).unwrap();
            assert_eq!(line.split_ascii_whitespace().take(2).collect::<Vec<_>>(), [most, most], "{what}");
        }
    }
}

#[test]
fn a_batch_that_finds_no_room_goes_back_and_costs_nothing() {
    let farm = Farm::start(&blenders::scene("half_a_second"));
    // Room for one of which nothing is known, and for two once it is.
    let flags = ["--slots", "2", "--max-memory", "700MiB"];
    let agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
    let path = farm.render(&json!({"from": 1, "to": 12, "batchSize": 2}));
    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let crowded = "no room beside what is being rendered and other programs: the batch went back; waiting";
    assert!(!agent.logged(crowded).is_empty());
    let attempts = farm.attempts(&path);
    assert!(attempts.len() == 12 && attempts.iter().all(|attempt| attempt.cause.is_none()), "{attempts:?}");
    let learnt = fs::read_to_string(farm.folder().join("one/memory.json")).unwrap();
    assert!(learnt.contains("peakBytes"), "{learnt}");
}

#[test]
fn an_agent_without_room_for_a_blender_says_so_and_does_not_start() {
    let farm = Farm::start(&blenders::scene("basic"));
    let mut agent = farm.agent_with("tight", &blenders::path(Kind::Program), &["--max-memory", "300MiB"]);
    assert_eq!(agent.wait_for_exit(), Some(1));
    let log = fs::read_to_string(farm.folder().join("tight.log")).unwrap();
    assert!(log.contains("no Blender has room in 300 MiB"), "{log}");
}

#[test]
fn a_group_s_bound_counts_and_its_killer_is_heard_of() {
    let farm = Farm::start(&blenders::scene("greedy"));
    let cases = [
        ("watched", &["--slots", "1"][..], "that other programs are to have (--reserve-memory)"),
        // With nothing in reserve the kernel comes first.
        ("unwatched", &["--slots", "1", "--reserve-memory", "0MB"][..], "signal: 9 (SIGKILL): memory ran out"),
    ];
    for (name, flags, words) in cases {
        let Some(group) = Group::with_memory(1000 * MIB, name) else { return };
        let agent = farm.agent_by(group.command(), name, &blenders::path(Kind::Program), flags);
        let greed = farm.render(&json!({"frames": "11", "maxAttempts": 1}));
        let attempt = failed_attempt(&farm, &greed);
        assert!(attempt.message.contains(words), "{attempt:?}");
        let peak_bytes = attempt.peak_memory_bytes.unwrap();
        // Of which some is of files that the group does not count.
        assert!((300 * MIB..=1300 * MIB).contains(&peak_bytes), "{attempt:?}");
        let modest = farm.wait_for_end(&farm.render(&json!({"from": 9, "to": 10})));
        assert_eq!(modest.state, JobState::Completed, "{modest:?}");
        assert_eq!(agent.logged("agent ready").len(), 1);
        assert!(system::is_running(agent.id()));
    }
}
