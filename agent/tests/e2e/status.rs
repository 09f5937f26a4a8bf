//! What an agent tells its owner of itself: at the terminal, and as metrics.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};

/// What `haywain-agent status` says of the agent `name`, and its exit code.
fn status(farm: &Farm, name: &str, flags: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haywain-agent"));
    let output = command.arg("status").arg("--data-dir").arg(farm.folder().join(name)).args(flags).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// Waits until the status of the agent `name` has something to tell.
pub(crate) fn told_by<T>(farm: &Farm, name: &str, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
    wait(what, || {
        let (text, _) = status(farm, name, &["--json"]);
        look(&serde_json::from_str(&text).unwrap())
    })
}

fn told<T>(farm: &Farm, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
    told_by(farm, "one", what, look)
}

#[test]
fn an_agent_tells_what_it_does_and_why_it_does_not() {
    let mut farm = Farm::start(&blenders::scene("half_a_second"));
    let (text, code) = status(&farm, "one", &[]);
    assert!(text.contains("No agent runs") && code == Some(1), "{text}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let flags = ["--slots", "1", "--metrics", &port];
    let mut agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
    told(&farm, "an idle agent", |found| (found["status"]["doing"] == "waiting").then_some(()));
    assert!(status(&farm, "one", &[]).0.contains("haywain agents"), "it says where to look for jobs that do not come");

    let path = farm.render(&json!({"from": 1, "to": 60, "batchSize": 10}));
    let job = path.trim_start_matches("/status/").to_owned();
    let work = told(&farm, "a frame in work", |found| {
        let work = &found["status"]["work"][0];
        (work["frame"].is_u64() && work["framesDone"].as_u64() > Some(0)).then(|| work.clone())
    });
    assert_eq!(work["jobId"], json!(job));
    let (text, code) = status(&farm, "one", &[]);
    assert!(text.contains("doing         working") && text.contains(&job) && code == Some(0), "{text}");

    let scraped = ureq::get(format!("http://127.0.0.1:{port}/metrics")).call().unwrap().into_body().read_to_string();
    let scraped = scraped.unwrap();
    let value = |name: &str| scraped.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    assert_eq!(value("haywain_agent_doing{doing=\"working\"}"), Some(1.0), "{scraped}");
    assert!(value("haywain_agent_frames_rendered_total") >= Some(1.0), "{scraped}");

    // It is away: the agent says so, and what waits to be delivered.
    farm.kill_orchestrator();
    let waiting = told(&farm, "no answer", |found| {
        let said = found["status"]["obstacles"][0].as_str()?.contains("no answer from the orchestrator");
        found["status"]["outbox"]["count"].as_u64().filter(|count| said && *count > 0)
    });
    assert!(waiting > 0);
    farm.restart_orchestrator();
    told(&farm, "an answer", |found| found["status"]["obstacles"].as_array()?.is_empty().then_some(()));
    farm.control(&path, "cancel");

    agent.kill();
    let (text, code) = status(&farm, "one", &[]);
    assert!(text.contains("is not running") && code == Some(1), "{text}");
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    told(&farm, "the next life", |found| (found["running"] == true).then_some(()));
    assert_eq!(agent.terminate(), Some(0));
    let (text, code) = status(&farm, "one", &["--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert!(found == json!({"running": false, "status": null}) && code == Some(1), "{text}");
}
