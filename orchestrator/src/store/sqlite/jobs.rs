//! Jobs: queueing, and what a job's counters say.

use std::collections::BTreeMap;

use haywain_shared::frame_list::FrameList;
use haywain_shared::ids::JobId;
use haywain_shared::job::EventKind;
use sqlx::SqlitePool;

use super::columns::{
    as_integer, as_ms, count, database_error, digest, frame_order_word, integer, job_id, json_text, optional_text,
    relative_path, text,
};
use super::events::{self, Subject};
use super::scenes;
use super::shelves::{Shelf, Shelved, shelve};
use super::writer::Tx;
use crate::blobs::JobFiles;
use crate::queue::state::Control;
use crate::store::{Idempotency, JobLabel, NewJob, StoreError};

const INSERT_JOB: &str = "/* insert job */
    INSERT INTO jobs (id, name, scene_id, batch_size, created_ms, waiting_since_ms, total, pending, leased, done, failed,
        priority, max_attempts, frame_timeout_ms, stall_timeout_ms, options, frame_order,
        requirements, owner)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?6, 0, 0, 0, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
const BY_KEY: &str =
    "/* submission by key */ SELECT job_id, body_sha256 FROM idempotency_keys WHERE owner = ?2 AND key = ?1";
const KEEP_KEY: &str = "/* keep key */
    INSERT INTO idempotency_keys (key, body_sha256, job_id, owner) VALUES (?1, ?2, ?3, ?4)";
// A job of which nothing is done and nothing in work any more may be begun by another Blender and with another kind of device: its first
// agent may have been one that cannot render it at all, or that is gone.
const CHANGE_COUNTS: &str = "/* change counts */
    UPDATE jobs SET
        pinned = CASE WHEN leased + ?3 = 0 AND done + ?4 = 0 THEN NULL ELSE pinned END,
        pinned_device = CASE WHEN leased + ?3 = 0 AND done + ?4 = 0 THEN NULL ELSE pinned_device END,
        pending = pending + ?2, leased = leased + ?3, done = done + ?4, failed = failed + ?5,
        waiting_since_ms = CASE WHEN pending + ?2 = 0 THEN NULL WHEN pending = 0 THEN ?6 ELSE waiting_since_ms END,
        started_ms = CASE WHEN ?3 > 0 THEN coalesce(started_ms, ?6) ELSE started_ms END,
        ended_ms = CASE WHEN control = 'cancelled' THEN ended_ms WHEN pending + ?2 + leased + ?3 = 0 THEN ?6 END
    WHERE id = ?1 RETURNING total, pending, leased, done, control";
const LABEL: &str = "/* label of a job */ SELECT name, recorded FROM jobs WHERE id = ?1 AND removed_ms IS NULL";
// A minute is longer than any request goes on when the orchestrator is to stop.
const UNDER_WAY: &str = "/* jobs under way and their files */
    SELECT jobs.id, jobs.name, frames.current, frames.thumbnail_key, frame_files.name AS file, frame_files.blob_key
    FROM jobs LEFT JOIN frames ON frames.job_id = jobs.id
        LEFT JOIN frame_files ON frame_files.job_id = frames.job_id AND frame_files.frame = frames.frame
            AND frame_files.generation = frames.generation
    WHERE removed_ms IS NULL AND (pending + leased > 0 OR ended_ms >= (SELECT max(at_ms) FROM events) - 60000)
    ORDER BY jobs.id, place, position";

/// How many runs of a list are told in an event.
const RUNS_TOLD: usize = 10;

/// By how much each of a job's counters changes. Their sum stays: the database refuses anything else.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CountChange {
    pub(super) pending: i64,
    pub(super) leased: i64,
    pub(super) done: i64,
    pub(super) failed: i64,
}

pub(super) async fn submit(tx: &mut Tx, job: NewJob) -> Result<JobId, StoreError> {
    let owner = job.owner.map(|token| token.as_bytes().to_vec());
    // What comes without a token shares one set of keys.
    let key_owner = owner.clone().unwrap_or_default();
    if let Some(idempotency) = &job.idempotency
        && let Some(known) = submitted_before(tx, idempotency, &key_owner).await?
    {
        return Ok(known);
    }
    scenes::check(tx, job.scene, &job.options, job.sight).await?;
    scenes::touch(tx, job.scene).await?;
    sqlx::query(INSERT_JOB)
        .bind(&job.id.as_bytes()[..])
        .bind(job.name)
        .bind(&job.scene.digest().as_bytes()[..])
        .bind(job.batch_size)
        .bind(tx.now_ms)
        .bind(as_integer(job.frames.len()))
        .bind(job.priority)
        .bind(job.limits.max_attempts)
        .bind(job.limits.frame_timeout.map(as_ms))
        .bind(job.limits.stall_timeout.map(as_ms))
        .bind(json_text(&job.options)?)
        .bind(frame_order_word(job.options.order))
        .bind(json_text(&job.requirements)?)
        .bind(owner)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if let Some(Idempotency { key, body }) = job.idempotency {
        sqlx::query(KEEP_KEY)
            .bind(key)
            .bind(&body.as_bytes()[..])
            .bind(&job.id.as_bytes()[..])
            .bind(key_owner)
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
    }
    for run in job.frames.runs() {
        shelve(tx, job.id, Shelf::Pending, Shelved::fresh(*run)).await?;
    }
    events::note(tx, EventKind::JobSubmitted, &Subject::job(job.id), &in_short(&job.frames)).await?;
    tx.work_made();
    Ok(job.id)
}

/// A list of frames for a person's eye: the first runs, and how many there are.
fn in_short(frames: &FrameList) -> String {
    let runs: Vec<_> = frames.runs().iter().take(RUNS_TOLD).map(ToString::to_string).collect();
    let more = if frames.runs().len() > RUNS_TOLD { ", …" } else { "" };
    format!("{}{more} ({} frames)", runs.join(","), frames.len())
}

async fn submitted_before(tx: &mut Tx, idempotency: &Idempotency, owner: &[u8]) -> Result<Option<JobId>, StoreError> {
    let row = sqlx::query(BY_KEY).bind(idempotency.key.clone()).bind(owner.to_vec()).fetch_optional(&mut tx.conn);
    let row = row.await.map_err(database_error)?;
    let Some(row) = row else { return Ok(None) };
    if digest(&row, "body_sha256")? != idempotency.body {
        return Err(StoreError::KeyReused);
    }
    job_id(&row, "job_id").map(Some)
}

/// Changes a job's counters; a job that is left with nothing pending and nothing leased has ended.
pub(super) async fn change_counts(tx: &mut Tx, job: JobId, change: CountChange) -> Result<(), StoreError> {
    let row = sqlx::query(CHANGE_COUNTS)
        .bind(&job.as_bytes()[..])
        .bind(change.pending)
        .bind(change.leased)
        .bind(change.done)
        .bind(change.failed)
        .bind(tx.now_ms)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let over = count(&row, "pending")? + count(&row, "leased")? == 0;
    if over && text(&row, "control")? != Control::Cancelled.word() {
        let completed = count(&row, "done")? == count(&row, "total")?;
        let kind = if completed { EventKind::JobCompleted } else { EventKind::JobFailed };
        events::note(tx, kind, &Subject::job(job), "").await?;
    }
    Ok(())
}

pub(super) async fn label(readers: &SqlitePool, job: JobId) -> Result<JobLabel, StoreError> {
    let row = sqlx::query(LABEL)
        .bind(&job.as_bytes()[..])
        .fetch_optional(readers)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownJob(job))?;
    Ok(JobLabel { name: optional_text(&row, "name")?, recorded: count(&row, "recorded")? })
}

pub(super) async fn under_way(readers: &SqlitePool) -> Result<Vec<JobFiles>, StoreError> {
    let rows = sqlx::query(UNDER_WAY).fetch_all(readers).await.map_err(database_error)?;
    let mut jobs: BTreeMap<JobId, JobFiles> = BTreeMap::new();
    for row in &rows {
        let job = job_id(row, "id")?;
        let name = optional_text(row, "name")?;
        let files = jobs.entry(job).or_insert_with(|| JobFiles { job, name, outputs: Vec::new(), others: Vec::new() });
        files.others.extend(optional_text(row, "thumbnail_key")?);
        let Some(key) = optional_text(row, "blob_key")? else { continue };
        if integer(row, "current")? == 1 {
            files.outputs.push((relative_path(row, "file")?, key));
        } else {
            files.others.push(key);
        }
    }
    Ok(jobs.into_values().collect())
}
