//! A job as its watchers see it, read in one transaction so that its parts agree.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameRange, runs};
use haywain_shared::ids::JobId;
use haywain_shared::job::{
    AgentShare, BatchReport, FailedFrame, FrameCounts, FramesByState, JobReport, JobState, JobSummary, SceneFault,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::Memory;
use super::columns::{
    agent_id, count, database_error, device, frame, integer, job_id, lease_id, moment, optional_cause, optional_count,
    optional_integer, optional_moment, optional_text, options, range, requirements, saved_by, scene_id, small, text,
};
use super::leases::held_frames;
use super::sight;
use crate::clock::UnixMs;
use crate::queue::pace::{Progress, WINDOW, frames_per_second, time_left};
use crate::queue::state::{Control, Start, job_state};
use crate::store::{JobFilter, StoreError};

const JOB: &str = "/* job */
    SELECT id, name, scene_id, batch_size, created_ms, started_ms, ended_ms, fault_cause, fault_message,
        priority, max_attempts, frame_timeout_ms, stall_timeout_ms, options, control, total, pending, leased, done, failed,
        requirements, pinned, pinned_device, (SELECT saved_by FROM scenes WHERE scenes.id = scene_id) AS saved_by
    FROM jobs WHERE id = ?1 AND removed_ms IS NULL";
// ?1 the state or nothing, ?2 the job to go on after or nothing, ?3 how many, ?4 whose, ?5 the token.
const LIST: &str = "/* list of jobs */
    SELECT * FROM (
        SELECT id, name, scene_id, priority, created_ms, ended_ms, control, started_ms,
            total, pending, leased, done, failed,
            CASE WHEN control = 'cancelled' THEN 'cancelled' WHEN done = total THEN 'completed'
                WHEN pending + leased = 0 THEN 'failed' WHEN control = 'paused' THEN 'paused'
                WHEN started_ms IS NULL THEN 'pending' ELSE 'running' END AS state
        FROM jobs
        WHERE removed_ms IS NULL
            AND (?4 = 'all' OR ?4 = 'token' AND owner = ?5 OR ?4 = 'nobodys' AND owner IS NULL))
    WHERE (?1 IS NULL OR state = ?1)
        AND (?2 IS NULL OR (created_ms, id) < (SELECT created_ms, id FROM jobs WHERE id = ?2))
    ORDER BY created_ms DESC, id DESC LIMIT ?3";
const SHELVED: &str =
    "/* shelved ranges */ SELECT first, last FROM ranges WHERE job_id = ?1 AND state = ?2 ORDER BY first";
const LEASED: &str = "/* leased frames */ SELECT DISTINCT frame FROM lease_frames WHERE job_id = ?1 ORDER BY frame";
// Frames in a row have the same distance from their row's number.
const DONE: &str = "/* done runs */
    SELECT min(frame) AS first, max(frame) AS last
    FROM (SELECT frame, frame - row_number() OVER (ORDER BY frame) AS run FROM frames WHERE job_id = ?1 AND current = 1)
    GROUP BY run ORDER BY first";
const BATCHES: &str = "/* batches of a job */
    SELECT leases.id, epoch, first, last, agent_id, agents.name
    FROM leases JOIN agents ON agents.id = agent_id
    WHERE epoch IN (SELECT DISTINCT epoch FROM lease_frames WHERE job_id = ?1) ORDER BY epoch";
const SHARES: &str = "/* shares in a job */
    SELECT agent_id, agents.name, frames, render_ms FROM job_agents JOIN agents ON agents.id = agent_id
    WHERE job_id = ?1 ORDER BY agents.name, agent_id";
const LATELY: &str = "/* recorded lately */
    SELECT count(*) AS recorded FROM frames WHERE job_id = ?1 AND recorded_ms > ?2";
// There are a hundred of them, and people ask again and again: of each log the end of its end.
const FAILURES: &str = "/* failed frames by their last attempt */
    SELECT attempt.frame, outcome, message, substr(log_tail, -8192) AS log_tail, agents.name,
        (SELECT count(*) FROM attempts AS other
         WHERE other.job_id = attempt.job_id AND other.frame = attempt.frame) AS attempts
    FROM attempts AS attempt JOIN agents ON agents.id = attempt.agent_id
    WHERE attempt.job_id = ?1 AND outcome <> 'done'
        AND epoch = (SELECT max(epoch) FROM attempts AS other
                     WHERE other.job_id = attempt.job_id AND other.frame = attempt.frame)
        AND EXISTS (SELECT 1 FROM ranges WHERE ranges.job_id = ?1 AND state = 'failed'
                    AND attempt.frame BETWEEN ranges.first AND ranges.last)
    ORDER BY attempt.frame LIMIT 100";

pub(super) async fn report(
    readers: &SqlitePool,
    job: JobId,
    memory: &Memory,
    now_ms: UnixMs,
) -> Result<Option<JobReport>, StoreError> {
    let mut reading = readers.begin().await.map_err(database_error)?;
    let conn = &mut *reading;
    let key = &job.as_bytes()[..];
    let Some(row) = sqlx::query(JOB).bind(key).fetch_optional(&mut *conn).await.map_err(database_error)? else {
        return Ok(None);
    };
    let counts = counts(&row)?;
    let started_ms = optional_integer(&row, "started_ms")?;
    let progress = progress(conn, key, counts, started_ms, now_ms).await?;
    Ok(Some(JobReport {
        job_id: job,
        name: optional_text(&row, "name")?,
        scene: scene_id(&row, "scene_id")?,
        state: state(&row)?,
        batch_size: small(&row, "batch_size")?,
        priority: priority(&row)?,
        max_attempts: small(&row, "max_attempts")?,
        frame_timeout_ms: optional_count(&row, "frame_timeout_ms")?,
        stall_timeout_ms: optional_count(&row, "stall_timeout_ms")?,
        options: options(&row)?,
        requirements: requirements(&row)?,
        saved_by: saved_by(&row)?,
        blender: optional_text(&row, "pinned")?,
        device: device(&row, "pinned_device")?,
        waits_for: Vec::new(),
        created_at: moment(&row, "created_ms")?,
        ended_at: optional_moment(&row, "ended_ms")?,
        counts,
        frames: frames_by_state(conn, key).await?,
        batches: batches(conn, key, memory).await?,
        agents: shares(conn, key).await?,
        frames_per_second: frames_per_second(progress),
        eta_ms: time_left(progress).and_then(|left| u64::try_from(left.as_millis()).ok()),
        scene_fault: scene_fault(&row)?,
        failures: failures(conn, key).await?,
        output_folder: None,
    }))
}

/// Jobs, youngest first.
pub(super) async fn list(readers: &SqlitePool, filter: JobFilter) -> Result<Vec<JobSummary>, StoreError> {
    let state_word = filter.state.map(|state| serde_json::to_value(state).ok()?.as_str().map(str::to_owned));
    let (whose, token) = sight::of_jobs(filter.sight);
    let rows = sqlx::query(LIST)
        .bind(state_word.flatten())
        .bind(filter.before.map(|job| job.as_bytes().to_vec()))
        .bind(filter.limit)
        .bind(whose)
        .bind(token)
        .fetch_all(readers)
        .await
        .map_err(database_error)?;
    rows.iter().map(summary).collect()
}

fn summary(row: &SqliteRow) -> Result<JobSummary, StoreError> {
    Ok(JobSummary {
        job_id: job_id(row, "id")?,
        name: optional_text(row, "name")?,
        scene: scene_id(row, "scene_id")?,
        state: state(row)?,
        priority: priority(row)?,
        created_at: moment(row, "created_ms")?,
        ended_at: optional_moment(row, "ended_ms")?,
        counts: counts(row)?,
    })
}

/// A job's counters.
pub(super) fn counts(row: &SqliteRow) -> Result<FrameCounts, StoreError> {
    Ok(FrameCounts {
        total: count(row, "total")?,
        pending: count(row, "pending")?,
        leased: count(row, "leased")?,
        done: count(row, "done")?,
        failed: count(row, "failed")?,
    })
}

/// The state of a job, from its columns.
pub(super) fn state(row: &SqliteRow) -> Result<JobState, StoreError> {
    let start = if optional_integer(row, "started_ms")?.is_some() { Start::Started } else { Start::Untouched };
    let control = text(row, "control")?;
    let control = Control::from_word(&control).ok_or(StoreError::Inconsistent(control))?;
    Ok(job_state(counts(row)?, start, control))
}

fn priority(row: &SqliteRow) -> Result<i32, StoreError> {
    i32::try_from(integer(row, "priority")?).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

async fn progress(
    conn: &mut SqliteConnection,
    job: &[u8],
    counts: FrameCounts,
    started_ms: Option<UnixMs>,
    now_ms: UnixMs,
) -> Result<Progress, StoreError> {
    let window_ms = UnixMs::try_from(WINDOW.as_millis()).unwrap_or(UnixMs::MAX);
    let since_ms = started_ms.unwrap_or(now_ms).max(now_ms - window_ms);
    let row = sqlx::query(LATELY).bind(job).bind(since_ms).fetch_one(conn).await.map_err(database_error)?;
    Ok(Progress {
        recorded_lately: count(&row, "recorded")?,
        lately: Duration::from_millis(now_ms.saturating_sub(since_ms).unsigned_abs()),
        to_come: counts.pending + counts.leased,
    })
}

async fn frames_by_state(conn: &mut SqliteConnection, job: &[u8]) -> Result<FramesByState, StoreError> {
    let leased = sqlx::query(LEASED).bind(job).fetch_all(&mut *conn).await.map_err(database_error)?;
    let leased = leased.iter().map(|row| frame(row, "frame")).collect::<Result<Vec<_>, _>>()?;
    let done = sqlx::query(DONE).bind(job).fetch_all(&mut *conn).await.map_err(database_error)?;
    Ok(FramesByState {
        pending: shelved(conn, job, "pending").await?,
        leased: runs(leased),
        done: done.iter().map(range).collect::<Result<_, _>>()?,
        failed: shelved(conn, job, "failed").await?,
    })
}

/// Ranges on a shelf, with neighbours joined: the store keeps them as they came.
async fn shelved(conn: &mut SqliteConnection, job: &[u8], state: &str) -> Result<Vec<FrameRange>, StoreError> {
    let rows = sqlx::query(SHELVED).bind(job).bind(state).fetch_all(conn).await.map_err(database_error)?;
    let mut joined: Vec<FrameRange> = Vec::with_capacity(rows.len());
    for row in &rows {
        let next = range(row)?;
        match joined.pop() {
            None => joined.push(next),
            Some(last) => joined.extend(last.join(next)),
        }
    }
    Ok(joined)
}

async fn batches(conn: &mut SqliteConnection, job: &[u8], memory: &Memory) -> Result<Vec<BatchReport>, StoreError> {
    let rows = sqlx::query(BATCHES).bind(job).fetch_all(&mut *conn).await.map_err(database_error)?;
    let mut batches = Vec::with_capacity(rows.len());
    for row in &rows {
        let term = memory.terms().get(lease_id(row, "id")?);
        batches.push(BatchReport {
            frames: range(row)?,
            remaining: runs(held_frames(conn, integer(row, "epoch")?).await?),
            agent_id: agent_id(row, "agent_id")?,
            agent: text(row, "name")?,
            frame_in_work: term.as_ref().and_then(|term| term.frame_in_work),
            fraction: term.as_ref().map_or(0.0, |term| term.fraction),
            log_tail: term.map(|term| term.log_tail).unwrap_or_default(),
        });
    }
    Ok(batches)
}

async fn shares(conn: &mut SqliteConnection, job: &[u8]) -> Result<Vec<AgentShare>, StoreError> {
    let rows = sqlx::query(SHARES).bind(job).fetch_all(conn).await.map_err(database_error)?;
    let share = |row: &SqliteRow| {
        Ok(AgentShare {
            agent_id: agent_id(row, "agent_id")?,
            agent: text(row, "name")?,
            frames: count(row, "frames")?,
            render_ms: count(row, "render_ms")?,
        })
    };
    rows.iter().map(share).collect()
}

fn scene_fault(row: &SqliteRow) -> Result<Option<SceneFault>, StoreError> {
    let message = optional_text(row, "fault_message")?.unwrap_or_default();
    Ok(optional_cause(row, "fault_cause")?.map(|cause| SceneFault { cause, message }))
}

async fn failures(conn: &mut SqliteConnection, job: &[u8]) -> Result<Vec<FailedFrame>, StoreError> {
    let rows = sqlx::query(FAILURES).bind(job).fetch_all(conn).await.map_err(database_error)?;
    let failure = |row: &SqliteRow| {
        Ok(FailedFrame {
            frame: frame(row, "frame")?,
            cause: optional_cause(row, "outcome")?.unwrap_or(Cause::Crashed),
            message: text(row, "message")?,
            agent: text(row, "name")?,
            attempts: small(row, "attempts")?,
            log_tail: text(row, "log_tail")?,
        })
    };
    rows.iter().map(failure).collect()
}
