//! The store of one machine: SQLite in write-ahead mode, every commit synced. One writer task changes it, a pool reads it.
//! SQL is constants, one file for each concern; every constant begins with the name of what it does.

mod agents;
mod columns;
mod frames;
mod jobs;
mod leases;
mod report;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::job::JobReport;
use haywain_shared::protocol::{LeaseVerdict, UploadOutcome};
use haywain_shared::scene::{Manifest, SceneId};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, SqlitePool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::columns::database_error;
use self::writer::Writer;
use super::presence::{Life, Presence};
use super::terms::Terms;
use super::{Beat, Failure, Lease, LeaseAsk, NewJob, Registration, RenderedFrame, Store, StoreError};
use crate::clock::Clock;

/// Connections that read.
const READERS: u32 = 4;

/// The intervals that the store keeps leases by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long a lease lasts without a renewal.
    pub ttl: Duration,
    /// If the store was not looked at for this long, it was not there to hear of renewals.
    pub hearing: Duration,
}

/// A farm's queue in one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    times: LeaseTimes,
}

/// What is not on disk: leases' terms, agents' presence, and the bell for those who wait for work.
struct Memory {
    terms: Mutex<Terms>,
    presence: Mutex<Presence>,
    work: watch::Sender<()>,
}

impl Memory {
    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        migrate(&mut conn).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(database_error)?;
        let mut terms = Terms::new(times.ttl, clock.steady());
        leases::take_over(&mut conn, &mut terms, clock.steady()).await?;
        let memory = Arc::new(Memory {
            terms: Mutex::new(terms),
            presence: Mutex::new(Presence::default()),
            work: watch::Sender::new(()),
        });
        let writer = Writer::start(conn, Arc::clone(&memory), Arc::clone(&clock), tasks, gone);
        Ok(Self { writer, readers, memory, clock, times })
    }
}

async fn migrate(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let start = Migration::new(
        1,
        "start".into(),
        MigrationType::Simple,
        include_str!("../../../migrations/0001_start.sql").into_sql_str(),
        false,
    );
    Migrator::with_migrations(vec![start])
        .run_direct(None, conn, false)
        .await
        .map_err(|error| StoreError::Unavailable(format!("upgrading the queue's database: {error}")))
}

#[async_trait]
impl Store for SqliteStore {
    async fn keep_scene(&self, manifest: Manifest) -> Result<SceneId, StoreError> {
        self.writer.write(move |tx| Box::pin(jobs::keep_scene(tx, manifest))).await
    }

    async fn scene(&self, scene: SceneId) -> Result<Manifest, StoreError> {
        jobs::scene(&self.readers, scene).await
    }

    async fn submit(&self, job: NewJob) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(jobs::submit(tx, job))).await
    }

    async fn job(&self, job: JobId) -> Result<Option<JobReport>, StoreError> {
        report::report(&self.readers, job, &self.memory, self.clock.unix_ms()).await
    }

    async fn register(&self, registration: Registration) -> Result<(), StoreError> {
        let (agent, incarnation, slots) = (registration.agent, registration.incarnation, registration.slots);
        self.writer.write(move |tx| Box::pin(agents::register(tx, registration))).await?;
        self.memory.presence().heard(agent, incarnation, slots, self.clock.steady());
        Ok(())
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Lease>, StoreError> {
        // Most looks at the queue find nothing, and reading that is cheaper than having the writer do it.
        if !leases::worth_asking(&self.readers, &ask).await? {
            return Ok(None);
        }
        let since = self.clock.steady().saturating_sub(self.times.ttl);
        let slots = self.memory.presence().slots(ask.agent, since);
        self.writer.write(move |tx| Box::pin(leases::grant(tx, ask, slots))).await
    }

    async fn renew(&self, beat: Beat) -> Result<Vec<LeaseVerdict>, StoreError> {
        let life = self.memory.presence().life(beat.agent, beat.incarnation);
        match life {
            Life::Present => {}
            Life::Past => return Err(StoreError::StaleIncarnation(beat.agent)),
            Life::Unknown => agents::check(&self.readers, beat.agent, beat.incarnation).await?,
        }
        let now = self.clock.steady();
        self.memory.presence().heard(beat.agent, beat.incarnation, beat.slots, now);
        {
            let mut terms = self.memory.terms();
            for held in &beat.held {
                terms.renew(held.lease_id, beat.agent, held.frame, held.fraction, now);
            }
        }
        leases::verdicts(&self.readers, &beat).await
    }

    async fn foresee(
        &self,
        lease: LeaseId,
        job: JobId,
        frame: FrameNumber,
    ) -> Result<Option<UploadOutcome>, StoreError> {
        let mut conn = self.readers.acquire().await.map_err(database_error)?;
        let lease = frames::lease_of(&mut conn, lease, job, frame).await?;
        frames::recorded(&mut conn, &lease, frame).await
    }

    async fn record(&self, frame: RenderedFrame) -> Result<UploadOutcome, StoreError> {
        self.writer.write(move |tx| Box::pin(frames::record(tx, frame))).await
    }

    async fn fail(&self, failure: Failure) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(frames::fail(tx, failure))).await
    }

    async fn release(&self, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(leases::release(tx, lease, frames))).await
    }

    async fn complete(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.writer.write(move |tx| Box::pin(leases::complete(tx, lease))).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        let run_out = self.memory.terms().run_out(self.times.hearing, self.clock.steady());
        if run_out.is_empty() {
            return Ok(0);
        }
        let (memory, clock) = (Arc::clone(&self.memory), Arc::clone(&self.clock));
        self.writer.write(move |tx| Box::pin(leases::expire(tx, run_out, memory, clock))).await
    }

    async fn unfinished_jobs(&self) -> Result<Vec<(JobId, Vec<String>)>, StoreError> {
        jobs::unfinished(&self.readers).await
    }

    fn work_made(&self) -> watch::Receiver<()> {
        self.memory.work.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::HeldClock;
    use crate::store::conformance::{Bench, HEARING, TTL};

    async fn bench() -> Bench {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(HeldClock::default());
        let same_clock = Arc::clone(&clock);
        let open = move || {
            let (folder, clock) = (Arc::clone(&folder), Arc::clone(&same_clock));
            Box::pin(async move {
                let times = LeaseTimes { ttl: TTL, hearing: HEARING };
                let file = folder.path().join("queue.sqlite");
                let gone = CancellationToken::new();
                let store = SqliteStore::open(&file, times, clock, &TaskTracker::new(), gone).await.unwrap();
                Arc::new(store) as Arc<dyn Store>
            }) as _
        };
        Bench::new(clock, Box::new(open)).await
    }

    conformance_tests!(bench);

    /// The queue must not get slower with what is finished or pending: the lease query reads an index.
    #[tokio::test]
    async fn the_lease_query_reads_only_jobs_with_work() {
        let folder = tempfile::tempdir().unwrap();
        let times = LeaseTimes { ttl: Duration::from_secs(20), hearing: Duration::from_secs(5) };
        let file = folder.path().join("queue.sqlite");
        let clock = Arc::new(HeldClock::default());
        let store =
            SqliteStore::open(&file, times, clock, &TaskTracker::new(), CancellationToken::new()).await.unwrap();
        let plan = leases::explain_oldest_with_work(&store.readers).await;
        assert!(plan.contains("jobs_with_work"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
