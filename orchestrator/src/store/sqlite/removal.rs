//! Jobs that are removed: in one transaction they are gone for every reader, and what is kept of them is erased in steps that
//! hold up nobody. The job's own row goes last, so that a restart knows what is still to be erased.

use std::time::Duration;

use haywain_shared::ids::JobId;
use haywain_shared::job::{EventKind, JobState};
use sqlx::SqlitePool;

use super::columns::{as_ms, database_error, job_id, optional_text};
use super::control::state_of;
use super::events::{self, Subject};
use super::writer::Tx;
use crate::store::{Erased, RemovedJob, StoreError};

// Cancelled too, so that frames that still come in are not wanted.
const REMOVE: &str = "/* remove job */ UPDATE jobs SET removed_ms = ?2, control = 'cancelled' WHERE id = ?1";
const TOUCH_SCENE: &str = "/* touch a removed job's scene */
    UPDATE scenes SET touched_ms = max(touched_ms, ?2) WHERE id = (SELECT scene_id FROM jobs WHERE id = ?1)";
const FORGET_KEY: &str = "/* forget a removed job's key */ DELETE FROM idempotency_keys WHERE job_id = ?1";
const ENDED: &str = "/* jobs ended long ago */
    SELECT id FROM jobs WHERE ended_ms <= ?1 AND ended_ms IS NOT NULL AND removed_ms IS NULL LIMIT ?2";
const REMOVED: &str = "/* removed jobs */ SELECT id, name FROM jobs WHERE removed_ms IS NOT NULL";
const ERASE_JOB: &str = "/* erase job */ DELETE FROM jobs WHERE id = ?1 AND removed_ms IS NOT NULL";

/// What is kept of a job, each before what it refers to. ?1 the job, ?2 how many rows.
const ERASE: [&str; 9] = [
    "/* erase frame files */ DELETE FROM frame_files WHERE job_id = ?1 AND (frame, generation, name) IN
        (SELECT frame, generation, name FROM frame_files WHERE job_id = ?1 LIMIT ?2)",
    "/* erase frames */ DELETE FROM frames WHERE job_id = ?1 AND (frame, generation) IN
        (SELECT frame, generation FROM frames WHERE job_id = ?1 LIMIT ?2)",
    "/* erase attempts */ DELETE FROM attempts WHERE job_id = ?1 AND (frame, epoch) IN
        (SELECT frame, epoch FROM attempts WHERE job_id = ?1 LIMIT ?2)",
    "/* erase lease frames */ DELETE FROM lease_frames WHERE (epoch, frame) IN
        (SELECT epoch, frame FROM lease_frames WHERE job_id = ?1 LIMIT ?2)",
    // The youngest first: a lease may follow an older one.
    "/* erase leases */ DELETE FROM leases WHERE epoch IN
        (SELECT epoch FROM leases WHERE job_id = ?1 ORDER BY epoch DESC LIMIT ?2)",
    "/* erase ranges */ DELETE FROM ranges WHERE job_id = ?1 AND (state, first) IN
        (SELECT state, first FROM ranges WHERE job_id = ?1 LIMIT ?2)",
    "/* erase doubts */ DELETE FROM job_doubts WHERE job_id = ?1 AND agent_id IN
        (SELECT agent_id FROM job_doubts WHERE job_id = ?1 LIMIT ?2)",
    "/* erase refusals */ DELETE FROM job_refusals WHERE job_id = ?1 AND agent_id IN
        (SELECT agent_id FROM job_refusals WHERE job_id = ?1 LIMIT ?2)",
    "/* erase shares */ DELETE FROM job_agents WHERE job_id = ?1 AND agent_id IN
        (SELECT agent_id FROM job_agents WHERE job_id = ?1 LIMIT ?2)",
];

/// Rows that are erased in one transaction.
const ROWS_AT_ONCE: u32 = 2000;
/// Jobs that are removed in one transaction.
const JOBS_AT_ONCE: u32 = 100;

pub(super) async fn remove(tx: &mut Tx, job: JobId) -> Result<(), StoreError> {
    let (state, _) = state_of(tx, job).await?;
    if !has_ended(state) {
        return Err(StoreError::IllegalMove(format!("job {job} has not ended: cancel it first")));
    }
    let key = &job.as_bytes()[..];
    for sql in [REMOVE, TOUCH_SCENE] {
        sqlx::query(sql).bind(key).bind(tx.now_ms).execute(&mut tx.conn).await.map_err(database_error)?;
    }
    sqlx::query(FORGET_KEY).bind(key).execute(&mut tx.conn).await.map_err(database_error)?;
    events::note(tx, EventKind::JobRemoved, &Subject::job(job), "").await
}

/// Whether nothing of a job is still to come.
const fn has_ended(state: JobState) -> bool {
    match state {
        JobState::Completed | JobState::Failed | JobState::Cancelled => true,
        JobState::Pending | JobState::Running | JobState::Paused => false,
    }
}

pub(super) async fn remove_ended(tx: &mut Tx, ended_for: Duration) -> Result<usize, StoreError> {
    let rows = sqlx::query(ENDED)
        .bind(tx.now_ms - as_ms(ended_for))
        .bind(JOBS_AT_ONCE)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    for row in &rows {
        remove(tx, job_id(row, "id")?).await?;
    }
    Ok(rows.len())
}

pub(super) async fn removed(readers: &SqlitePool) -> Result<Vec<RemovedJob>, StoreError> {
    let rows = sqlx::query(REMOVED).fetch_all(readers).await.map_err(database_error)?;
    rows.iter().map(|row| Ok(RemovedJob { id: job_id(row, "id")?, name: optional_text(row, "name")? })).collect()
}

pub(super) async fn erase(tx: &mut Tx, job: JobId) -> Result<Erased, StoreError> {
    for sql in ERASE {
        let erased = sqlx::query(sql)
            .bind(&job.as_bytes()[..])
            .bind(ROWS_AT_ONCE)
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
        if erased.rows_affected() > 0 {
            return Ok(Erased::Some);
        }
    }
    Ok(Erased::All)
}

pub(super) async fn erased(tx: &mut Tx, job: JobId) -> Result<(), StoreError> {
    sqlx::query(ERASE_JOB).bind(&job.as_bytes()[..]).execute(&mut tx.conn).await.map(drop).map_err(database_error)
}
