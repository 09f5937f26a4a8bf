//! Agents are started when there is more to do and drained away when there is less, as an autoscaler does it. The frames wait more
//! than they compute, so that three agents fit on two processors; how much faster three are is `cargo xtask bench scale`.

use std::collections::BTreeMap;

use haywain_shared::frames::FrameNumber;
use haywain_shared::job::{JobReport, JobState};
use serde_json::json;

use crate::blenders::{self, Kind, made_by};
use crate::farm::{Farm, Process, pictures};

const FRAMES: u64 = 40;

/// How many frames an agent has delivered.
fn share(job: &JobReport, agent: &str) -> u64 {
    job.agents.iter().filter(|share| share.agent == agent).map(|share| share.frames).sum()
}

#[test]
fn agents_come_and_go_while_a_job_runs_and_nothing_is_rendered_twice() {
    let farm = Farm::start(&made_by("waits").join("waits.blend"));
    let start = |name| farm.agent_with(name, &blenders::path(Kind::Program), &["--slots", "1", "--allow-scripts"]);
    let path = farm.render(&json!({"from": 1, "to": FRAMES, "scripts": true}));
    let first = start("first");
    farm.wait_for(&path, "a frame of the first agent", |job| share(job, "first") > 0);

    let mut others = ["second", "third"].map(start);
    farm.wait_for(&path, "frames of all three", |job| others_deliver(job) && share(job, "first") > 1);

    // SIGTERM, as a cloud gives notice.
    for agent in &others {
        agent.signal("TERM");
    }
    for agent in &mut others {
        assert_eq!(agent.wait_for_exit(), Some(0));
    }
    let left = farm.job(&path);
    assert!(left.counts.done < FRAMES, "the job was over before they left: {:?}", left.counts);
    assert!(left.batches.iter().all(|batch| batch.agent == "first"), "{:?}", left.batches);
    let shares = ["second", "third"].map(|name| share(&left, name));

    let job = farm.wait_for_end(&path);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    assert_eq!(pictures(&job).len() as u64, FRAMES);
    assert_eq!(["second", "third"].map(|name| share(&job, name)), shares, "who has left delivers nothing");
    // Whoever was asked to render a frame has delivered it, and nobody was asked for it again.
    let mut attempts = BTreeMap::<FrameNumber, u32>::new();
    for attempt in farm.attempts(&path) {
        assert_eq!(attempt.cause, None, "{attempt:?}");
        *attempts.entry(attempt.frame).or_default() += 1;
    }
    assert!(attempts.len() as u64 == FRAMES && attempts.values().all(|attempts| *attempts == 1), "{attempts:?}");
    let rendered = |agent: &Process| agent.logged("frame rendered").len() as u64;
    assert_eq!(rendered(&first) + others.iter().map(rendered).sum::<u64>(), FRAMES);
}

fn others_deliver(job: &JobReport) -> bool {
    ["second", "third"].iter().all(|agent| share(job, agent) > 0)
}
