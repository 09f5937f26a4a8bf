//! The store of one machine: SQLite in write-ahead mode, every commit synced. One writer task changes it, a pool reads it.
//! SQL is constants, one file for each concern; every constant begins with the name of what it does.

mod agents;
mod attempts;
mod backups;
mod blobs;
mod census;
mod columns;
mod company;
mod control;
mod events;
mod frames;
mod grants;
mod jobs;
mod leases;
mod memory;
mod needs;
mod refusals;
mod removal;
mod renewals;
mod report;
mod scenes;
mod schema;
mod shelves;
mod sight;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::blender_version::Release;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId};
use haywain_shared::inspection::Inspection;
use haywain_shared::job::{AgentReport, AgentState, AttemptReport, JobReport, JobSummary};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{HeartbeatAnswer, UploadOutcome};
use haywain_shared::scene::{BlobRef, Manifest, SceneId, SceneReport, SceneSummary};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlitePool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::agents::Attendance;
use self::columns::database_error;
use self::memory::Memory;
use self::writer::Writer;
use super::presence::Life;
use super::terms::Terms;
use super::{
    AgentCommand, Beat, BlobStanding, Census, Delivered, Erased, Failure, Heard, JobCommand, JobFilter, JobLabel,
    KeptFrame, KeptScene, Lease, LeaseAsk, NewJob, Registration, RemovedJob, RenderedFrame, SceneEntry, SceneFilter,
    Sight, Store, StoreError,
};
use crate::blobs::JobFiles;
use crate::clock::Clock;
use crate::queue::matching::{Applicant, why_it_idles};

/// The queue's file, in the data folder.
pub const QUEUE_FILE: &str = "queue.sqlite";

/// Connections that read.
const READERS: u32 = 4;

/// The intervals that the store keeps leases by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long a lease lasts without a renewal.
    pub ttl: Duration,
    /// The time from one heartbeat of an agent to the next.
    pub heartbeat: Duration,
    /// If the store was not looked at for this long, it was not there to hear of renewals. Longer than one look is from the
    /// next.
    pub absence: Duration,
}

/// A farm's queue in one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    times: LeaseTimes,
}

impl SqliteStore {
    /// Opens the queue in `file`, making or upgrading it as needed. Live leases from before get a full TTL. The writer
    /// becomes one of `tasks`; `gone` is cancelled when it has ended.
    pub async fn open(
        file: &Path,
        times: LeaseTimes,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
        gone: CancellationToken,
    ) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut conn = options.clone().connect().await.map_err(database_error)?;
        schema::migrate(&mut conn).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(database_error)?;
        let mut terms = Terms::new(times.ttl, clock.steady());
        leases::take_over(&mut conn, &mut terms, clock.steady()).await?;
        let memory = Arc::new(Memory::new(terms, clock.unix_ms()));
        let writer = Writer::start(conn, Arc::clone(&memory), Arc::clone(&clock), tasks, gone);
        Ok(Self { writer, readers, memory, clock, times })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn keep_scene(&self, manifest: Manifest, sight: Sight) -> Result<KeptScene, StoreError> {
        self.writer.write(move |tx| Box::pin(scenes::keep(tx, manifest, sight))).await
    }

    async fn scene(&self, scene: SceneId) -> Result<Manifest, StoreError> {
        scenes::manifest(&self.readers, scene).await
    }

    async fn scene_report(&self, scene: SceneId, sight: Sight) -> Result<SceneReport, StoreError> {
        scenes::report(&self.readers, scene, sight).await
    }

    async fn scenes(&self, filter: SceneFilter) -> Result<Vec<SceneSummary>, StoreError> {
        scenes::list(&self.readers, filter).await
    }

    async fn scene_entry(&self, scene: SceneId) -> Result<SceneEntry, StoreError> {
        scenes::entry(&self.readers, scene).await
    }

    async fn keep_saved_by(&self, scene: SceneId, saved_by: Release) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(scenes::keep_saved_by(tx, scene, saved_by))).await
    }

    async fn keep_inspection(&self, scene: SceneId, inspection: Inspection) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(scenes::keep_inspection(tx, scene, inspection))).await
    }

    async fn touch_scene(&self, scene: SceneId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(scenes::touch(tx, scene))).await
    }

    async fn blob(&self, blob: Sha256Digest) -> Result<BlobStanding, StoreError> {
        blobs::standing(&self.readers, blob).await
    }

    async fn touch_blob(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(blobs::touch(tx, blob))).await
    }

    async fn blob_arrived(&self, blob: BlobRef) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(blobs::arrived(tx, blob))).await
    }

    async fn blob_lost(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(blobs::lost(tx, blob))).await
    }

    async fn stored_blobs(&self) -> Result<Vec<BlobRef>, StoreError> {
        blobs::stored(&self.readers).await
    }

    async fn remove_job(&self, job: JobId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(removal::remove(tx, job))).await
    }

    async fn remove_jobs_ended_for(&self, ended_for: Duration) -> Result<usize, StoreError> {
        self.writer.write(move |tx| Box::pin(removal::remove_ended(tx, ended_for))).await
    }

    async fn removed_jobs(&self) -> Result<Vec<RemovedJob>, StoreError> {
        removal::removed(&self.readers).await
    }

    async fn erase_job(&self, job: JobId) -> Result<Erased, StoreError> {
        self.writer.write(move |tx| Box::pin(removal::erase(tx, job))).await
    }

    async fn job_erased(&self, job: JobId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(removal::erased(tx, job))).await
    }

    async fn forget_scenes_untouched_for(&self, untouched_for: Duration) -> Result<usize, StoreError> {
        self.writer.write(move |tx| Box::pin(scenes::forget_untouched(tx, untouched_for))).await
    }

    async fn doom_blobs_untouched_for(&self, untouched_for: Duration) -> Result<Vec<Sha256Digest>, StoreError> {
        self.writer.write(move |tx| Box::pin(blobs::doom_untouched(tx, untouched_for))).await
    }

    async fn going_blobs(&self) -> Result<Vec<Sha256Digest>, StoreError> {
        blobs::going(&self.readers).await
    }

    async fn blob_deleted(&self, blob: Sha256Digest) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(blobs::deleted(tx, blob))).await
    }

    async fn submit(&self, job: NewJob) -> Result<JobId, StoreError> {
        self.writer.write(move |tx| Box::pin(jobs::submit(tx, job))).await
    }

    async fn control_job(&self, job: JobId, command: JobCommand) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(control::control(tx, job, command))).await
    }

    async fn control_agent(&self, agent: AgentId, command: AgentCommand) -> Result<(), StoreError> {
        let there = self.memory.presence().last_seen(agent).is_some_and(|(at, _)| at >= self.lately());
        let attendance = if there { Attendance::Present } else { Attendance::Absent };
        self.writer.write(move |tx| Box::pin(agents::control(tx, agent, command, attendance))).await?;
        if command == AgentCommand::Forget {
            self.memory.presence().forget(agent);
        }
        Ok(())
    }

    async fn job(&self, job: JobId) -> Result<Option<JobReport>, StoreError> {
        let report = report::report(&self.readers, job, &self.memory, self.clock.unix_ms()).await?;
        let Some(report) = report else { return Ok(None) };
        Ok(Some(JobReport { waits_for: self.waits_for(&report).await?, ..report }))
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobSummary>, StoreError> {
        report::list(&self.readers, filter).await
    }

    async fn frames(&self, job: JobId, since: u64, limit: u32) -> Result<Vec<KeptFrame>, StoreError> {
        frames::page(&self.readers, job, since, limit).await
    }

    async fn frame(&self, job: JobId, frame: FrameNumber) -> Result<Option<KeptFrame>, StoreError> {
        frames::one(&self.readers, job, frame).await
    }

    async fn files_named(
        &self,
        job: JobId,
        names: Vec<RelativePath>,
    ) -> Result<Vec<(RelativePath, String)>, StoreError> {
        frames::files_named(&self.readers, job, names).await
    }

    async fn attempts(&self, job: JobId, frame: Option<FrameNumber>) -> Result<Vec<AttemptReport>, StoreError> {
        attempts::of_job(&self.readers, job, frame).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        census::take(&self.readers, &self.memory, self.lately(), self.clock.unix_ms()).await
    }

    async fn agents(&self) -> Result<Vec<AgentReport>, StoreError> {
        let mut agents = agents::all(&self.readers, &self.memory, self.lately(), self.clock.unix_ms()).await?;
        let next = needs::next(&self.readers, self.clock.unix_ms()).await?;
        for agent in agents.iter_mut().filter(|agent| agent.state == AgentState::Online && agent.leases == 0) {
            agent.idle_because = why_it_idles(&next, &Applicant::of(agent));
        }
        Ok(agents)
    }

    async fn events(&self, after: u64, limit: u32, sight: Sight) -> Result<Heard, StoreError> {
        events::after(&self.readers, after, limit, sight).await
    }

    async fn latest_event(&self) -> Result<u64, StoreError> {
        events::latest(&self.readers).await
    }

    fn events_made(&self) -> watch::Receiver<()> {
        self.memory.events.subscribe()
    }

    async fn register(&self, registration: Registration) -> Result<(), StoreError> {
        let (agent, incarnation, slots) = (registration.agent, registration.incarnation, registration.facts.slots);
        self.writer.write(move |tx| Box::pin(agents::register(tx, registration))).await?;
        self.memory.presence().heard(agent, incarnation, slots, None, self.clock.steady());
        Ok(())
    }

    async fn leave(&self, agent: AgentId, incarnation: Incarnation) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(agents::leave(tx, agent, incarnation))).await?;
        self.memory.presence().forget(agent);
        Ok(())
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Lease>, StoreError> {
        // Most looks at the queue find nothing, and reading that is cheaper than having the writer do it.
        if grants::worth_asking(&self.readers, &ask).await? {
            let company = self.company(ask.agent).await?;
            let again = ask.clone();
            let lease = self.writer.write(move |tx| Box::pin(grants::grant(tx, ask, company))).await?;
            return match lease {
                Some(lease) => Ok(Some(lease)),
                None => self.backup(again).await,
            };
        }
        self.backup(ask).await
    }

    async fn renew(&self, beat: Beat) -> Result<HeartbeatAnswer, StoreError> {
        let life = self.memory.presence().life(beat.agent, beat.incarnation);
        match life {
            Life::Present => {}
            Life::Past => return Err(StoreError::StaleIncarnation(beat.agent)),
            Life::Unknown => agents::check(&self.readers, beat.agent, beat.incarnation).await?,
        }
        let now = self.clock.steady();
        self.memory.presence().heard(beat.agent, beat.incarnation, beat.slots, Some(beat.sample), now);
        let order = agents::order(&self.readers, beat.agent).await?;
        if self.memory.presence().overtaken(beat.agent, beat.sequence) {
            return Ok(HeartbeatAnswer { agent: order, leases: Vec::new() });
        }
        {
            let mut terms = self.memory.terms();
            for held in &beat.held {
                terms.renew(held, beat.agent, now);
            }
        }
        let leases = renewals::verdicts(&self.readers, &self.writer, &beat).await?;
        // After the verdicts: a lease that was re-adopted just now, or again, counts as named.
        let since = now.saturating_sub(self.times.heartbeat);
        let forgotten = self.memory.terms().unnamed(beat.agent, &beat.held, since);
        if !forgotten.is_empty() {
            self.writer.write(move |tx| Box::pin(leases::take_back(tx, forgotten))).await?;
        }
        Ok(HeartbeatAnswer { agent: order, leases })
    }

    async fn foresee(
        &self,
        lease: LeaseId,
        job: JobId,
        frame: FrameNumber,
        generation: u32,
    ) -> Result<Option<UploadOutcome>, StoreError> {
        let mut conn = self.readers.acquire().await.map_err(database_error)?;
        let lease = frames::lease_of(&mut conn, lease, job, frame, generation).await?;
        frames::unwanted(&mut conn, &lease, frame).await
    }

    async fn record(&self, frame: RenderedFrame) -> Result<Delivered, StoreError> {
        self.writer.write(move |tx| Box::pin(frames::record(tx, frame))).await
    }

    async fn fail(&self, failure: Failure) -> Result<(), StoreError> {
        let holder = leases::find(&mut *self.readers.acquire().await.map_err(database_error)?, failure.lease).await?;
        let company = self.company(holder.agent).await?;
        self.writer.write(move |tx| Box::pin(attempts::fail(tx, failure, company))).await
    }

    async fn release(&self, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(leases::release(tx, lease, frames))).await
    }

    async fn complete(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(leases::complete(tx, lease))).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.ring_for_what_is_due().await?;
        let run_out = self.memory.terms().run_out(self.times.absence, self.clock.steady());
        if run_out.is_empty() {
            return Ok(0);
        }
        let (memory, clock) = (Arc::clone(&self.memory), Arc::clone(&self.clock));
        self.writer.write(move |tx| Box::pin(leases::expire(tx, run_out, memory, clock))).await
    }

    async fn job_label(&self, job: JobId) -> Result<JobLabel, StoreError> {
        jobs::label(&self.readers, job).await
    }

    async fn jobs_under_way(&self) -> Result<Vec<JobFiles>, StoreError> {
        jobs::under_way(&self.readers).await
    }

    fn work_made(&self) -> watch::Receiver<()> {
        self.memory.work.subscribe()
    }
}
