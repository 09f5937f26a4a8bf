//! Live leases and their ends. [`let_go`] is the only way by which a frame goes from a lease back to a shelf.

use std::sync::Arc;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameNumber, FrameRange, runs};
use haywain_shared::ids::{AgentId, JobId, LeaseId};
use haywain_shared::job::EventKind;
use haywain_shared::protocol::Stage;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::Memory;
use super::attempts::{self, Ended};
use super::columns::{
    agent_id, as_integer, database_error, frame, integer, job_id, lease_id, optional_integer, range, small, text,
};
use super::events::{self, Subject};
use super::grants::Company;
use super::jobs::{CountChange, change_counts};
use super::shelves::{PickyWish, Shelf, Shelved, shelve};
use super::writer::Tx;
use crate::clock::Clock;
use crate::queue::state::Control;
use crate::store::StoreError;
use crate::store::terms::{Heard, Terms};

const LIVE: &str = "/* live leases */ SELECT id, agent_id FROM leases WHERE ended_ms IS NULL";
const FIND: &str = "/* find lease */
    SELECT leases.id, epoch, job_id, agent_id, first, last, generation, leases.ended_ms, control
    FROM leases JOIN jobs ON jobs.id = job_id WHERE leases.id = ?1";
const LIVE_OF_AGENT: &str = "/* live leases of an agent */
    SELECT leases.id, epoch, job_id, agent_id, first, last, generation, leases.ended_ms, control
    FROM leases JOIN jobs ON jobs.id = job_id WHERE agent_id = ?1 AND leases.ended_ms IS NULL";
const LIVE_OF_JOB: &str = "/* live leases of a job */
    SELECT leases.id, epoch, job_id, agent_id, first, last, generation, leases.ended_ms, control
    FROM leases JOIN jobs ON jobs.id = job_id WHERE job_id = ?1 AND leases.ended_ms IS NULL";
const HELD_FRAMES: &str = "/* held frames */ SELECT frame FROM lease_frames WHERE epoch = ?1 ORDER BY frame";
const DELETE_FRAME: &str = "/* delete lease frame */ DELETE FROM lease_frames WHERE epoch = ?1 AND frame = ?2";
const OTHERS_HOLD: &str = "/* others hold a frame */
    SELECT EXISTS (SELECT 1 FROM lease_frames WHERE job_id = ?1 AND frame = ?2) AS held";
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
    pub(super) generation: u32,
    pub(super) life: LeaseLife,
    /// What is wanted of its job.
    pub(super) control: Control,
}

/// Whether a lease still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseLife {
    Live,
    Ended,
}

impl LeaseRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let control = text(row, "control")?;
        Ok(Self {
            id: lease_id(row, "id")?,
            epoch: integer(row, "epoch")?,
            job: job_id(row, "job_id")?,
            agent: agent_id(row, "agent_id")?,
            frames: range(row)?,
            generation: small(row, "generation")?,
            life: if optional_integer(row, "ended_ms")?.is_none() { LeaseLife::Live } else { LeaseLife::Ended },
            control: Control::from_word(&control).ok_or(StoreError::Inconsistent(control))?,
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

/// Where frames go that a lease lets go of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Pending again, for whoever comes.
    Pending,
    /// Pending again, for a while only for some.
    PendingFor(PickyWish),
    /// Given up.
    Failed,
}

/// Takes frames out of a lease's hands; those that it does not hold are passed over. They go where `fate` says, unless
/// somebody else holds them too: then they stay leased. Returns how many went. A job whose scene is at fault takes nothing back as pending.
pub(super) async fn let_go(
    tx: &mut Tx,
    lease: &LeaseRow,
    frames: impl IntoIterator<Item = FrameNumber>,
    fate: Fate,
) -> Result<usize, StoreError> {
    let mut free = Vec::new();
    for frame in frames {
        if take_from_lease(tx, lease.epoch, frame).await? && !held_by_others(tx, lease.job, frame).await? {
            free.push(frame);
        }
    }
    if free.is_empty() {
        return Ok(0);
    }
    free.sort_unstable();
    let freed = free.len();
    let fault =
        sqlx::query(FAULT).bind(&lease.job.as_bytes()[..]).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    let fate = if integer(&fault, "faulty")? != 0 { Fate::Failed } else { fate };
    let count = as_integer(free.len() as u64);
    let (shelf, wish, change) = match fate {
        Fate::Pending => (Shelf::Pending, None, CountChange { pending: count, ..CountChange::default() }),
        Fate::PendingFor(wish) => {
            (Shelf::Pending, Some(wish), CountChange { pending: count, ..CountChange::default() })
        }
        Fate::Failed => (Shelf::Failed, None, CountChange { failed: count, ..CountChange::default() }),
    };
    for range in runs(free) {
        shelve(tx, lease.job, shelf, Shelved { range, generation: lease.generation, wish }).await?;
    }
    change_counts(tx, lease.job, CountChange { leased: -count, ..change }).await?;
    match shelf {
        Shelf::Pending => tx.work_made(),
        Shelf::Failed => {}
    }
    Ok(freed)
}

/// Takes a frame out of a lease's hands; false when it was not in them. The counters are the caller's to change.
pub(super) async fn take_from_lease(tx: &mut Tx, epoch: i64, frame: FrameNumber) -> Result<bool, StoreError> {
    let deleted =
        sqlx::query(DELETE_FRAME).bind(epoch).bind(frame.get()).execute(&mut tx.conn).await.map_err(database_error)?;
    Ok(deleted.rows_affected() > 0)
}

async fn held_by_others(tx: &mut Tx, job: JobId, frame: FrameNumber) -> Result<bool, StoreError> {
    let row = sqlx::query(OTHERS_HOLD)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(integer(&row, "held")? != 0)
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
    let_go(tx, lease, held, Fate::Pending).await?;
    end_if_empty(tx, lease.id, lease.epoch).await
}

pub(super) async fn end_all_of_agent(tx: &mut Tx, agent: AgentId) -> Result<(), StoreError> {
    let rows =
        sqlx::query(LIVE_OF_AGENT).bind(&agent.as_bytes()[..]).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    for row in &rows {
        end(tx, &LeaseRow::read(row)?).await?;
    }
    Ok(())
}

pub(super) async fn end_all_of_job(tx: &mut Tx, job: JobId) -> Result<(), StoreError> {
    let rows =
        sqlx::query(LIVE_OF_JOB).bind(&job.as_bytes()[..]).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    for row in &rows {
        end(tx, &LeaseRow::read(row)?).await?;
    }
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError> {
    let lease = find(&mut tx.conn, lease).await?;
    let_go(tx, &lease, frames, Fate::Pending).await?;
    end_if_empty(tx, lease.id, lease.epoch).await
}

pub(super) async fn complete(tx: &mut Tx, lease: LeaseId) -> Result<(), StoreError> {
    let lease = find(&mut tx.conn, lease).await?;
    end(tx, &lease).await
}

/// Takes back leases that their holder does not know of, without an attempt.
pub(super) async fn take_back(tx: &mut Tx, leases: Vec<LeaseId>) -> Result<(), StoreError> {
    for id in leases {
        let lease = find(&mut tx.conn, id).await?;
        tracing::info!(lease = %id, agent = %lease.agent, "a lease that its agent does not name goes back");
        end(tx, &lease).await?;
    }
    Ok(())
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
        events::note(tx, EventKind::LeaseExpired, &Subject::job(lease.job).by(lease.agent), "").await?;
        if let (Heard::Named, Some(frame)) = (term.heard, in_work) {
            let message = "nothing was heard of the agent for as long as a lease lasts";
            let ended = Ended {
                frame,
                cause: Cause::LeaseExpired,
                stage: Stage::default(),
                message,
                log_tail: &term.log_tail,
                peak_bytes: None,
            };
            // An expiry says nothing about the scene, so that nobody's second opinion is asked for.
            attempts::failed(tx, &lease, ended, Company { slots: 1, others: 0 }).await?;
        }
        end(tx, &lease).await?;
        expired += 1;
        tracing::warn!(lease = %id, epoch = lease.epoch, job = %lease.job, agent = %lease.agent, "lease expired");
    }
    Ok(expired)
}
