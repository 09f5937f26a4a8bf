//! Leases: from the grant to the end, and the frames that they hold between. [`let_go`] is the only way by which a frame
//! goes from a lease back to the queue.

use std::sync::Arc;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameNumber, FrameRange, runs};
use haywain_shared::ids::{AgentId, JobId, LeaseId};
use haywain_shared::protocol::LeaseVerdict;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::Memory;
use super::columns::{
    agent_id, as_integer, count, database_error, frame, integer, job_id, lease_id, optional_integer, range, scene_id,
};
use super::frames::{self, EndedAttempt};
use super::jobs::{CountChange, Shelf, change_counts, shelve};
use super::writer::Tx;
use crate::clock::Clock;
use crate::queue::carve::{Carve, batch_frames, relative_speed};
use crate::store::terms::{Heard, Terms};
use crate::store::{Beat, Lease, LeaseAsk, StoreError};

const LIVE: &str = "/* live leases */ SELECT id, agent_id FROM leases WHERE ended_ms IS NULL";
const WORTH_ASKING: &str = "/* worth asking for a lease */
    SELECT EXISTS (SELECT 1 FROM jobs WHERE pending > 0)
        OR EXISTS (SELECT 1 FROM leases WHERE agent_id = ?1 AND request_id = ?2)
        OR NOT EXISTS (SELECT 1 FROM agents WHERE id = ?1 AND incarnation = ?3) AS worth";
const BY_REQUEST: &str = "/* lease by request */
    SELECT leases.id, epoch, job_id, scene_id, first, last, leases.ended_ms
    FROM leases JOIN jobs ON jobs.id = job_id WHERE agent_id = ?1 AND request_id = ?2";
const OLDEST_WITH_WORK: &str = "/* oldest job with work */
    SELECT id, scene_id, batch_size, pending FROM jobs WHERE pending > 0 ORDER BY created_ms, id LIMIT 1";
const FIRST_PENDING: &str = "/* first pending range */
    SELECT first, last FROM ranges WHERE job_id = ?1 AND state = 'pending' ORDER BY first LIMIT 1";
const DELETE_RANGE: &str = "/* delete range */ DELETE FROM ranges WHERE job_id = ?1 AND state = ?2 AND first = ?3";
const SPEEDS: &str = "/* speeds on a job */ SELECT agent_id, frames, render_ms FROM job_agents WHERE job_id = ?1";
const INSERT_LEASE: &str = "/* insert lease */
    INSERT INTO leases (id, job_id, agent_id, request_id, first, last, granted_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING epoch";
const INSERT_FRAME: &str =
    "/* insert lease frame */ INSERT INTO lease_frames (epoch, frame, job_id) VALUES (?1, ?2, ?3)";
const FIND: &str =
    "/* find lease */ SELECT id, epoch, job_id, agent_id, first, last, ended_ms FROM leases WHERE id = ?1";
const LIVE_OF_AGENT: &str = "/* live leases of an agent */
    SELECT id, epoch, job_id, agent_id, first, last, ended_ms FROM leases WHERE agent_id = ?1 AND ended_ms IS NULL";
const HELD_FRAMES: &str = "/* held frames */ SELECT frame FROM lease_frames WHERE epoch = ?1 ORDER BY frame";
const DELETE_FRAME: &str = "/* delete lease frame */ DELETE FROM lease_frames WHERE epoch = ?1 AND frame = ?2";
const END: &str = "/* end lease */ UPDATE leases SET ended_ms = ?2 WHERE epoch = ?1 AND ended_ms IS NULL
    AND NOT EXISTS (SELECT 1 FROM lease_frames WHERE lease_frames.epoch = ?1)";
const FAULT: &str = "/* fault of a job */ SELECT fault_cause IS NOT NULL AS faulty FROM jobs WHERE id = ?1";

/// A lease as it is kept, live or ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseRow {
    pub(super) id: LeaseId,
    pub(super) epoch: i64,
    pub(super) job: JobId,
    pub(super) agent: AgentId,
    pub(super) frames: FrameRange,
    pub(super) life: LeaseLife,
}

/// Whether a lease still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseLife {
    Live,
    Ended,
}

impl LeaseRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: lease_id(row, "id")?,
            epoch: integer(row, "epoch")?,
            job: job_id(row, "job_id")?,
            agent: agent_id(row, "agent_id")?,
            frames: range(row)?,
            life: if optional_integer(row, "ended_ms")?.is_none() { LeaseLife::Live } else { LeaseLife::Ended },
        })
    }
}

/// At the start: every live lease gets a full TTL, and counts as one that was named (nobody can know any more).
pub(super) async fn take_over(conn: &mut SqliteConnection, terms: &mut Terms, now: Duration) -> Result<(), StoreError> {
    for row in sqlx::query(LIVE).fetch_all(conn).await.map_err(database_error)? {
        terms.begin(lease_id(&row, "id")?, agent_id(&row, "agent_id")?, Heard::Named, now);
    }
    Ok(())
}

/// Whether a request can be answered by anything but "nothing now".
pub(super) async fn worth_asking(readers: &SqlitePool, ask: &LeaseAsk) -> Result<bool, StoreError> {
    let row = sqlx::query(WORTH_ASKING)
        .bind(&ask.agent.as_bytes()[..])
        .bind(&ask.request.as_bytes()[..])
        .bind(ask.incarnation.0)
        .fetch_one(readers)
        .await
        .map_err(database_error)?;
    Ok(integer(&row, "worth")? != 0)
}

pub(super) async fn grant(tx: &mut Tx, ask: LeaseAsk, eligible_slots: u64) -> Result<Option<Lease>, StoreError> {
    super::agents::check(&mut tx.conn, ask.agent, ask.incarnation).await?;
    if let Some(lease) = already_granted(tx, &ask).await? {
        return Ok(Some(lease));
    }
    let Some(job) = sqlx::query(OLDEST_WITH_WORK).fetch_optional(&mut tx.conn).await.map_err(database_error)? else {
        return Ok(None);
    };
    let job_id = job_id(&job, "id")?;
    let carve = Carve {
        pending: count(&job, "pending")?,
        eligible_slots,
        relative_speed: speed(tx, job_id, ask.agent).await?,
        batch_size: u32::try_from(count(&job, "batch_size")?).unwrap_or(u32::MAX),
    };
    let frames = take_pending(tx, job_id, batch_frames(carve)).await?;
    let mut lease =
        Lease { id: LeaseId::generate(), epoch: 0, job: job_id, scene: scene_id(&job, "scene_id")?, frames };
    lease.epoch = insert(tx, &lease, &ask).await?;
    tx.lease_begins(lease.id, ask.agent);
    Ok(Some(lease))
}

async fn already_granted(tx: &mut Tx, ask: &LeaseAsk) -> Result<Option<Lease>, StoreError> {
    let row = sqlx::query(BY_REQUEST)
        .bind(&ask.agent.as_bytes()[..])
        .bind(&ask.request.as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let Some(row) = row else { return Ok(None) };
    if optional_integer(&row, "ended_ms")?.is_some() {
        return Err(StoreError::LeaseEnded(ask.request));
    }
    Ok(Some(Lease {
        id: lease_id(&row, "id")?,
        epoch: count(&row, "epoch")?,
        job: job_id(&row, "job_id")?,
        scene: scene_id(&row, "scene_id")?,
        frames: range(&row)?,
    }))
}

async fn speed(tx: &mut Tx, job: JobId, agent: AgentId) -> Result<f64, StoreError> {
    let rows = sqlx::query(SPEEDS).bind(&job.as_bytes()[..]).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    let mut own_ms = None;
    let mut each_ms = Vec::with_capacity(rows.len());
    for row in &rows {
        #[expect(clippy::cast_precision_loss, reason = "frames and milliseconds are far below 2^52")]
        let mean_ms = count(row, "render_ms")? as f64 / count(row, "frames")?.max(1) as f64;
        each_ms.push(mean_ms);
        if agent_id(row, "agent_id")? == agent {
            own_ms = Some(mean_ms);
        }
    }
    Ok(relative_speed(own_ms, &each_ms))
}

/// Takes up to `most` frames off the front of a job's first pending range.
async fn take_pending(tx: &mut Tx, job: JobId, most: u64) -> Result<FrameRange, StoreError> {
    let row = sqlx::query(FIRST_PENDING)
        .bind(&job.as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?
        .ok_or_else(|| StoreError::Inconsistent(format!("job {job} counts pending frames and has none")))?;
    let whole = range(&row)?;
    let (batch, rest) = whole.split(most);
    delete_range(tx, job, Shelf::Pending, whole).await?;
    if let Some(rest) = rest {
        shelve(tx, job, Shelf::Pending, rest).await?;
    }
    let frames = as_integer(batch.len());
    change_counts(tx, job, CountChange { pending: -frames, leased: frames, ..CountChange::default() }).await?;
    Ok(batch)
}

/// Takes a range off its shelf. The counters are the caller's to change.
pub(super) async fn delete_range(tx: &mut Tx, job: JobId, shelf: Shelf, range: FrameRange) -> Result<(), StoreError> {
    sqlx::query(DELETE_RANGE)
        .bind(&job.as_bytes()[..])
        .bind(shelf.word())
        .bind(range.first().get())
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

async fn insert(tx: &mut Tx, lease: &Lease, ask: &LeaseAsk) -> Result<u64, StoreError> {
    let row = sqlx::query(INSERT_LEASE)
        .bind(&lease.id.as_bytes()[..])
        .bind(&lease.job.as_bytes()[..])
        .bind(&ask.agent.as_bytes()[..])
        .bind(&ask.request.as_bytes()[..])
        .bind(lease.frames.first().get())
        .bind(lease.frames.last().get())
        .bind(tx.now_ms)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let epoch = integer(&row, "epoch")?;
    for frame in lease.frames.iter() {
        sqlx::query(INSERT_FRAME)
            .bind(epoch)
            .bind(frame.get())
            .bind(&lease.job.as_bytes()[..])
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
    }
    count(&row, "epoch")
}

/// The lease with an id, live or ended.
pub(super) async fn find(conn: &mut SqliteConnection, lease: LeaseId) -> Result<LeaseRow, StoreError> {
    let row = sqlx::query(FIND).bind(&lease.as_bytes()[..]).fetch_optional(conn).await.map_err(database_error)?;
    LeaseRow::read(&row.ok_or(StoreError::UnknownLease(lease))?)
}

/// The frames that a lease still holds, in order.
pub(super) async fn held_frames(conn: &mut SqliteConnection, epoch: i64) -> Result<Vec<FrameNumber>, StoreError> {
    let rows = sqlx::query(HELD_FRAMES).bind(epoch).fetch_all(conn).await.map_err(database_error)?;
    rows.iter().map(|row| frame(row, "frame")).collect()
}

/// What becomes of each lease that a heartbeat names.
pub(super) async fn verdicts(readers: &SqlitePool, beat: &Beat) -> Result<Vec<LeaseVerdict>, StoreError> {
    let mut conn = readers.acquire().await.map_err(database_error)?;
    let mut verdicts = Vec::with_capacity(beat.held.len());
    for held in &beat.held {
        let frames = match find(&mut conn, held.lease_id).await {
            Ok(lease) if lease.agent == beat.agent => held_frames(&mut conn, lease.epoch).await?,
            Ok(_) | Err(StoreError::UnknownLease(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        verdicts.push(LeaseVerdict { lease_id: held.lease_id, frames: runs(frames) });
    }
    Ok(verdicts)
}

/// Moves frames from a lease back to the queue; those that it does not hold are passed over. A job whose scene is at fault
/// takes nothing back as pending.
pub(super) async fn let_go(
    tx: &mut Tx,
    lease: &LeaseRow,
    frames: impl IntoIterator<Item = FrameNumber>,
    to: Shelf,
) -> Result<(), StoreError> {
    let mut held = Vec::new();
    for frame in frames {
        if take_from_lease(tx, lease.epoch, frame).await? {
            held.push(frame);
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    held.sort_unstable();
    let fault =
        sqlx::query(FAULT).bind(&lease.job.as_bytes()[..]).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    let to = if integer(&fault, "faulty")? != 0 { Shelf::Failed } else { to };
    let frames = as_integer(held.len() as u64);
    for run in runs(held) {
        shelve(tx, lease.job, to, run).await?;
    }
    let change = match to {
        Shelf::Pending => CountChange { pending: frames, leased: -frames, ..CountChange::default() },
        Shelf::Failed => CountChange { failed: frames, leased: -frames, ..CountChange::default() },
    };
    change_counts(tx, lease.job, change).await?;
    if to == Shelf::Pending {
        tx.work_made();
    }
    Ok(())
}

/// Takes a frame out of a lease's hands; false when it was not in them. The counters are the caller's to change.
pub(super) async fn take_from_lease(tx: &mut Tx, epoch: i64, frame: FrameNumber) -> Result<bool, StoreError> {
    let deleted =
        sqlx::query(DELETE_FRAME).bind(epoch).bind(frame.get()).execute(&mut tx.conn).await.map_err(database_error)?;
    Ok(deleted.rows_affected() > 0)
}

/// Ends a lease whose last frame has left it.
pub(super) async fn end_if_empty(tx: &mut Tx, lease: LeaseId, epoch: i64) -> Result<(), StoreError> {
    let ended = sqlx::query(END).bind(epoch).bind(tx.now_ms).execute(&mut tx.conn).await.map_err(database_error)?;
    if ended.rows_affected() > 0 {
        tx.lease_ends(lease);
    }
    Ok(())
}

/// Ends a lease without an attempt: what it held is pending again.
async fn end(tx: &mut Tx, lease: &LeaseRow) -> Result<(), StoreError> {
    let held = held_frames(&mut tx.conn, lease.epoch).await?;
    let_go(tx, lease, held, Shelf::Pending).await?;
    end_if_empty(tx, lease.id, lease.epoch).await
}

pub(super) async fn end_all_of(tx: &mut Tx, agent: AgentId) -> Result<(), StoreError> {
    let rows =
        sqlx::query(LIVE_OF_AGENT).bind(&agent.as_bytes()[..]).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    for row in &rows {
        end(tx, &LeaseRow::read(row)?).await?;
    }
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError> {
    let lease = find(&mut tx.conn, lease).await?;
    let_go(tx, &lease, frames, Shelf::Pending).await?;
    end_if_empty(tx, lease.id, lease.epoch).await
}

pub(super) async fn complete(tx: &mut Tx, lease: LeaseId) -> Result<(), StoreError> {
    let lease = find(&mut tx.conn, lease).await?;
    end(tx, &lease).await
}

/// Ends those of `leases` that have not been renewed meanwhile. The frame in work is charged with an expiry, as it may be
/// what took the agent away; frames that nobody had begun are not, nor those of a lease whose grant may never have arrived.
pub(super) async fn expire(
    tx: &mut Tx,
    leases: Vec<LeaseId>,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
) -> Result<usize, StoreError> {
    let mut expired = 0;
    for id in leases {
        let Some(term) = memory.terms().get(id).filter(|term| term.ends <= clock.steady()) else { continue };
        let lease = find(&mut tx.conn, id).await?;
        if lease.life == LeaseLife::Ended {
            tx.lease_ends(id);
            continue;
        }
        let held = held_frames(&mut tx.conn, lease.epoch).await?;
        let in_work = term.frame_in_work.filter(|frame| held.contains(frame)).or(held.first().copied());
        if let (Heard::Named, Some(frame)) = (term.heard, in_work) {
            let attempt = EndedAttempt {
                frame,
                cause: Cause::LeaseExpired,
                message: "nothing was heard of the agent for as long as a lease lasts",
                log_tail: "",
            };
            frames::attempt_ended(tx, &lease, attempt).await?;
        }
        end(tx, &lease).await?;
        expired += 1;
        tracing::warn!(lease = %id, epoch = lease.epoch, job = %lease.job, agent = %lease.agent, "lease expired");
    }
    Ok(expired)
}

/// How the database finds the job to serve.
#[cfg(test)]
pub(super) async fn explain_oldest_with_work(readers: &SqlitePool) -> String {
    use sqlx::Row as _;
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {OLDEST_WITH_WORK}"));
    let rows = sqlx::query(sql).fetch_all(readers).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
}
