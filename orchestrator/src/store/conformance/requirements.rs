//! What a job asks of agents: which of them get its frames, and by which of their Blenders.

use haywain_shared::devices::{DeviceFacts, DeviceKind};
use haywain_shared::ids::{AgentId, Incarnation, JobId, RequestId};
use haywain_shared::inspection::FaultKind;
use haywain_shared::protocol::LeaseStanding;
use haywain_shared::requirements::Requirements;
use serde_json::{Value, json};

use super::bench::{Bench, GIB, facts, frame, new_job, range};
use super::options::inspection;
use crate::store::{Lease, NewJob, Registration, SceneEntry};

/// A job of ten batches, each of one frame.
async fn submit(bench: &Bench, requirements: Value) -> JobId {
    let requirements: Requirements = serde_json::from_value(requirements).unwrap();
    let (id, scene) = (JobId::generate(), bench.scene().await);
    let job = NewJob { requirements, batch_size: 1, ..new_job(id, scene, range(1, 10)) };
    bench.store.submit(job).await.unwrap()
}

/// What the agent gets, if anything.
async fn asked(bench: &Bench, agent: AgentId) -> Option<Lease> {
    bench.ask(agent, RequestId::generate()).await.unwrap()
}

/// The version that an agent is to render by, if it gets a lease.
async fn version(bench: &Bench, agent: AgentId) -> Option<String> {
    asked(bench, agent).await.map(|lease| lease.blender.version)
}

pub(in crate::store) async fn a_job_is_rendered_by_the_blender_of_its_first_lease(mut bench: Bench) {
    let new = bench.agent_named("new", &["5.0.1 LTS"]).await;
    let both = bench.agent_named("both", &["3.4.1", "5.0.1"]).await;
    let other = bench.agent_named("other", &["5.0.2"]).await;
    let job = submit(&bench, json!({"blender": ">=3"})).await;
    assert_eq!(bench.job(job).await.blender, None);
    assert_eq!(version(&bench, new).await.as_deref(), Some("5.0.1 LTS"));
    assert_eq!(bench.job(job).await.blender.as_deref(), Some("5.0.1"));
    bench.restart().await;
    assert_eq!(version(&bench, both).await.as_deref(), Some("5.0.1"));
    assert_eq!(version(&bench, other).await, None, "another build");

    bench.store.control_job(job, crate::store::JobCommand::Cancel).await.unwrap();
    let mixed = submit(&bench, json!({"blender": ">=3", "mixed": true})).await;
    assert_eq!(version(&bench, new).await.as_deref(), Some("5.0.1 LTS"));
    assert_eq!(version(&bench, both).await.as_deref(), Some("3.4.1"));
    assert_eq!(version(&bench, other).await.as_deref(), Some("5.0.2"));
    assert_eq!(bench.job(mixed).await.blender, None);
}

pub(in crate::store) async fn a_job_that_its_first_agent_cannot_render_may_begin_anew(bench: Bench) {
    let old = bench.agent_named("old", &["3.4.1"]).await;
    let new = bench.agent_named("new", &["5.0.1"]).await;
    let job = submit(&bench, json!({"blender": ">=3"})).await;
    let [first, second] = [asked(&bench, old).await.unwrap(), asked(&bench, old).await.unwrap()];
    bench.refuse(&first, 1).await;
    assert_eq!(version(&bench, new).await, None, "a frame is in work by 3.4.1");
    bench.store.release(second.id, vec![frame(2)]).await.unwrap();
    assert_eq!(bench.job(job).await.blender, None);
    let begun = asked(&bench, new).await.unwrap();
    assert_eq!(begun.blender.version, "5.0.1");
    bench.deliver(&begun, begun.frames.first().get().into()).await.unwrap();
    bench.store.complete(begun.id).await.unwrap();
    assert_eq!(bench.job(job).await.blender.as_deref(), Some("5.0.1"), "a frame is done");
}

pub(in crate::store) async fn a_job_that_was_only_begun_may_begin_anew_with_other_devices(bench: Bench) {
    let scene = bench.scene().await;
    let mut seen = inspection(FaultKind::BrokenDrivers);
    seen.scenes[0].device = Some("CPU".to_owned());
    seen.scenes[0].faults.clear();
    bench.store.keep_inspection(scene, seen).await.unwrap();
    let with_cpu = async |name: &str, version: &str| {
        let agent = AgentId::generate();
        let mut told = facts(&[version]);
        let cpu = DeviceFacts { kind: DeviceKind::Cpu, name: "Some CPU".to_owned(), id: "CPU".to_owned() };
        told.blenders[0].devices = vec![cpu];
        let registration = Registration { agent, incarnation: Incarnation(1), name: name.to_owned(), facts: told };
        bench.store.register(registration).await.unwrap();
        agent
    };
    let (gone, here) = (with_cpu("gone", "5.0.1").await, with_cpu("here", "4.2.0").await);
    let job = submit(&bench, json!({"blender": ">=3"})).await;
    let lease = asked(&bench, gone).await.unwrap();
    assert_eq!(lease.device, Some(DeviceKind::Cpu));
    assert_eq!(version(&bench, here).await, None);
    bench.store.leave(gone, Incarnation(1)).await.unwrap();
    assert_eq!(bench.job(job).await.blender, None);
    assert_eq!(version(&bench, here).await.as_deref(), Some("4.2.0"));
}

pub(in crate::store) async fn a_file_wants_the_blender_that_saved_it_or_a_newer_one(mut bench: Bench) {
    let scene = bench.scene().await;
    let SceneEntry { blob, saved_by } = bench.store.scene_entry(scene).await.unwrap();
    assert_eq!((blob, saved_by), (bench.store.scene(scene).await.unwrap().entry_blob(), None));
    bench.store.keep_saved_by(scene, "4.2".parse().unwrap()).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.store.scene_entry(scene).await.unwrap().saved_by, "4.2".parse().ok());

    let old = bench.agent_named("old", &["3.4.1"]).await;
    let several = bench.agent_named("several", &["5.0.1", "4.3.0", "3.4.1"]).await;
    let job = submit(&bench, json!({})).await;
    assert_eq!(bench.job(job).await.saved_by, "4.2".parse().ok());
    assert_eq!(version(&bench, old).await, None);
    assert_eq!(version(&bench, several).await.as_deref(), Some("4.3.0"));
    let asks = submit(&bench, json!({"blender": "3.4"})).await;
    let lease = asked(&bench, old).await.unwrap();
    assert_eq!((lease.job, lease.blender.version.as_str()), (asks, "3.4.1"), "its owner knows better");
}

pub(in crate::store) async fn a_lease_goes_on_in_the_blender_that_it_began_in(bench: Bench) {
    let both = bench.agent_named("both", &["5.0.1", "3.4.1"]).await;
    submit(&bench, json!({"blender": "3.4", "mixed": true})).await;
    let request = RequestId::generate();
    let first = bench.ask(both, request).await.unwrap().unwrap();
    assert_eq!(first.blender.version, "3.4.1");
    assert_eq!(bench.ask(both, request).await.unwrap(), Some(first.clone()));
    bench.store.release(first.id, Vec::new()).await.unwrap();
    bench.pass(21).await;
    match bench.standing(both, &first, Some(1)).await {
        LeaseStanding::Readopted { grant } => assert_eq!(grant.blender, first.blender),
        other => panic!("{other:?}"),
    }
}

pub(in crate::store) async fn a_job_goes_to_agents_that_it_may_go_to(bench: Bench) {
    let barn = bench.agent_named("barn", &["3.4.1"]).await;
    let mill = bench.agent_named("mill", &["3.4.1"]).await;
    let named = submit(&bench, json!({"agents": {"only": ["mill"]}})).await;
    assert_eq!(asked(&bench, barn).await, None);
    assert_eq!(asked(&bench, mill).await.unwrap().job, named);
    bench.store.control_job(named, crate::store::JobCommand::Cancel).await.unwrap();
    let not_by_id = submit(&bench, json!({"agents": {"except": [mill]}})).await;
    assert_eq!(asked(&bench, mill).await, None);
    assert_eq!(asked(&bench, barn).await.unwrap().job, not_by_id);
    bench.store.control_job(not_by_id, crate::store::JobCommand::Cancel).await.unwrap();
    let large = submit(&bench, json!({"memory": "2GiB"})).await;
    assert_eq!(bench.lease_with(barn, 2 * GIB - 1).await, None);
    assert_eq!(bench.lease_with(barn, 2 * GIB).await.unwrap().job, large);
    bench.store.control_job(large, crate::store::JobCommand::Cancel).await.unwrap();

    let tagged = submit(&bench, json!({"tags": {"allOf": ["big"]}})).await;
    assert_eq!(asked(&bench, barn).await, None);
    let big = AgentId::generate();
    let abilities = serde_json::from_value(json!({"tags": ["big", "upstairs"]})).unwrap();
    bench.register_with(big, 1, abilities).await.unwrap();
    assert_eq!(asked(&bench, big).await.unwrap().job, tagged);
}

pub(in crate::store) async fn a_job_that_nobody_can_take_says_why(bench: Bench) {
    let job = submit(&bench, json!({"blender": "5"})).await;
    assert_eq!(bench.job(job).await.waits_for, ["no agent is there that takes work"]);
    bench.agent_named("barn", &["3.4.1"]).await;
    let idle = async || bench.store.agents().await.unwrap().remove(0).idle_because;
    let because = "it can take none of the jobs that are next: \
        the first is for one that has Blender 5, which the job asks for, not 3.4.1";
    assert_eq!(idle().await.as_deref(), Some(because));
    let waits_for = ["no agent has Blender 5, which the job asks for: not barn (3.4.1)"];
    assert_eq!(bench.job(job).await.waits_for, waits_for);
    bench.agent_named("mill", &["5.0.1"]).await;
    assert!(bench.job(job).await.waits_for.is_empty());
    // One job that it can take is enough.
    submit(&bench, json!({})).await;
    assert_eq!(idle().await, None);
    // Those that are gone count no more.
    bench.pass(21).await;
    assert_eq!(bench.job(job).await.waits_for, ["no agent is there that takes work"]);
}
