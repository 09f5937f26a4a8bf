//! What follows when an agent finds out that it cannot render a job, or fails at it again and again: it is not asked again at once.

use haywain_shared::cause::Cause;
use haywain_shared::devices::{DeviceFacts, DeviceKind};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, Incarnation, JobId, RequestId};
use haywain_shared::inspection::FaultKind;
use haywain_shared::job::{AgentState, JobState};
use haywain_shared::scene::{Manifest, SceneId};

use super::Bench;
use super::bench::{facts, new_ask, new_job, range};
use super::options::inspection;
use crate::queue::retry::{ASIDE, REFUSES_FOR, STREAK};
use crate::queue::submission::Limits;
use crate::store::{JobCommand, Lease, LeaseAsk, NewJob, Registration};

/// Two frames, one at a time, each of which is tried once.
async fn submit(bench: &Bench, scene: SceneId) -> JobId {
    let limits = Limits { max_attempts: 1, ..Limits::default() };
    let job = NewJob { batch_size: 1, limits, ..new_job(JobId::generate(), scene, range(1, 2)) };
    bench.store.submit(job).await.unwrap()
}

async fn asked(bench: &Bench, agent: AgentId) -> Option<Lease> {
    bench.ask(agent, RequestId::generate()).await.unwrap()
}

pub(in crate::store) async fn a_job_that_an_agent_refuses_goes_to_others(bench: Bench) {
    let job = submit(&bench, bench.scene().await).await;
    let (one, two) = (bench.agent().await, bench.agent().await);
    let lease = bench.lease(one).await;
    bench.refuse(&lease, 1).await;
    // Told twice, it is the same.
    bench.refuse(&lease, 1).await;
    assert_eq!(asked(&bench, one).await, None);
    for number in [1, 2] {
        // Nobody has to be waited for.
        let lease = bench.lease(two).await;
        assert_eq!(bench.frames(job).await[3], "");
        bench.deliver(&lease, number).await.unwrap();
    }
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    let causes: Vec<_> =
        bench.store.attempts(job, None).await.unwrap().into_iter().map(|attempt| attempt.cause).collect();
    assert_eq!(causes, [Some(Cause::DeviceUnavailable), None, None]);
    // What it has refused is one job.
    let other = submit(&bench, bench.scene().await).await;
    assert_eq!(asked(&bench, one).await.unwrap().job, other);
}

pub(in crate::store) async fn a_job_that_every_agent_refuses_says_why_it_waits(mut bench: Bench) {
    let job = submit(&bench, bench.scene().await).await;
    let barn = bench.agent_named("barn", &["3.4.1"]).await;
    let lease = bench.lease(barn).await;
    bench.refuse(&lease, 1).await;
    bench.restart().await;
    assert_eq!(asked(&bench, barn).await, None);
    bench.heartbeat(barn, &[]).await;
    let why = ["no agent has been able to render it: not barn (device_unavailable it is)"];
    assert_eq!(bench.job(job).await.waits_for, why);
    assert_eq!(bench.job(job).await.state, JobState::Running);

    // After a while it is asked again, and hears of it.
    let mut work = bench.store.work_made();
    work.borrow_and_update();
    bench.sleep(REFUSES_FOR.as_secs() - 1);
    assert_eq!(asked(&bench, barn).await, None);
    bench.pass(1).await;
    assert!(work.has_changed().unwrap());
    let lease = asked(&bench, barn).await.unwrap();
    bench.refuse(&lease, 1).await;
    assert_eq!(asked(&bench, barn).await, None);

    // So it is in its next life: its owner may have done what it takes.
    let registration =
        Registration { agent: barn, incarnation: Incarnation(2), name: "barn".to_owned(), facts: facts(&["3.4.1"]) };
    bench.store.register(registration).await.unwrap();
    assert!(bench.job(job).await.waits_for.is_empty());
    let ask = || LeaseAsk { incarnation: Incarnation(2), ..new_ask(barn, RequestId::generate()) };
    let lease = bench.store.lease(ask()).await.unwrap().unwrap();
    bench.refuse(&lease, 1).await;
    assert_eq!(bench.store.lease(ask()).await.unwrap(), None);
}

pub(in crate::store) async fn who_retries_a_job_has_all_agents_asked_again(bench: Bench) {
    let job = submit(&bench, bench.scene().await).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::Crashed).await;
    let lease = bench.lease(agent).await;
    bench.refuse(&lease, 2).await;
    assert_eq!(bench.frames(job).await, ["2", "", "", "1"]);
    assert_eq!(asked(&bench, agent).await, None);
    bench.store.control_job(job, JobCommand::RetryFailed).await.unwrap();
    assert!(asked(&bench, agent).await.is_some());
}

pub(in crate::store) async fn nobody_pays_for_a_scene_that_nobody_knew(bench: Bench) {
    let mut scenes = Vec::new();
    for name in ["a.blend", "b.blend", "c.blend", "d.blend", "e.blend"] {
        let manifest = Manifest::of_one_file(name.parse().unwrap(), 1, Sha256Digest::of(name.as_bytes()));
        scenes.push(bench.complete_scene(manifest).await);
    }
    let agent = AgentId::generate();
    let mut told = facts(&["3.4.1"]);
    let cpu = DeviceFacts { kind: DeviceKind::Cpu, name: "Some CPU".to_owned(), id: "CPU".to_owned() };
    told.blenders[0].devices = vec![cpu];
    let registration = Registration { agent, incarnation: Incarnation(1), name: "barn".to_owned(), facts: told };
    bench.store.register(registration).await.unwrap();
    let mut jobs = Vec::new();
    for scene in scenes {
        jobs.push(submit(&bench, scene).await);
        let lease = bench.lease(agent).await;
        assert_eq!(lease.device, None);
        let mut seen = inspection(FaultKind::BrokenDrivers);
        seen.scenes[0].device = Some("GPU".to_owned());
        bench.store.keep_inspection(scene, seen).await.unwrap();
        // Also where it is found out late: what has drawn is known only then.
        match jobs.len() % 2 {
            0 => bench.refuse(&lease, 1).await,
            _ => bench.fail(&lease, 1, Cause::DeviceUnavailable).await,
        }
    }
    bench.heartbeat(agent, &[]).await;
    assert_eq!(bench.store.agents().await.unwrap()[0].state, AgentState::Online);
    assert_eq!(asked(&bench, agent).await, None);
    for job in jobs {
        let report = bench.job(job).await;
        let why = "no agent has GPU, which the scene asks for (device: any would take a CPU): not barn (CPU)";
        assert_eq!((report.counts.pending, report.waits_for), (2, vec![why.to_owned()]));
    }
}

pub(in crate::store) async fn a_frame_that_its_device_fails_at_is_tried_so_often(bench: Bench) {
    let job = submit(&bench, bench.scene().await).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::DeviceUnavailable).await;
    assert_eq!(bench.frames(job).await, ["2", "", "", "1"]);
    assert!(asked(&bench, agent).await.is_some());
}

pub(in crate::store) async fn a_job_that_an_agent_only_fails_at_is_left_to_others(bench: Bench) {
    let job = bench.submit(1, 20, 1).await;
    let (good, bad) = (bench.agent().await, bench.agent().await);
    let held = bench.lease(good).await;
    for _ in 0..STREAK {
        let lease = bench.lease(bad).await;
        bench.fail(&lease, lease.frames.first().into(), Cause::Crashed).await;
    }
    assert_eq!(asked(&bench, bad).await, None);
    // It is one job that it is no good at.
    let other = bench.submit(1, 1, 1).await;
    let lease = bench.lease(bad).await;
    assert_eq!(lease.job, other);
    bench.deliver(&lease, 1).await.unwrap();
    // The others have the rest.
    bench.deliver(&held, 1).await.unwrap();
    for _ in 2..=20 {
        let lease = bench.lease(good).await;
        bench.deliver(&lease, lease.frames.first().into()).await.unwrap();
    }
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(in crate::store) async fn a_job_that_nobody_else_renders_stays_with_the_agent_that_fails_at_it(bench: Bench) {
    bench.submit(1, 20, 1).await;
    let (idle, bad) = (bench.agent().await, bench.agent().await);
    for _ in 0..=STREAK {
        let lease = bench.lease(bad).await;
        bench.fail(&lease, lease.frames.first().into(), Cause::Crashed).await;
    }
    // Now somebody is at it.
    let held = bench.lease(idle).await;
    let lease = bench.lease(bad).await;
    bench.fail(&lease, lease.frames.first().into(), Cause::Crashed).await;
    assert_eq!(asked(&bench, bad).await, None);
    // It is forgiven after a while.
    for _ in 0..ASIDE.as_secs() / 5 {
        bench.pass(5).await;
        bench.beat(idle, &held, Some(held.frames.first().into())).await;
        bench.heartbeat(bad, &[]).await;
    }
    assert!(asked(&bench, bad).await.is_some());
}
