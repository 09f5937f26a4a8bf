//! `GET /metrics`: every promised name is there and says what is so, and what watches the farm asks for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::agent::Agent;
use crate::server::Farm;
use crate::wire::Request;

/// The samples of a farm, by name and labels as they are written.
fn samples(farm: &Farm) -> BTreeMap<String, f64> {
    let answer = Request::get("/metrics").send(farm.address);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The names that are served, those of a histogram's parts included.
fn names(farm: &Farm) -> BTreeSet<String> {
    samples(farm).keys().map(|sample| sample.split('{').next().unwrap().to_owned()).collect()
}

/// The names of Haywain's metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("haywain_")).map(str::to_owned).collect()
}

#[test]
fn a_farm_is_told_in_numbers() {
    let farm = Farm::start();
    let before = samples(&farm);
    assert!((before["haywain_oldest_pending_seconds"]).abs() < f64::EPSILON);
    let agent = Agent::registered(&farm, "barn");
    let job = farm.submit(&json!({"from": 1, "to": 5, "batchSize": 2}));
    let lease = agent.lease();
    agent.deliver(&lease, lease.from);
    let waiting = farm.submit(&json!({"from": 1, "to": 4}));
    let cancelled = farm.submit(&json!({"from": 1, "to": 3}));
    let answer = Request::post(&format!("/api/v1/jobs/{cancelled}/cancel"), "").send(farm.address);
    assert_eq!(answer.status, 200, "{answer:?}");
    let [pending, leased, done, failed] = farm.counts(&job);
    assert_eq!((farm.counts(&waiting), done, failed), ([4, 0, 0, 0], 1, 0));
    let found = samples(&farm);
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let expected = [
        (r#"haywain_frames{state="pending",job_state="running"}"#, pending as f64),
        (r#"haywain_frames{state="leased",job_state="running"}"#, leased as f64),
        (r#"haywain_frames{state="done",job_state="running"}"#, 1.0),
        (r#"haywain_frames{state="failed",job_state="running"}"#, 0.0),
        (r#"haywain_frames{state="pending",job_state="pending"}"#, 4.0),
        (r#"haywain_frames{state="pending",job_state="cancelled"}"#, 3.0),
        (r#"haywain_frames{state="done",job_state="completed"}"#, 0.0),
        (r#"haywain_jobs{state="running"}"#, 1.0),
        (r#"haywain_jobs{state="pending"}"#, 1.0),
        (r#"haywain_jobs{state="cancelled"}"#, 1.0),
        (r#"haywain_jobs{state="failed"}"#, 0.0),
        (r#"haywain_agents{state="online"}"#, 1.0),
        (r#"haywain_agents{state="set_aside"}"#, 0.0),
        (r#"haywain_slots{state="online"}"#, 1.0),
        ("haywain_leases", f64::from(u8::from(leased > 0))),
        ("haywain_lease_seconds_count", 1.0),
        ("haywain_frame_seconds_count", 1.0),
        ("haywain_first_frame_seconds_count", 1.0),
    ];
    for (sample, value) in expected {
        let found = found.get(sample).unwrap_or_else(|| panic!("{sample} is not told: {found:?}"));
        assert!((found - value).abs() < f64::EPSILON, "{sample}: {found}, not {value}");
    }
    for grown in [
        r#"haywain_received_bytes_total{peer="agents"}"#,
        r#"haywain_received_bytes_total{peer="clients"}"#,
        r#"haywain_sent_bytes_total{peer="agents"}"#,
        r#"haywain_sent_bytes_total{peer="clients"}"#,
    ] {
        assert!(found[grown] > before[grown], "{grown}");
    }
}

#[test]
fn whoever_operates_may_look_and_nobody_else() {
    let (farm, [operate, submit]) = Farm::with_keys([("operate", "prometheus"), ("submit", "ann")], json!({}));
    assert_eq!(Request::get("/metrics").bearer(&operate).send(farm.address).status, 200);
    assert_eq!(Request::get("/metrics").bearer(&submit).send(farm.address).status, 403);
    assert_eq!(Request::get("/metrics").send(farm.address).status, 401);
}

/// A dashboard that asks for a name that is not served shows nothing, and says nothing.
#[test]
fn what_watches_the_farm_asks_for_what_is_served() {
    let farm = Farm::start();
    let served = names(&farm);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for file in ["deploy/grafana/haywain.json", "deploy/prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let asked = names_in(&text);
        let unknown: Vec<_> = asked.difference(&served).collect();
        assert!(!asked.is_empty() && unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    let text = std::fs::read_to_string(format!("{root}/docs/metrics.md")).unwrap();
    let described = names_in(&text);
    let told = |name: &String| {
        let whole = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        described.contains(whole.unwrap_or(name))
    };
    let missing: Vec<_> = served.iter().filter(|name| !told(name)).collect();
    assert!(missing.is_empty(), "docs/metrics.md does not tell of {missing:?}");
    let unknown: Vec<_> =
        described.iter().filter(|name| !served.contains(*name) && !served.contains(&format!("{name}_sum"))).collect();
    assert!(unknown.is_empty(), "docs/metrics.md tells of {unknown:?}");
}
