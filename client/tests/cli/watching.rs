//! A job is watched to whatever end it comes to, over an orchestrator that goes and comes back.

use std::sync::{Arc, Mutex};

use crate::blenders::{self, Kind};
use crate::double::{Double, json as answer, problem};
use crate::farm::Farm;
use crate::hand::Agent;
use crate::program::{Home, text};

/// Enough that some are left when the orchestrator goes upon the first.
const FRAMES: usize = 30;

#[test]
fn an_orchestrator_that_goes_and_comes_back_costs_the_watch_nothing() {
    let (mut farm, home) = (Farm::start(), Home::new());
    let blender = blenders::path(Kind::Program);
    let _agent = farm.agent("barn", &blender);
    let (scene, out) = (blenders::scenes(Kind::Program).join("near/textured.blend"), home.path("out"));
    let frames = format!("1-{FRAMES}");
    let watch = home.start(
        &farm.url(),
        &["submit", text(&scene), "-f", &frames, "--blender", text(&blender), "--out", text(&out), "--json"],
    );
    watch.until("file");
    farm.kill_orchestrator();
    let away = watch.until("unreachable");
    assert!(away["reason"].as_str().unwrap().contains("cannot be reached"), "{away}");
    farm.start_orchestrator();
    watch.until("reachable");
    let last = watch.until("ended");
    assert_eq!((&last["exitCode"], &last["job"]["state"]), (&0.into(), &"completed".into()), "{last}");
    watch.end().ends_with(0);
    for frame in 1..=FRAMES {
        let name = format!("shot_{frame:04}.png");
        assert!(out.join(&name).is_file(), "{name} is not there");
    }
}

#[test]
fn a_job_that_is_cancelled_ends_its_watch() {
    let (farm, home) = (Farm::start(), Home::new());
    let job = submitted(&farm, &home, "1-9");
    let watch = home.start(&farm.url(), &["watch", &job, "--json"]);
    watch.until("progress");
    home.run(&farm.url(), &["cancel", &job]).ends_with(0);
    assert_eq!(watch.until("ended")["job"]["state"], "cancelled");
    watch.end().ends_with(4);
}

#[test]
fn a_job_that_fails_ends_its_watch_and_its_logs_say_why() {
    let (farm, home) = (Farm::start(), Home::new());
    let job = submitted(&farm, &home, "1-2");
    let watch = home.start(&farm.url(), &["watch", &job, "--json"]);
    watch.until("progress");
    let agent = Agent::register(&farm.url(), "barn");
    let first = agent.fail_one("crashed", "Blender died of signal 11", "Fra:1 Mem:9M\nSegmentation fault");
    let second = agent.fail_one("out_of_memory", "Blender wanted 64 GB", "Malloc returns null");
    assert_eq!((first, second), (1, 2));
    let last = watch.until("ended");
    assert_eq!((&last["exitCode"], &last["job"]["state"]), (&3.into(), &"failed".into()), "{last}");
    watch.end().ends_with(3);

    let words = home.run(&farm.url(), &["watch", &job]).ends_with(3).out;
    for part in ["2 of 2 frames failed", "frame 1: crashed: Blender died of signal 11", "haywain logs"] {
        assert!(words.contains(part), "{part:?} in {words}");
    }

    let logs = home.run(&farm.url(), &["logs", &job]).ends_with(0).out;
    for part in [
        "frame 1 on barn, ",
        ": crashed: Blender died of signal 11\n    Fra:1 Mem:9M\n    Segmentation fault\n",
        "frame 2 on barn, ",
        ": out_of_memory: Blender wanted 64 GB\n    Malloc returns null\n",
    ] {
        assert!(logs.contains(part), "{part:?} in {logs}");
    }
    let of_one = home.run(&farm.url(), &["logs", &job, "--frame", "2", "--json"]).ends_with(0).json();
    let attempts = of_one["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["cause"]), (1, &"out_of_memory".into()), "{of_one}");
    assert_eq!(attempts[0]["logTail"], "Malloc returns null");
}

#[test]
fn events_go_on_after_the_last_that_came() {
    let (farm, home) = (Farm::start(), Home::new());
    let job = submitted(&farm, &home, "1-9");
    let report = serde_json::to_value(farm.job(&job)).unwrap();
    let event = format!("id: 41\ndata: {{\"id\": 41, \"kind\": \"newerThanUs\", \"jobId\": \"{job}\"}}\n\n");
    let (id, came_back) = (job.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&came_back);
    let double = Double::start(move |request| {
        let mut seen = seen.lock().unwrap();
        match request.path.as_str() {
            // Each line of events is cut after one of them.
            "/api/v1/events" => {
                seen.push(request.headers.get("last-event-id").cloned());
                Some((200, vec![("content-type", "text/event-stream".to_owned())], event.clone().into_bytes()))
            }
            path if path == format!("/api/v1/jobs/{job}") => {
                let state = if seen.len() > 1 { "completed" } else { "running" };
                let mut report = report.clone();
                report["state"] = state.into();
                answer(200, &report)
            }
            _ => problem(404, "not-found"),
        }
    });
    let ran = home.run(&double.url(), &["watch", &id, "--json"]).ends_with(0);
    assert_eq!(*came_back.lock().unwrap(), [None, Some("41".to_owned())]);
    assert!(!ran.out.contains("unreachable"), "a line that is cut is no orchestrator that is away: {ran:#?}");
}

/// A job of single frames, each of which may fail once.
fn submitted(farm: &Farm, home: &Home, frames: &str) -> String {
    let scene = home.file("shot.blend", "BLENDER-v304 and so on");
    let arguments = ["submit", text(&scene), "--no-blender", "-f", frames, "--batch-size", "1", "--max-attempts", "1"];
    home.run(&farm.url(), &arguments).ends_with(0).out.trim().to_owned()
}
