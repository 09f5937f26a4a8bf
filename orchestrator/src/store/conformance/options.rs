//! What a job's options mean to the queue: who may have its frames, and whether it is taken at all.

use haywain_shared::cause::Cause;
use haywain_shared::ids::{AgentId, JobId, RequestId};
use haywain_shared::inspection::{Fault, FaultKind, Inspection, SceneFacts};
use haywain_shared::options::{FrameOrder, RenderOptions, Scripts};
use haywain_shared::protocol::{Abilities, AddonFacts, InspectionWish, LeaseStanding};
use haywain_shared::scripts::ScriptRule;
use haywain_shared::token::Role;

use super::bench::{Bench, frame, new_job, range};
use super::tokens::new_token;
use crate::queue::choose::LOOKED_AT;
use crate::store::{NewJob, NewToken, Sight, StoreError};

async fn submit(bench: &Bench, options: RenderOptions) -> Result<JobId, StoreError> {
    let scene = bench.scene().await;
    bench.store.submit(NewJob { options, ..new_job(JobId::generate(), scene, range(1, 20)) }).await
}

fn sequential() -> RenderOptions {
    RenderOptions { order: FrameOrder::Sequential, ..RenderOptions::default() }
}

pub(in crate::store) async fn frames_in_sequence_go_to_one_agent_at_a_time(bench: Bench) {
    let job = submit(&bench, sequential()).await.unwrap();
    let (first, second) = (bench.agent().await, bench.agent().await);
    let whole = bench.lease(first).await;
    assert_eq!((whole.frames, whole.options.order), (range(1, 20), FrameOrder::Sequential));
    assert_eq!(bench.ask(second, RequestId::generate()).await.unwrap(), None, "it is with one agent");
    // Three frames on, the first agent falls silent: no backup, but the rest for another once the lease has run out.
    for number in 1..=3 {
        bench.deliver(&whole, number).await.unwrap();
    }
    bench.beat(first, &whole, Some(4)).await;
    bench.heartbeat(second, &[]).await;
    for _ in 0..21 {
        assert_eq!(bench.ask(second, RequestId::generate()).await.unwrap(), None, "no backup");
        bench.sleep(1);
        bench.heartbeat(second, &[]).await;
        bench.store.sweep().await.unwrap();
        if bench.frames(job).await[1].is_empty() {
            break;
        }
    }
    // The frame that was lost is a range of its own, as another agent is to take it.
    let lost = bench.lease(second).await;
    assert_eq!(lost.frames, range(4, 4));
    assert_eq!(bench.ask(first, RequestId::generate()).await.unwrap(), None);
    bench.deliver(&lost, 4).await.unwrap();
    assert_eq!(bench.lease(second).await.frames, range(5, 20));
}

pub(in crate::store) async fn a_job_goes_to_agents_that_can_render_it(bench: Bench) {
    // More jobs than are looked at at once stand before it that the agent cannot render.
    let scripted = RenderOptions { scripts: Scripts::Allowed, ..RenderOptions::default() };
    for _ in 0..=LOOKED_AT {
        submit(&bench, scripted.clone()).await.unwrap();
    }
    let rigged = RenderOptions { addons: ["rig".to_owned()].into(), ..RenderOptions::default() };
    let rigged = submit(&bench, rigged).await.unwrap();
    let plain = submit(&bench, RenderOptions::default()).await.unwrap();
    let rig = AddonFacts { name: "rig".to_owned(), version: Some("1.2".to_owned()) };
    let able = async |abilities| {
        let agent = AgentId::generate();
        bench.register_with(agent, 1, abilities).await.unwrap();
        bench.lease(agent).await
    };
    assert_eq!(able(Abilities::default()).await.job, plain);
    assert_eq!(able(Abilities { addons: vec![rig], ..Abilities::default() }).await.job, rigged);
    let first = able(Abilities { scripts: ScriptRule::Allowed, ..Abilities::default() }).await;
    assert_eq!(first.options, scripted);
}

pub(in crate::store) async fn scripts_run_where_the_job_s_token_is_trusted(mut bench: Bench) {
    let kept = async |bench: &Bench, name: &str| {
        let token = NewToken { name: name.to_owned(), ..new_token(Role::Submit) };
        bench.store.keep_token(token.clone()).await.unwrap();
        token.id
    };
    let submit = async |bench: &Bench, owner| {
        let options = RenderOptions { scripts: Scripts::Allowed, ..RenderOptions::default() };
        let (id, scene) = (JobId::generate(), bench.scene().await);
        let job = NewJob { options, owner, batch_size: 1, ..new_job(id, scene, range(1, 5)) };
        bench.store.submit(job).await.unwrap()
    };
    let (anna, bob) = (kept(&bench, "anna").await, kept(&bench, "bob").await);
    let of_bob = submit(&bench, Some(bob)).await;
    let of_nobody = submit(&bench, None).await;
    let of_anna = submit(&bench, Some(anna)).await;
    let agent = AgentId::generate();
    let scripts = ScriptRule::AllowedFor(["anna".to_owned()].into());
    bench.register_with(agent, 1, Abilities { scripts, ..Abilities::default() }).await.unwrap();

    let lease = bench.lease(agent).await;
    assert_eq!((lease.job, lease.submitted_by.as_deref()), (of_anna, Some("anna")));
    let waits_for = async |bench: &Bench, job| bench.job(job).await.waits_for;
    let because = "no agent lets scripts of the token bob run (--allow-scripts): not test";
    assert_eq!(waits_for(&bench, of_bob).await, [because]);
    let because = "no agent lets scripts of jobs without a token run (--allow-scripts): not test";
    assert_eq!(waits_for(&bench, of_nobody).await, [because]);
    assert!(waits_for(&bench, of_anna).await.is_empty());

    // A name that comes to somebody else stands for none of the jobs of the one before, not even those that come back.
    bench.store.revoke_token(anna).await.unwrap();
    let other_anna = kept(&bench, "anna").await;
    bench.restart().await;
    bench.store.release(lease.id, vec![lease.frames.first()]).await.unwrap();
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
    let because =
        "no agent lets scripts of everybody run (--allow-scripts), and the job's token, anna, is revoked: not test";
    bench.heartbeat(agent, &[]).await;
    assert_eq!(waits_for(&bench, of_anna).await, [because]);
    let of_other = submit(&bench, Some(other_anna)).await;
    let lease = bench.lease(agent).await;
    assert_eq!((lease.job, lease.submitted_by.as_deref()), (of_other, Some("anna")));
    // A frame that is taken up again is whose it was.
    bench.pass(21).await;
    match bench.standing(agent, &lease, Some(1)).await {
        LeaseStanding::Readopted { grant } => assert_eq!(grant.submitted_by.as_deref(), Some("anna")),
        other => panic!("{other:?}"),
    }
}

/// A scene with a camera and one fault.
pub(super) fn inspection(fault: FaultKind) -> Inspection {
    let fault = Fault { kind: fault, cause: Cause::BadScene, message: "'Cloth' is not baked".to_owned() };
    let scene = SceneFacts {
        name: "Shot".to_owned(),
        frame_start: frame(1),
        frame_end: frame(20),
        frame_step: 1,
        fps: 24.0,
        camera: Some("Camera".to_owned()),
        cameras: vec!["Camera".to_owned()],
        camera_markers: Vec::new(),
        view_layers: Vec::new(),
        engine: "CYCLES".to_owned(),
        samples: None,
        width: 64,
        height: 36,
        format: "PNG".to_owned(),
        is_movie: false,
        device: None,
        cycles: None,
        compositor_denoiser: None,
        view_transform: "Standard".to_owned(),
        look: "None".to_owned(),
        faults: vec![fault],
    };
    Inspection {
        saved_by: "3.4.1".to_owned(),
        opened_by: "3.4.1".to_owned(),
        active_scene: "Shot".to_owned(),
        scenes: vec![scene],
        files: Vec::new(),
        scripts: Vec::new(),
        sounds: Vec::new(),
        color_config: "Blender 3.4.1".to_owned(),
        memory_bytes: 1,
    }
}

pub(in crate::store) async fn what_was_found_in_a_scene_is_kept_and_speaks_at_the_next_submission(mut bench: Bench) {
    submit(&bench, RenderOptions::default()).await.unwrap();
    let (agent, scene) = (bench.agent().await, bench.scene().await);
    let lease = bench.lease(agent).await;
    assert_eq!(lease.inspection, InspectionWish::Wanted);
    let found = inspection(FaultKind::UnbakedSimulations);
    bench.store.keep_inspection(scene, found.clone()).await.unwrap();
    bench.store.keep_inspection(scene, inspection(FaultKind::NoCamera)).await.unwrap();
    bench.restart().await;
    assert_eq!(
        bench.store.scene_report(scene, Sight::All).await.unwrap().inspection,
        Some(found),
        "the first is believed"
    );
    assert_eq!(bench.lease(agent).await.inspection, InspectionWish::Known);

    match submit(&bench, RenderOptions::default()).await {
        Err(error @ StoreError::WouldRenderWrong { .. }) => {
            assert!(error.to_string().contains("'Cloth' is not baked"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let other_camera = RenderOptions { camera: Some("Top".to_owned()), ..sequential() };
    match submit(&bench, other_camera).await {
        Err(error @ StoreError::WouldRenderWrong { .. }) => {
            assert!(error.to_string().contains("there is no camera 'Top': choose one of 'Camera'"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    submit(&bench, sequential()).await.unwrap();
}
