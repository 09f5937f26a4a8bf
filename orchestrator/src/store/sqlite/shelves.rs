//! Shelves: the ranges of frames that are in no agent's hands and not done. What is pending lies on one, what is given up on
//! the other; a million frames are one row until they are leased.

use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, JobId};
use sqlx::SqlitePool;

use super::columns::{as_integer, as_ms, database_error, integer, optional_count, range};
use super::writer::Tx;
use crate::clock::UnixMs;
use crate::queue::retry::PICKY;
use crate::store::StoreError;

const INSERT_RANGE: &str = "/* insert range */
    INSERT INTO ranges (job_id, state, first, last, generation, picky_until_ms, avoid_agent, min_memory_bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const DELETE_RANGE: &str = "/* delete range */ DELETE FROM ranges WHERE job_id = ?1 AND state = ?2 AND first = ?3";
const UP_TO: &str = "/* shelved range up to a frame */
    SELECT first, last FROM ranges
    WHERE job_id = ?1 AND state = ?2 AND first <= ?3 AND generation = ?4 ORDER BY first DESC LIMIT 1";
const CAME_DUE: &str = "/* picky frames that take any agent now */
    SELECT EXISTS (SELECT 1 FROM ranges WHERE picky_until_ms > ?1 AND picky_until_ms <= ?2) AS due";

const RAN_OUT_AT: &str = "/* memory that a job's frames have run out of */
    SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM ranges WHERE job_id = ?1 AND state = 'pending'
            AND (min_memory_bytes IS NULL OR picky_until_ms <= ?2 OR picky_until_ms > ?3))
        THEN (SELECT min(min_memory_bytes) FROM ranges WHERE job_id = ?1 AND state = 'pending') END AS bytes";

/// Where a frame is that is in no agent's hands and not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Pending,
    Failed,
}

impl Shelf {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "failed",
        }
    }
}

/// Frames on a shelf, and what they ask of the agent that takes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shelved {
    pub(super) range: FrameRange,
    pub(super) generation: u32,
    pub(super) wish: Option<PickyWish>,
}

/// What a frame asks of the agent that takes it, until it takes any.
#[derive(Debug, Clone, Copy)]
pub(super) struct PickyWish {
    pub(super) until_ms: UnixMs,
    pub(super) avoid: AgentId,
    pub(super) more_memory_than: Option<u64>,
}

impl Shelved {
    pub(super) const fn fresh(range: FrameRange) -> Self {
        Self::of(range, 1)
    }

    pub(super) const fn of(range: FrameRange, generation: u32) -> Self {
        Self { range, generation, wish: None }
    }
}

/// Puts frames on a shelf. The counters are the caller's to change.
pub(super) async fn shelve(tx: &mut Tx, job: JobId, shelf: Shelf, frames: Shelved) -> Result<(), StoreError> {
    // An agent that is to be avoided, or memory that is to be had: never both, or a frame could wait for nobody.
    let avoid = frames.wish.filter(|wish| wish.more_memory_than.is_none()).map(|wish| wish.avoid.as_bytes().to_vec());
    sqlx::query(INSERT_RANGE)
        .bind(&job.as_bytes()[..])
        .bind(shelf.word())
        .bind(frames.range.first().get())
        .bind(frames.range.last().get())
        .bind(frames.generation)
        .bind(frames.wish.map(|wish| wish.until_ms))
        .bind(avoid)
        .bind(frames.wish.and_then(|wish| wish.more_memory_than).map(as_integer))
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
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

/// Takes one frame of a generation out of a shelved range, leaving what is before and after it; false when it is in none.
/// The counters are the caller's to change.
pub(super) async fn take_from_shelf(
    tx: &mut Tx,
    job: JobId,
    shelf: Shelf,
    frame: FrameNumber,
    generation: u32,
) -> Result<bool, StoreError> {
    let row = sqlx::query(UP_TO)
        .bind(&job.as_bytes()[..])
        .bind(shelf.word())
        .bind(frame.get())
        .bind(generation)
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let Some(whole) = row.map(|row| range(&row)).transpose()?.filter(|range| range.contains(frame)) else {
        return Ok(false);
    };
    delete_range(tx, job, shelf, whole).await?;
    for rest in whole.without(frame) {
        shelve(tx, job, shelf, Shelved::of(rest, generation)).await?;
    }
    Ok(true)
}

/// The memory that more is wanted than, by every pending frame of a job; `None` if one takes any agent.
pub(super) async fn ran_out_at(readers: &SqlitePool, job: JobId, now_ms: UnixMs) -> Result<Option<u64>, StoreError> {
    let row = sqlx::query(RAN_OUT_AT)
        .bind(&job.as_bytes()[..])
        .bind(now_ms)
        // What is later is from before the wall's clock was set back.
        .bind(now_ms + as_ms(PICKY))
        .fetch_one(readers)
        .await
        .map_err(database_error)?;
    optional_count(&row, "bytes")
}

/// Whether a frame that was picky has come to take any agent between two moments.
pub(super) async fn came_due(readers: &SqlitePool, after_ms: UnixMs, by_ms: UnixMs) -> Result<bool, StoreError> {
    let row = sqlx::query(CAME_DUE).bind(after_ms).bind(by_ms).fetch_one(readers).await.map_err(database_error)?;
    Ok(integer(&row, "due")? != 0)
}
