//! Commands against a real orchestrator without agents: jobs that stay where they are put.

use haywain_shared::job::JobState;

use crate::blenders::{self, Kind};
use crate::farm::{self, Farm};
use crate::program::{Home, text};

#[test]
fn jobs_are_submitted_named_listed_and_controlled() {
    let (farm, home) = (Farm::start(), Home::new());
    let run = |arguments: &[&str]| home.run(&farm.url(), arguments);
    let scene = blenders::scenes(Kind::Program).join("packed.blend");
    let submitted = run(&[
        "submit",
        text(&scene),
        "--no-blender",
        "-f",
        "1-250",
        "-f",
        "300,310-320x2",
        "-f",
        "-5..-1",
        "--name",
        "dawn",
        "--priority",
        "-3",
        "--batch-size",
        "7",
        "--max-attempts",
        "2",
        "--frame-timeout",
        "15m",
        "--stall-timeout",
        "0",
        "--json",
    ])
    .ends_with(0)
    .json();
    let id = submitted["jobId"].as_str().unwrap();
    let job = farm.job(id);
    assert_eq!((job.counts.total, job.batch_size, job.priority, job.max_attempts), (262, 7, -3, 2));
    assert_eq!((job.frame_timeout_ms, job.stall_timeout_ms), (Some(900_000), None));
    assert_eq!(job.frames.pending[0].to_string(), "-5..-1");

    // The scene's own frames, from the file itself; the name is the file's.
    let own = run(&["submit", text(&scene), "--no-blender"]).ends_with(0);
    let own = farm.job(own.out.trim());
    assert_eq!((own.name.as_deref(), own.counts.total), (Some("packed"), 49));
    let scene_id = submitted["sceneId"].as_str().unwrap();
    run(&["submit", "--scene", scene_id, "--from", "1", "--to", "9", "--step", "4"]).ends_with(0);

    for name in [id, &id[id.len() - 8..], "dawn"] {
        assert!(run(&["status", name]).ends_with(0).out.contains(id), "{name}");
    }
    assert_eq!(run(&["status", "last", "--json"]).ends_with(0).json()["counts"]["total"], 3);
    for (arguments, state) in [
        (vec!["pause", "dawn"], JobState::Paused),
        (vec!["resume", "dawn"], JobState::Pending),
        (vec!["priority", "dawn", "7"], JobState::Pending),
        (vec!["cancel", "dawn"], JobState::Cancelled),
    ] {
        run(&arguments).ends_with(0);
        assert_eq!(farm.job(id).state, state, "{arguments:?}");
    }
    assert_eq!(farm.job(id).priority, 7);
    assert!(run(&["pause", "dawn"]).ends_with(6).err.contains("409"));
    assert!(run(&["watch", "dawn"]).ends_with(4).out.contains("Job cancelled: dawn"));
    let list = run(&["jobs", "--state", "cancelled", "--json"]).ends_with(0).json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    let table = run(&["jobs"]).ends_with(0).out;
    assert!(table.starts_with("JOB ") && table.lines().count() == 4 && !table.contains('\u{1b}'), "{table}");
    assert!(run(&["scenes"]).ends_with(0).out.contains(scene_id));
    assert!(run(&["agents"]).ends_with(0).out.contains("There are no agents"));
    assert!(run(&["logs", "dawn"]).ends_with(0).out.contains("Nothing has failed"));
    run(&["delete", "dawn"]).ends_with(0);
    run(&["status", id]).ends_with(6);
    assert!(run(&["completions", "bash"]).ends_with(0).out.contains("haywain"));
}

#[test]
fn missing_files_are_refused_by_name_and_let_pass_when_told() {
    let (farm, home) = (Farm::start(), Home::new());
    let scene = home.path("textured.blend");
    std::fs::copy(blenders::scenes(Kind::Program).join("near/textured.blend"), &scene).unwrap();
    let blender = blenders::path(Kind::Program);
    let arguments = ["submit", text(&scene), "-f", "1", "--blender", text(&blender)];
    let ran = home.run(&farm.url(), &arguments).ends_with(6);
    assert!(ran.err.contains("//leaf.png") && ran.err.contains("--allow-missing"), "{ran:#?}");
    assert!(!ran.err.contains("bark.png"), "it is where the scene says: {ran:#?}");
    let ran = home.run(&farm.url(), &[&arguments[..], &["--allow-missing", "--json"]].concat()).ends_with(0).json();
    let scene = ran["sceneId"].as_str().unwrap();
    let mut report = ureq::get(format!("{}/api/v1/scenes/{scene}", farm.url())).call().unwrap();
    let report: serde_json::Value = report.body_mut().read_json().unwrap();
    assert_eq!(report["manifest"]["missing"], serde_json::json!(["//leaf.png"]));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_job_and_says_how_to_come_back() {
    let (farm, home) = (Farm::start(), Home::new());
    let scene = blenders::scenes(Kind::Program).join("packed.blend");
    let job = home.run(&farm.url(), &["submit", text(&scene), "--no-blender", "-f", "1-9"]).ends_with(0).out;
    let mut child = home.command(&farm.url(), &["watch", job.trim(), "--json"]).spawn().unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    assert!(first.contains("\"progress\""), "{first}");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = farm::wait("the end of the watch", || child.try_wait().unwrap());
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(status.code(), Some(130), "{err}");
    assert!(err.contains("the job goes on") && err.contains("haywain watch"), "{err}");
    assert_eq!(farm.job(job.trim()).state, JobState::Pending);
}
