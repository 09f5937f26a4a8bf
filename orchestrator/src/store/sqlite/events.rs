//! The events that watchers read: written in the transaction that makes them true, so that none is missing and none is
//! false. Only the latest are kept.

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, JobId};
use haywain_shared::job::{Event, EventKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteExecutor, SqlitePool};

use super::columns::{as_integer, count, database_error, integer, moment, optional_bytes, optional_frame, text};
use super::sight;
use super::writer::Tx;
use crate::store::{Heard, Sight, StoreError};

const INSERT: &str = "/* insert event */
    INSERT INTO events (at_ms, kind, job_id, agent_id, frame, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
const FORGET: &str = "/* forget old events */ DELETE FROM events WHERE id <= ?1";
const AFTER: &str = "/* events after */
    SELECT id, at_ms, kind, job_id, agent_id, frame, detail FROM events
    WHERE id > ?1 AND (?3 = 'all' OR ?3 IN ('token', 'nobodys') AND EXISTS (
        SELECT 1 FROM jobs WHERE jobs.id = job_id AND owner IS ?4))
    ORDER BY id LIMIT ?2";
const LATEST: &str = "/* latest event */ SELECT coalesce(max(id), 0) AS id FROM events";

/// Events that are kept.
const KEPT: i64 = 100_000;
/// How often the older ones are forgotten, in events.
const FORGET_EVERY: i64 = 1000;

/// Whom an event is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject {
    job: Option<JobId>,
    agent: Option<AgentId>,
    frame: Option<FrameNumber>,
}

impl Subject {
    pub(super) fn job(job: JobId) -> Self {
        Self { job: Some(job), ..Self::default() }
    }

    pub(super) fn agent(agent: AgentId) -> Self {
        Self { agent: Some(agent), ..Self::default() }
    }

    pub(super) const fn by(self, agent: AgentId) -> Self {
        Self { agent: Some(agent), ..self }
    }

    pub(super) const fn at(self, frame: FrameNumber) -> Self {
        Self { frame: Some(frame), ..self }
    }
}

/// Notes that something has happened.
pub(super) async fn note(tx: &mut Tx, kind: EventKind, about: &Subject, detail: &str) -> Result<(), StoreError> {
    let row = sqlx::query(INSERT)
        .bind(tx.now_ms)
        .bind(word(kind)?)
        .bind(about.job.map(|job| job.as_bytes().to_vec()))
        .bind(about.agent.map(|agent| agent.as_bytes().to_vec()))
        .bind(about.frame.map(FrameNumber::get))
        .bind(detail)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    tx.event_made();
    let id = integer(&row, "id")?;
    if id % FORGET_EVERY == 0 {
        sqlx::query(FORGET).bind(id - KEPT).execute(&mut tx.conn).await.map_err(database_error)?;
    }
    Ok(())
}

pub(super) async fn after(readers: &SqlitePool, after: u64, limit: u32, sight: Sight) -> Result<Heard, StoreError> {
    let (whose, token) = sight::of_jobs(sight);
    // In one transaction: what is made in between was not looked at.
    let mut reading = readers.begin().await.map_err(database_error)?;
    let rows = sqlx::query(AFTER).bind(as_integer(after)).bind(limit).bind(whose).bind(token).fetch_all(&mut *reading);
    let rows = rows.await.map_err(database_error)?;
    let events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    let through = match events.last() {
        Some(last) if events.len() as u64 >= u64::from(limit) => last.id,
        _ => latest(&mut *reading).await?.max(after),
    };
    Ok(Heard { events, through })
}

pub(super) async fn latest(conn: impl SqliteExecutor<'_>) -> Result<u64, StoreError> {
    count(&sqlx::query(LATEST).fetch_one(conn).await.map_err(database_error)?, "id")
}

/// The word for a kind: the one that it has on the wire.
fn word(kind: EventKind) -> Result<String, StoreError> {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(StoreError::Inconsistent(format!("an event kind without a word: {other:?}"))),
    }
}

fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    let kind = serde_json::from_value(text(row, "kind")?.into())
        .map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    Ok(Event {
        id: count(row, "id")?,
        at: moment(row, "at_ms")?,
        kind,
        job_id: optional_bytes(row, "job_id")?.map(JobId::from_bytes),
        agent_id: optional_bytes(row, "agent_id")?.map(AgentId::from_bytes),
        frame: optional_frame(row, "frame")?,
        detail: text(row, "detail")?,
    })
}
