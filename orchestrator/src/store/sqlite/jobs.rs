//! Scenes and jobs: keeping, queueing, and what a job's counters say.

use std::collections::BTreeMap;

use haywain_shared::frames::FrameRange;
use haywain_shared::ids::JobId;
use haywain_shared::scene::{Manifest, SceneId};
use sqlx::SqlitePool;

use super::columns::{as_integer, database_error, job_id, optional_text, text};
use super::writer::Tx;
use crate::store::{NewJob, StoreError};

const KEEP_SCENE: &str = "/* keep scene */ INSERT INTO scenes (id, manifest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const SCENE: &str = "/* scene */ SELECT manifest FROM scenes WHERE id = ?1";
const INSERT_JOB: &str = "/* insert job */
    INSERT INTO jobs (id, name, scene_id, batch_size, created_ms, total, pending, leased, done, failed)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0, 0 WHERE EXISTS (SELECT 1 FROM scenes WHERE id = ?3)";
const INSERT_RANGE: &str = "/* insert range */ INSERT INTO ranges (job_id, state, first, last) VALUES (?1, ?2, ?3, ?4)";
const CHANGE_COUNTS: &str = "/* change counts */
    UPDATE jobs SET
        pending = pending + ?2, leased = leased + ?3, done = done + ?4, failed = failed + ?5,
        started_ms = CASE WHEN ?3 > 0 THEN coalesce(started_ms, ?6) ELSE started_ms END,
        ended_ms = CASE WHEN pending + ?2 + leased + ?3 = 0 THEN ?6 END
    WHERE id = ?1";
const UNFINISHED: &str = "/* unfinished jobs and their blobs */
    SELECT jobs.id, frame_files.blob_key
    FROM jobs LEFT JOIN frame_files ON frame_files.job_id = jobs.id
    WHERE pending + leased > 0";

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

/// By how much each of a job's counters changes. Their sum stays: the database refuses anything else.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CountChange {
    pub(super) pending: i64,
    pub(super) leased: i64,
    pub(super) done: i64,
    pub(super) failed: i64,
}

pub(super) async fn keep_scene(tx: &mut Tx, manifest: Manifest) -> Result<SceneId, StoreError> {
    let id = manifest.id();
    let text = serde_json::to_string(&manifest).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    sqlx::query(KEEP_SCENE)
        .bind(&id.digest().as_bytes()[..])
        .bind(text)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(id)
}

pub(super) async fn scene(readers: &SqlitePool, scene: SceneId) -> Result<Manifest, StoreError> {
    let row = sqlx::query(SCENE)
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(readers)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    serde_json::from_str(&text(&row, "manifest")?).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

pub(super) async fn submit(tx: &mut Tx, job: NewJob) -> Result<(), StoreError> {
    let inserted = sqlx::query(INSERT_JOB)
        .bind(&job.id.as_bytes()[..])
        .bind(job.name)
        .bind(&job.scene.digest().as_bytes()[..])
        .bind(job.batch_size)
        .bind(tx.now_ms)
        .bind(as_integer(job.frames.len()))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::UnknownScene(job.scene));
    }
    shelve(tx, job.id, Shelf::Pending, job.frames).await?;
    tx.work_made();
    Ok(())
}

/// Puts a range on a shelf. The counters are the caller's to change.
pub(super) async fn shelve(tx: &mut Tx, job: JobId, shelf: Shelf, range: FrameRange) -> Result<(), StoreError> {
    sqlx::query(INSERT_RANGE)
        .bind(&job.as_bytes()[..])
        .bind(shelf.word())
        .bind(range.first().get())
        .bind(range.last().get())
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// Changes a job's counters; a job that is left with nothing pending and nothing leased has ended.
pub(super) async fn change_counts(tx: &mut Tx, job: JobId, change: CountChange) -> Result<(), StoreError> {
    sqlx::query(CHANGE_COUNTS)
        .bind(&job.as_bytes()[..])
        .bind(change.pending)
        .bind(change.leased)
        .bind(change.done)
        .bind(change.failed)
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

pub(super) async fn unfinished(readers: &SqlitePool) -> Result<Vec<(JobId, Vec<String>)>, StoreError> {
    let rows = sqlx::query(UNFINISHED).fetch_all(readers).await.map_err(database_error)?;
    let mut jobs: BTreeMap<JobId, Vec<String>> = BTreeMap::new();
    for row in &rows {
        jobs.entry(job_id(row, "id")?).or_default().extend(optional_text(row, "blob_key")?);
    }
    Ok(jobs.into_iter().collect())
}
