//! The real store, run in line and watched: each operation takes no virtual time and nothing runs beside it. When the
//! orchestrator is killed, its store answers nobody any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use haywain_orchestrator::blobs::JobFiles;
use haywain_orchestrator::store::sqlite::SqliteStore;
use haywain_orchestrator::store::{
    Admission, Admissions, AgentCommand, Beat, BlobStanding, Census, Delivered, Enrolment, Erased, Failure, Heard,
    JobCommand, JobFilter, JobLabel, KeptFrame, KeptScene, Lease, LeaseAsk, NewJob, NewToken, Registration, RemovedJob,
    RenderedFrame, SceneEntry, SceneFilter, Sight, Store, StoreError, Thing, TokenReport,
};
use haywain_shared::blender_version::Release;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, TokenId};
use haywain_shared::inspection::Inspection;
use haywain_shared::job::{AgentReport, AttemptReport, JobReport, JobSummary};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{HeartbeatAnswer, LeaseTiming, UploadOutcome};
use haywain_shared::scene::{BlobRef, Manifest, SceneId, SceneReport, SceneSummary};
use tokio::sync::watch;

use crate::backstage::Backstage;
use crate::time::OrchestratorClock;
use crate::witness::Witness;

/// The store of one life of the orchestrator.
pub(crate) struct SimStore {
    real: Mutex<Option<Arc<SqliteStore>>>,
    backstage: Backstage,
    clock: Arc<OrchestratorClock>,
    witness: Arc<Witness>,
    /// What those listen to who ask a dead store for news.
    silence: watch::Sender<()>,
}

impl SimStore {
    pub(crate) fn new(
        real: SqliteStore,
        backstage: Backstage,
        clock: Arc<OrchestratorClock>,
        witness: Arc<Witness>,
    ) -> Self {
        let real = Mutex::new(Some(Arc::new(real)));
        Self { real, backstage, clock, witness, silence: watch::Sender::new(()) }
    }

    /// The orchestrator dies. What is committed is on disk; everything else was never heard of.
    pub(crate) fn kill(&self) {
        let real = self.real.lock().unwrap().take();
        // Dropped where its connections live; the next job there lets its writer end.
        self.backstage.run(Box::pin(async move { drop(real) }));
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(Arc<SqliteStore>) -> BoxFuture<'static, T> + Send) -> T {
        let real = self.real.lock().unwrap().clone();
        let Some(real) = real else { return std::future::pending().await };
        self.clock.tick();
        self.backstage.run(work(real))
    }
}

/// Hands a call over to the real store, with arguments that it can keep.
macro_rules! pass_on {
    ($self:ident . $call:ident ( $($argument:expr),* )) => {
        $self.run(move |real| Box::pin(async move { real.$call($($argument),*).await })).await
    };
}

#[async_trait]
impl Admissions for SimStore {
    async fn keep_token(&self, token: NewToken) -> Result<(), StoreError> {
        pass_on!(self.keep_token(token))
    }

    async fn tokens(&self) -> Result<Vec<TokenReport>, StoreError> {
        pass_on!(self.tokens())
    }

    async fn revoke_token(&self, token: TokenId) -> Result<(), StoreError> {
        pass_on!(self.revoke_token(token))
    }

    async fn admit(&self, digest: Sha256Digest) -> Result<Admission, StoreError> {
        pass_on!(self.admit(digest))
    }

    async fn admit_again(&self, token: TokenId) -> Result<Admission, StoreError> {
        pass_on!(self.admit_again(token))
    }

    async fn token_changes(&self) -> Result<u64, StoreError> {
        pass_on!(self.token_changes())
    }

    async fn enrol(&self, enrolment: Enrolment, registration: Registration) -> Result<(), StoreError> {
        pass_on!(self.enrol(enrolment, registration))
    }

    async fn sees(&self, sight: Sight, thing: Thing) -> Result<bool, StoreError> {
        pass_on!(self.sees(sight, thing))
    }

    async fn give_scene(&self, agent: AgentId, scene: SceneId) -> Result<(), StoreError> {
        pass_on!(self.give_scene(agent, scene))
    }

    async fn blob_came_by(&self, blob: Sha256Digest, token: TokenId) -> Result<(), StoreError> {
        pass_on!(self.blob_came_by(blob, token))
    }
}

#[async_trait]
impl Store for SimStore {
    async fn keep_scene(&self, manifest: Manifest, sight: Sight) -> Result<KeptScene, StoreError> {
        pass_on!(self.keep_scene(manifest, sight))
    }

    async fn scene(&self, scene: SceneId) -> Result<Manifest, StoreError> {
        pass_on!(self.scene(scene))
    }

    async fn scene_report(&self, scene: SceneId, sight: Sight) -> Result<SceneReport, StoreError> {
        pass_on!(self.scene_report(scene, sight))
    }

    async fn scenes(&self, filter: SceneFilter) -> Result<Vec<SceneSummary>, StoreError> {
        pass_on!(self.scenes(filter))
    }

    async fn scene_entry(&self, scene: SceneId) -> Result<SceneEntry, StoreError> {
        pass_on!(self.scene_entry(scene))
    }

    async fn keep_saved_by(&self, scene: SceneId, saved_by: Release) -> Result<(), StoreError> {
        pass_on!(self.keep_saved_by(scene, saved_by))
    }

    async fn keep_inspection(&self, scene: SceneId, inspection: Inspection) -> Result<(), StoreError> {
        pass_on!(self.keep_inspection(scene, inspection))
    }

    async fn touch_scene(&self, scene: SceneId) -> Result<(), StoreError> {
        pass_on!(self.touch_scene(scene))
    }

    async fn blob(&self, blob: Sha256Digest) -> Result<BlobStanding, StoreError> {
        pass_on!(self.blob(blob))
    }

    async fn touch_blob(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        pass_on!(self.touch_blob(blob))
    }

    async fn blob_arrived(&self, blob: BlobRef) -> Result<(), StoreError> {
        pass_on!(self.blob_arrived(blob))
    }

    async fn blob_lost(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        pass_on!(self.blob_lost(blob))
    }

    async fn stored_blobs(&self) -> Result<Vec<BlobRef>, StoreError> {
        pass_on!(self.stored_blobs())
    }

    async fn remove_job(&self, job: JobId) -> Result<(), StoreError> {
        pass_on!(self.remove_job(job))
    }

    async fn remove_jobs_ended_for(&self, ended_for: Duration) -> Result<usize, StoreError> {
        pass_on!(self.remove_jobs_ended_for(ended_for))
    }

    async fn removed_jobs(&self) -> Result<Vec<RemovedJob>, StoreError> {
        pass_on!(self.removed_jobs())
    }

    async fn erase_job(&self, job: JobId) -> Result<Erased, StoreError> {
        pass_on!(self.erase_job(job))
    }

    async fn job_erased(&self, job: JobId) -> Result<(), StoreError> {
        pass_on!(self.job_erased(job))
    }

    async fn forget_scenes_untouched_for(&self, untouched_for: Duration) -> Result<usize, StoreError> {
        pass_on!(self.forget_scenes_untouched_for(untouched_for))
    }

    async fn doom_blobs_untouched_for(&self, untouched_for: Duration) -> Result<Vec<Sha256Digest>, StoreError> {
        pass_on!(self.doom_blobs_untouched_for(untouched_for))
    }

    async fn going_blobs(&self) -> Result<Vec<Sha256Digest>, StoreError> {
        pass_on!(self.going_blobs())
    }

    async fn blob_deleted(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        pass_on!(self.blob_deleted(blob))
    }

    async fn submit(&self, job: NewJob) -> Result<JobId, StoreError> {
        let frames = job.frames.runs()[0];
        let submitted = pass_on!(self.submit(job));
        if let Ok(id) = submitted {
            self.witness.submitted(id, frames);
        }
        submitted
    }

    async fn control_job(&self, job: JobId, command: JobCommand) -> Result<(), StoreError> {
        let asked = command.clone();
        let done = pass_on!(self.control_job(job, command));
        self.witness.controlled(job, &asked, &done);
        done
    }

    async fn control_agent(&self, agent: AgentId, command: AgentCommand) -> Result<(), StoreError> {
        pass_on!(self.control_agent(agent, command))
    }

    async fn job(&self, job: JobId) -> Result<Option<JobReport>, StoreError> {
        pass_on!(self.job(job))
    }

    async fn register(&self, registration: Registration) -> Result<(), StoreError> {
        pass_on!(self.register(registration))
    }

    async fn leave(&self, agent: AgentId, incarnation: Incarnation) -> Result<(), StoreError> {
        pass_on!(self.leave(agent, incarnation))
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Lease>, StoreError> {
        let (agent, timing) = (ask.agent, ask.timing);
        let leased = pass_on!(self.lease(ask));
        if let Ok(Some(lease)) = &leased {
            if timing == LeaseTiming::Ahead {
                self.witness.log.count("leases ahead");
            }
            self.witness.granted(agent, &lease.clone().into());
        }
        leased
    }

    async fn renew(&self, beat: Beat) -> Result<HeartbeatAnswer, StoreError> {
        let (agent, held) = (beat.agent, beat.held.clone());
        let answer = pass_on!(self.renew(beat));
        if let Ok(answer) = &answer {
            self.witness.renewed(agent, &held, answer);
        }
        answer
    }

    async fn foresee(
        &self,
        lease: LeaseId,
        job: JobId,
        frame: FrameNumber,
        generation: u32,
    ) -> Result<Option<UploadOutcome>, StoreError> {
        let foreseen = pass_on!(self.foresee(lease, job, frame, generation));
        if let Ok(Some(outcome)) = foreseen {
            self.witness.refused(lease, job, frame, generation, outcome);
        }
        foreseen
    }

    async fn record(&self, frame: RenderedFrame) -> Result<Delivered, StoreError> {
        let delivered = frame.clone();
        let answer = pass_on!(self.record(frame));
        match answer.as_ref().map(|answer| answer.outcome) {
            Ok(UploadOutcome::Recorded) => {
                self.witness.recorded(&delivered);
                let report = self.job(delivered.job).await;
                self.witness.adds_up(report);
            }
            Ok(other) => {
                let RenderedFrame { lease, job, frame, generation, .. } = delivered;
                self.witness.refused(lease, job, frame, generation, other);
            }
            Err(_) => {}
        }
        answer
    }

    async fn fail(&self, failure: Failure) -> Result<(), StoreError> {
        pass_on!(self.fail(failure))
    }

    async fn release(&self, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError> {
        pass_on!(self.release(lease, frames))
    }

    async fn complete(&self, lease: LeaseId) -> Result<(), StoreError> {
        pass_on!(self.complete(lease))
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        pass_on!(self.sweep())
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobSummary>, StoreError> {
        pass_on!(self.jobs(filter))
    }

    async fn frames(&self, job: JobId, since: u64, limit: u32) -> Result<Vec<KeptFrame>, StoreError> {
        pass_on!(self.frames(job, since, limit))
    }

    async fn frame(&self, job: JobId, frame: FrameNumber) -> Result<Option<KeptFrame>, StoreError> {
        pass_on!(self.frame(job, frame))
    }

    async fn files_named(
        &self,
        job: JobId,
        names: Vec<RelativePath>,
    ) -> Result<Vec<(RelativePath, String)>, StoreError> {
        pass_on!(self.files_named(job, names))
    }

    async fn attempts(&self, job: JobId, frame: Option<FrameNumber>) -> Result<Vec<AttemptReport>, StoreError> {
        pass_on!(self.attempts(job, frame))
    }

    async fn census(&self) -> Result<Census, StoreError> {
        pass_on!(self.census())
    }

    async fn agents(&self) -> Result<Vec<AgentReport>, StoreError> {
        pass_on!(self.agents())
    }

    async fn events(&self, after: u64, limit: u32, sight: Sight) -> Result<Heard, StoreError> {
        pass_on!(self.events(after, limit, sight))
    }

    async fn latest_event(&self) -> Result<u64, StoreError> {
        pass_on!(self.latest_event())
    }

    fn events_made(&self) -> watch::Receiver<()> {
        let real = self.real.lock().unwrap();
        real.as_ref().map_or_else(|| self.silence.subscribe(), |real| real.events_made())
    }

    async fn job_label(&self, job: JobId) -> Result<JobLabel, StoreError> {
        pass_on!(self.job_label(job))
    }

    async fn jobs_under_way(&self) -> Result<Vec<JobFiles>, StoreError> {
        pass_on!(self.jobs_under_way())
    }

    fn work_made(&self) -> watch::Receiver<()> {
        let real = self.real.lock().unwrap();
        real.as_ref().map_or_else(|| self.silence.subscribe(), |real| real.work_made())
    }
}
