//! Who an agent is, and which life of it speaks: registration and heartbeats.

use serde_json::json;

use crate::agent::{Agent, lease_id, request_id};
use crate::server::Farm;
use crate::wire::Answer;

const UNKNOWN: (u16, &str) = (404, "urn:haywain:unknown-agent");
const STALE: (u16, &str) = (409, "urn:haywain:stale-incarnation");

#[track_caller]
fn assert_all_refused(agent: &Agent, (status, kind): (u16, &str)) {
    let refused = |answer: Answer| answer.assert_problem(status, kind);
    refused(agent.ask(&request_id()));
    refused(agent.heartbeat(&json!([])));
}

#[test]
fn registering_is_answered_with_the_intervals_to_keep() {
    let farm = Farm::start();
    let agent = Agent::stranger(&farm);
    let answer = agent.register("barn");
    assert_eq!(answer.status, 200);
    let intervals = answer.json();
    let ms = |member: &str| intervals[member].as_u64().unwrap_or_else(|| panic!("{member}: {intervals}"));
    let (ttl, heartbeat, poll) = (ms("leaseTtlMs"), ms("heartbeatMs"), ms("pollMs"));
    assert!(0 < heartbeat && 2 * heartbeat < ttl && 0 < poll && poll < 60_000, "{intervals}");
    // The same life may say it again, under another name too.
    assert_eq!(agent.register("mill").status, 200);
}

#[test]
fn an_agent_that_nobody_knows_is_told_to_register() {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 20}));
    assert_all_refused(&Agent::stranger(&farm), UNKNOWN);
}

#[test]
fn a_past_life_is_told_to_end() {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 20}));
    let past = Agent::registered(&farm, "barn");
    let present = past.next_life();
    assert_eq!(present.register("barn").status, 200);
    assert_all_refused(&past, STALE);
    past.register("barn").assert_problem(STALE.0, STALE.1);
    assert_eq!(present.lease().from, 1);
    assert_eq!(present.heartbeat(&json!([])).status, 200);
}

#[test]
fn a_life_that_has_not_registered_speaks_for_nobody() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let present = Agent::registered(&farm, "barn");
    let lease = present.lease();
    let unregistered = present.next_life();
    unregistered.ask(&request_id()).assert_problem(UNKNOWN.0, UNKNOWN.1);
    unregistered.heartbeat(&json!([])).assert_problem(UNKNOWN.0, UNKNOWN.1);
    // The life that has registered goes on.
    assert_eq!(present.held(&lease.id), json!([{"from": 1, "to": 5}]));
    assert_eq!(farm.counts(&job), [15, 5, 0, 0]);
}

#[test]
fn a_new_life_gives_back_the_leases_of_the_old_one() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 20}));
    let old = Agent::registered(&farm, "barn");
    let [first, second] = [old.lease(), old.lease()];
    old.deliver(&first, 1);
    assert_eq!(farm.counts(&job), [10, 9, 1, 0]);
    // The same life, registering again, keeps what it has.
    assert_eq!(old.register("barn").status, 200);
    assert_eq!(farm.counts(&job), [10, 9, 1, 0]);

    let new = old.next_life();
    assert_eq!(new.register("barn").status, 200);
    assert_eq!(farm.counts(&job), [19, 0, 1, 0]);
    for lease in [&first, &second] {
        assert_eq!(new.held(&lease.id), json!([]));
    }
    assert_eq!(farm.report(&job)["batches"], json!([]));
    // It costs no attempt, and the frames are there for whoever asks.
    for _ in 0..4 {
        let lease = new.lease();
        assert_eq!(lease.from, 2);
        new.complete(&lease);
    }
}

#[test]
fn a_heartbeat_says_which_frames_are_still_held() {
    let farm = Farm::start();
    farm.submit(&json!({"from": 1, "to": 40}));
    let [barn, mill] = ["barn", "mill"].map(|name| Agent::registered(&farm, name));
    let (lease, other) = (barn.lease(), mill.lease());
    let held = |lease: &str| json!({"leaseId": lease, "frame": 2, "fraction": 0.5, "framesDone": 1});
    barn.deliver(&lease, 1);
    barn.deliver(&lease, 3);
    let nobody_s = lease_id();
    let answer = barn.heartbeat(&json!([held(&lease.id), held(&other.id), held(&nobody_s)]));
    assert_eq!(answer.status, 200);
    let unknown = json!({"verdict": "revoked", "reason": "unknown"});
    let verdicts = json!({"agent": "run", "leases": [
        {"leaseId": lease.id, "standing": {"verdict": "renewed", "frames": [{"from": 2, "to": 2}, {"from": 4, "to": 5}]}},
        {"leaseId": other.id, "standing": unknown},
        {"leaseId": nobody_s, "standing": unknown},
    ]});
    assert_eq!(answer.json(), verdicts);
    assert_eq!(barn.heartbeat(&json!([])).json(), json!({"agent": "run", "leases": []}));
    for frame in [2, 4, 5] {
        barn.deliver(&lease, frame);
    }
    assert_eq!(barn.held(&lease.id), json!([]));
}
