//! Who sees what: tokens their own jobs, scenes and files, agents what they were given.

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, JobId, RequestId, TokenId};
use haywain_shared::inspection::FaultKind;
use haywain_shared::scene::{BlobRef, Manifest, SceneId};
use haywain_shared::token::Role;

use super::bench::{Bench, new_job, range};
use super::options::inspection;
use crate::store::{Heard, Idempotency, JobFilter, NewJob, Novelty, SceneFilter, Sight, StoreError, Thing};

/// The content of every scene here.
const CONTENT: &[u8] = b"a secret scene";

fn manifest() -> Manifest {
    Manifest::of_one_file("a.blend".parse().unwrap(), CONTENT.len() as u64, Sha256Digest::of(CONTENT))
}

fn blob() -> BlobRef {
    BlobRef { sha256: Sha256Digest::of(CONTENT), size_bytes: CONTENT.len() as u64 }
}

impl Bench {
    /// Two tokens, of which the first has the scene and all its bytes.
    async fn owner_and_other(&self) -> (TokenId, TokenId, SceneId) {
        let (owner, other) = (self.token(Role::Submit).await, self.token(Role::Submit).await);
        let scene = self.store.keep_scene(manifest(), Sight::Token(owner)).await.unwrap().report.scene_id;
        self.store.blob_arrived(blob()).await.unwrap();
        self.store.blob_came_by(blob().sha256, owner).await.unwrap();
        (owner, other, scene)
    }

    async fn submit_by(&self, owner: Option<TokenId>, sight: Sight, scene: SceneId) -> Result<JobId, StoreError> {
        let job = new_job(JobId::generate(), scene, range(1, 2));
        self.store.submit(NewJob { owner, sight, ..job }).await
    }

    async fn sees(&self, sight: Sight, thing: Thing) -> bool {
        self.store.sees(sight, thing).await.unwrap()
    }

    async fn listed_jobs(&self, sight: Sight) -> Vec<JobId> {
        let filter = JobFilter { sight, state: None, before: None, limit: 9 };
        self.store.jobs(filter).await.unwrap().into_iter().map(|job| job.job_id).collect()
    }

    async fn listed_scenes(&self, sight: Sight) -> Vec<(SceneId, bool)> {
        let scenes = self.store.scenes(SceneFilter { sight, before: None, limit: 9 }).await.unwrap();
        scenes.into_iter().map(|scene| (scene.scene_id, scene.complete)).collect()
    }

    async fn heard_of(&self, sight: Sight) -> Vec<JobId> {
        self.store.events(0, 99, sight).await.unwrap().events.into_iter().filter_map(|event| event.job_id).collect()
    }
}

pub(in crate::store) async fn a_token_sees_its_own_jobs_alone(mut bench: Bench) {
    let (owner, other, scene) = bench.owner_and_other().await;
    let own = bench.submit_by(Some(owner), Sight::Token(owner), scene).await.unwrap();
    let nobodys = bench.submit_by(None, Sight::All, scene).await.unwrap();
    bench.restart().await;
    for (sight, seen) in [
        (Sight::All, vec![own, nobodys]),
        (Sight::Token(owner), vec![own]),
        (Sight::Token(other), vec![]),
        (Sight::Nobodys, vec![nobodys]),
        (Sight::Agent(AgentId::generate()), vec![]),
    ] {
        for job in [own, nobodys] {
            assert_eq!(bench.sees(sight, Thing::Job(job)).await, seen.contains(&job), "{sight:?}");
        }
        let mut listed = bench.listed_jobs(sight).await;
        listed.sort_unstable();
        assert_eq!(listed, seen, "{sight:?}");
        assert_eq!(bench.heard_of(sight).await, seen, "{sight:?}");
    }
    assert!(!bench.sees(Sight::Token(owner), Thing::Job(JobId::generate())).await);
}

pub(in crate::store) async fn what_somebody_may_not_hear_is_looked_at_once(bench: Bench) {
    let (owner, other, scene) = bench.owner_and_other().await;
    let jobs = [(owner, 3), (other, 1)].map(|(token, times)| [token].repeat(times)).concat();
    let mut submitted = Vec::new();
    for token in jobs {
        submitted.push(bench.submit_by(Some(token), Sight::All, scene).await.unwrap());
    }
    let latest = bench.store.latest_event().await.unwrap();
    let heard = async |after, limit, token| {
        let Heard { events, through } = bench.store.events(after, limit, Sight::Token(token)).await.unwrap();
        (events.into_iter().filter_map(|event| event.job_id).collect::<Vec<_>>(), through)
    };
    // To the end, whatever comes last, and whether there is anything to hear.
    assert_eq!(heard(0, 9, owner).await, (submitted[..3].to_vec(), latest));
    assert_eq!(heard(0, 9, other).await, (submitted[3..].to_vec(), latest));
    assert_eq!(heard(0, 9, TokenId::generate()).await, (vec![], latest));
    assert_eq!(heard(latest + 7, 9, owner).await, (vec![], latest + 7));
    // A page that is full ends where it ends.
    let (first, through) = heard(0, 1, owner).await;
    assert!(first == submitted[..1] && through < latest, "{first:?} {through}");
    assert_eq!(heard(through, 9, owner).await, (submitted[1..3].to_vec(), latest));
}

pub(in crate::store) async fn a_digest_is_not_as_good_as_the_file(bench: Bench) {
    let (owner, other, scene) = bench.owner_and_other().await;
    let (mine, theirs) = (Sight::Token(owner), Sight::Token(other));
    let sent = Thing::Blob(blob().sha256);
    assert!(bench.sees(mine, sent).await && bench.sees(mine, Thing::Scene(scene)).await);
    assert!(!bench.sees(theirs, sent).await && !bench.sees(theirs, Thing::Scene(scene)).await);
    let unknown = bench.store.scene_report(scene, theirs).await;
    assert!(matches!(unknown, Err(StoreError::UnknownScene(_))), "{unknown:?}");
    let refused = bench.submit_by(Some(other), theirs, scene).await;
    assert!(matches!(refused, Err(StoreError::UnknownScene(_))), "{refused:?}");
    assert_eq!(bench.listed_scenes(theirs).await, []);

    // Who has the manifest may register it, and is told nothing by that: all of it is missing.
    let kept = bench.store.keep_scene(manifest(), theirs).await.unwrap();
    assert_eq!((kept.novelty, kept.report.missing_blobs), (Novelty::New, vec![blob()]));
    assert!(!bench.sees(theirs, sent).await);
    assert_eq!(bench.listed_scenes(theirs).await, [(scene, false)]);
    let refused = bench.submit_by(Some(other), theirs, scene).await;
    assert!(matches!(refused, Err(StoreError::SceneIncomplete { .. })), "{refused:?}");

    // Until it has sent the bytes.
    bench.store.blob_came_by(blob().sha256, other).await.unwrap();
    assert!(bench.sees(theirs, sent).await);
    assert_eq!(bench.listed_scenes(theirs).await, [(scene, true)]);
    let kept = bench.store.keep_scene(manifest(), theirs).await.unwrap();
    assert_eq!((kept.novelty, kept.report.missing_blobs), (Novelty::Known, vec![]));
    bench.submit_by(Some(other), theirs, scene).await.unwrap();
    // The orchestrator's own scene is for all.
    let another = bench.token(Role::Submit).await;
    bench.submit_by(Some(another), Sight::All, scene).await.unwrap();
    // Who sees nothing but jobs has no scenes.
    let refused = bench.submit_by(None, Sight::Nobodys, scene).await;
    assert!(matches!(refused, Err(StoreError::UnknownScene(_))), "{refused:?}");
    // What is not here, nobody has sent.
    bench.store.blob_came_by(Sha256Digest::of(b"nothing"), other).await.unwrap();
    assert!(!bench.sees(theirs, Thing::Blob(Sha256Digest::of(b"nothing"))).await);
}

pub(in crate::store) async fn what_others_found_in_a_scene_is_told_to_those_who_sent_all_of_it(bench: Bench) {
    let (owner, other, scene) = bench.owner_and_other().await;
    bench.store.keep_inspection(scene, inspection(FaultKind::NoCamera)).await.unwrap();
    bench.store.keep_scene(manifest(), Sight::Token(other)).await.unwrap();
    bench.sleep(60);
    bench.store.keep_scene(manifest(), Sight::Token(owner)).await.unwrap();
    let report = async |token| bench.store.scene_report(scene, Sight::Token(token)).await.unwrap();
    let (mine, theirs) = (report(owner).await, report(other).await);
    assert!(mine.inspection.is_some() && theirs.inspection.is_none());
    assert!(mine.touched_at > theirs.touched_at, "nor that somebody else uses it");
    bench.store.blob_came_by(blob().sha256, other).await.unwrap();
    assert!(report(other).await.inspection.is_some());
}

pub(in crate::store) async fn a_size_that_others_know_is_told_to_nobody(bench: Bench) {
    let (owner, other, _) = bench.owner_and_other().await;
    let wrong = Manifest::of_one_file("b.blend".parse().unwrap(), 1, blob().sha256);
    let refused = bench.store.keep_scene(wrong.clone(), Sight::Token(owner)).await;
    assert!(matches!(refused, Err(StoreError::OtherSize { .. })), "{refused:?}");
    let kept = bench.store.keep_scene(wrong, Sight::Token(other)).await.unwrap();
    assert_eq!(kept.report.missing_blobs.len(), 1);
}

pub(in crate::store) async fn keys_of_submissions_are_each_token_s_own(bench: Bench) {
    let (owner, other, scene) = bench.owner_and_other().await;
    let submit = async |owner: Option<TokenId>, body: &[u8]| {
        let key = Idempotency { key: "tonight".to_owned(), body: Sha256Digest::of(body) };
        let job = new_job(JobId::generate(), scene, range(1, 2));
        bench.store.submit(NewJob { owner, sight: Sight::All, idempotency: Some(key), ..job }).await
    };
    let first = submit(Some(owner), b"1").await.unwrap();
    assert_eq!(submit(Some(owner), b"1").await.unwrap(), first);
    assert!(matches!(submit(Some(owner), b"2").await, Err(StoreError::KeyReused)));
    let (second, third) = (submit(Some(other), b"2").await.unwrap(), submit(None, b"3").await.unwrap());
    assert!(first != second && second != third);
    assert_eq!(submit(None, b"3").await.unwrap(), third);
}

pub(in crate::store) async fn an_agent_sees_what_it_was_given(bench: Bench) {
    let (owner, _, scene) = bench.owner_and_other().await;
    bench.submit_by(Some(owner), Sight::Token(owner), scene).await.unwrap();
    let (agent, other) = (bench.agent().await, bench.agent().await);
    let (things, nothing) = ([Thing::Scene(scene), Thing::Blob(blob().sha256)], Sight::Agent(other));
    for thing in things {
        assert!(!bench.sees(Sight::Agent(agent), thing).await, "{thing:?}");
    }
    let lease = bench.ask(agent, RequestId::generate()).await.unwrap().unwrap();
    for thing in things.into_iter().chain([Thing::Lease(lease.id)]) {
        assert!(bench.sees(Sight::Agent(agent), thing).await && !bench.sees(nothing, thing).await, "{thing:?}");
        assert!(thing != Thing::Lease(lease.id) || !bench.sees(Sight::Token(owner), thing).await);
    }
    // What it held it may still deliver.
    bench.store.complete(lease.id).await.unwrap();
    assert!(bench.sees(Sight::Agent(agent), Thing::Lease(lease.id)).await);
    // An errand is work, too.
    bench.store.give_scene(other, scene).await.unwrap();
    bench.store.give_scene(other, scene).await.unwrap();
    assert!(bench.sees(Sight::Agent(other), Thing::Blob(blob().sha256)).await);
    assert!(!bench.sees(Sight::Agent(agent), Thing::Job(lease.job)).await);
}
