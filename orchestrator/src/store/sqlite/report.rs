//! A job as its watchers see it, read in one transaction so that its parts agree.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameRange, runs};
use haywain_shared::ids::JobId;
use haywain_shared::job::{AgentShare, BatchReport, FailedFrame, FrameCounts, FramesByState, JobReport, SceneFault};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::Memory;
use super::columns::{
    agent_id, count, database_error, frame, integer, lease_id, optional_integer, optional_text, range, scene_id, text,
};
use super::leases::held_frames;
use crate::clock::UnixMs;
use crate::queue::pace::{Progress, WINDOW, frames_per_second, time_left};
use crate::queue::state::{Start, job_state};
use crate::store::StoreError;

const JOB: &str = "/* job */
    SELECT id, name, scene_id, batch_size, created_ms, started_ms, ended_ms, fault_cause, fault_message,
        total, pending, leased, done, failed
    FROM jobs WHERE id = ?1";
const SHELVED: &str =
    "/* shelved ranges */ SELECT first, last FROM ranges WHERE job_id = ?1 AND state = ?2 ORDER BY first";
const LEASED: &str = "/* leased frames */ SELECT DISTINCT frame FROM lease_frames WHERE job_id = ?1 ORDER BY frame";
// Frames in a row have the same distance from their row's number.
const DONE: &str = "/* done runs */
    SELECT min(frame) AS first, max(frame) AS last
    FROM (SELECT frame, frame - row_number() OVER (ORDER BY frame) AS run FROM frames WHERE job_id = ?1)
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
const FAILURES: &str = "/* failed frames by their last attempt */
    SELECT attempt.frame, cause, message, log_tail, agents.name,
        (SELECT count(*) FROM failed_attempts AS other
         WHERE other.job_id = attempt.job_id AND other.frame = attempt.frame) AS attempts
    FROM failed_attempts AS attempt
    JOIN leases USING (epoch) JOIN agents ON agents.id = leases.agent_id
    WHERE attempt.job_id = ?1
        AND epoch = (SELECT max(epoch) FROM failed_attempts AS other
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
    let counts = FrameCounts {
        total: count(&row, "total")?,
        pending: count(&row, "pending")?,
        leased: count(&row, "leased")?,
        done: count(&row, "done")?,
        failed: count(&row, "failed")?,
    };
    let started_ms = optional_integer(&row, "started_ms")?;
    let start = if started_ms.is_some() { Start::Started } else { Start::Untouched };
    let progress = progress(conn, key, counts, started_ms, now_ms).await?;
    Ok(Some(JobReport {
        job_id: job,
        name: optional_text(&row, "name")?,
        scene: scene_id(&row, "scene_id")?,
        state: job_state(counts, start),
        batch_size: u32::try_from(count(&row, "batch_size")?).unwrap_or(u32::MAX),
        created_at: moment(integer(&row, "created_ms")?)?,
        ended_at: optional_integer(&row, "ended_ms")?.map(moment).transpose()?,
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

fn moment(unix_ms: UnixMs) -> Result<jiff::Timestamp, StoreError> {
    jiff::Timestamp::from_millisecond(unix_ms).map_err(|error| StoreError::Inconsistent(error.to_string()))
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
            frame_in_work: term.and_then(|term| term.frame_in_work),
            fraction: term.map_or(0.0, |term| term.fraction),
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

fn cause(row: &SqliteRow, column: &str) -> Result<Option<Cause>, StoreError> {
    Ok(optional_text(row, column)?.as_deref().and_then(Cause::from_word))
}

fn scene_fault(row: &SqliteRow) -> Result<Option<SceneFault>, StoreError> {
    let message = optional_text(row, "fault_message")?.unwrap_or_default();
    Ok(cause(row, "fault_cause")?.map(|cause| SceneFault { cause, message }))
}

async fn failures(conn: &mut SqliteConnection, job: &[u8]) -> Result<Vec<FailedFrame>, StoreError> {
    let rows = sqlx::query(FAILURES).bind(job).fetch_all(conn).await.map_err(database_error)?;
    let failure = |row: &SqliteRow| {
        Ok(FailedFrame {
            frame: frame(row, "frame")?,
            cause: cause(row, "cause")?.unwrap_or(Cause::Crashed),
            message: text(row, "message")?,
            agent: text(row, "name")?,
            attempts: u32::try_from(count(row, "attempts")?).unwrap_or(u32::MAX),
            log_tail: text(row, "log_tail")?,
        })
    };
    rows.iter().map(failure).collect()
}
