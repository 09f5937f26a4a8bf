//! What people do to jobs: each move is refused where it makes no sense, with the reason.

use haywain_shared::frames::{FrameNumber, FrameRange, runs};
use haywain_shared::ids::JobId;
use haywain_shared::job::{EventKind, FrameCounts, JobState};

use super::columns::{as_integer, database_error, frame, small};
use super::events::{self, Subject};
use super::jobs::{CountChange, change_counts};
use super::leases;
use super::report;
use super::shelves::{Shelf, Shelved, shelve};
use super::writer::Tx;
use crate::queue::state::Control;
use crate::store::{JobCommand, StoreError};

const JOB: &str = "/* job to control */
    SELECT total, pending, leased, done, failed, started_ms, control FROM jobs WHERE id = ?1 AND removed_ms IS NULL";
const SET_CONTROL: &str = "/* set control */
    UPDATE jobs SET control = ?2, ended_ms = CASE ?2 WHEN 'cancelled' THEN ?3 ELSE ended_ms END,
        waiting_since_ms = CASE WHEN ?2 = 'active' AND pending > 0 THEN ?3 ELSE waiting_since_ms END
    WHERE id = ?1";
const SET_PRIORITY: &str = "/* set priority */ UPDATE jobs SET priority = ?2 WHERE id = ?1";
const RETRY: &str =
    "/* retry failed frames */ UPDATE ranges SET state = 'pending' WHERE job_id = ?1 AND state = 'failed'";
const FORGIVE: &str = "/* forgive attempts */
    UPDATE jobs SET fault_cause = NULL, fault_message = NULL,
        forgiven_epoch = (SELECT coalesce(max(epoch), 0) FROM leases)
    WHERE id = ?1";
const TRUST: &str = "/* forget doubts */ DELETE FROM job_doubts WHERE job_id = ?1";
const ASK_AGAIN: &str = "/* forget refusals */ DELETE FROM job_refusals WHERE job_id = ?1";
const DONE_WITHIN: &str = "/* done frames within */
    SELECT frame, generation FROM frames
    WHERE job_id = ?1 AND current = 1 AND frame BETWEEN ?2 AND ?3 ORDER BY frame";
const MAKE_HISTORY: &str = "/* make an output history */
    UPDATE frames SET current = 0 WHERE job_id = ?1 AND frame = ?2 AND current = 1";

pub(super) async fn control(tx: &mut Tx, job: JobId, command: JobCommand) -> Result<(), StoreError> {
    let (state, counts) = state_of(tx, job).await?;
    if let Some(reason) = illegal(&command, state, counts) {
        return Err(StoreError::IllegalMove(format!("job {job} {reason}")));
    }
    match command {
        JobCommand::Cancel => {
            set_control(tx, job, Control::Cancelled).await?;
            leases::end_all_of_job(tx, job).await?;
            events::note(tx, EventKind::JobCancelled, &Subject::job(job), "").await
        }
        JobCommand::Pause => {
            set_control(tx, job, Control::Paused).await?;
            changed(tx, job, "paused").await
        }
        JobCommand::Resume => {
            set_control(tx, job, Control::Active).await?;
            tx.work_made();
            changed(tx, job, "resumed").await
        }
        JobCommand::RetryFailed => {
            retry(tx, job, counts).await?;
            changed(tx, job, "failed frames are tried again").await
        }
        JobCommand::Rerender(ranges) => {
            let frames = rerender(tx, job, &ranges).await?;
            changed(tx, job, &format!("{frames} frames are rendered anew")).await
        }
        JobCommand::SetPriority(priority) => {
            sqlx::query(SET_PRIORITY)
                .bind(&job.as_bytes()[..])
                .bind(priority)
                .execute(&mut tx.conn)
                .await
                .map_err(database_error)?;
            changed(tx, job, &format!("priority {priority}")).await
        }
    }
}

/// Why a command makes no sense for a job in some state; `None` when it does.
fn illegal(command: &JobCommand, state: JobState, counts: FrameCounts) -> Option<&'static str> {
    match (command, state) {
        (_, JobState::Cancelled) => Some("is cancelled: submit it anew"),
        (JobCommand::Cancel | JobCommand::Pause | JobCommand::SetPriority(_), JobState::Completed) => {
            Some("is completed: there is nothing left to do")
        }
        (JobCommand::Cancel | JobCommand::Pause | JobCommand::SetPriority(_), JobState::Failed) => {
            Some("has failed: there is nothing left to do; its failed frames can be retried")
        }
        (JobCommand::Pause, JobState::Paused) => Some("is paused already"),
        (JobCommand::Resume, JobState::Paused) => None,
        (JobCommand::Resume, _) => Some("is not paused"),
        (JobCommand::RetryFailed, _) if counts.failed == 0 => Some("has no failed frames"),
        (JobCommand::Rerender(_), _) if counts.done == 0 => Some("has no done frames"),
        _ => None,
    }
}

pub(super) async fn state_of(tx: &mut Tx, job: JobId) -> Result<(JobState, FrameCounts), StoreError> {
    let row = sqlx::query(JOB)
        .bind(&job.as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownJob(job))?;
    Ok((report::state(&row)?, report::counts(&row)?))
}

async fn set_control(tx: &mut Tx, job: JobId, control: Control) -> Result<(), StoreError> {
    sqlx::query(SET_CONTROL)
        .bind(&job.as_bytes()[..])
        .bind(control.word())
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

async fn changed(tx: &mut Tx, job: JobId, how: &str) -> Result<(), StoreError> {
    events::note(tx, EventKind::JobChanged, &Subject::job(job), how).await
}

async fn retry(tx: &mut Tx, job: JobId, counts: FrameCounts) -> Result<(), StoreError> {
    for sql in [RETRY, FORGIVE, TRUST, ASK_AGAIN] {
        sqlx::query(sql).bind(&job.as_bytes()[..]).execute(&mut tx.conn).await.map_err(database_error)?;
    }
    let failed = as_integer(counts.failed);
    change_counts(tx, job, CountChange { pending: failed, failed: -failed, ..CountChange::default() }).await?;
    tx.work_made();
    Ok(())
}

/// Makes the done frames of some ranges pending again, in their next generation. Their outputs stay as history. Returns how
/// many there were.
async fn rerender(tx: &mut Tx, job: JobId, ranges: &[FrameRange]) -> Result<usize, StoreError> {
    let mut frames: Vec<(u32, FrameNumber)> = Vec::new();
    for range in ranges {
        let rows = sqlx::query(DONE_WITHIN)
            .bind(&job.as_bytes()[..])
            .bind(range.first().get())
            .bind(range.last().get())
            .fetch_all(&mut tx.conn)
            .await
            .map_err(database_error)?;
        for row in &rows {
            frames.push((small(row, "generation")?, frame(row, "frame")?));
        }
    }
    frames.sort_unstable();
    frames.dedup();
    if frames.is_empty() {
        return Err(StoreError::IllegalMove(format!("none of these frames of job {job} is done")));
    }
    for (_, frame) in &frames {
        sqlx::query(MAKE_HISTORY)
            .bind(&job.as_bytes()[..])
            .bind(frame.get())
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
    }
    for same in frames.chunk_by(|a, b| a.0 == b.0) {
        for range in runs(same.iter().map(|(_, frame)| *frame)) {
            shelve(tx, job, Shelf::Pending, Shelved::of(range, same[0].0 + 1)).await?;
        }
    }
    let again = as_integer(frames.len() as u64);
    change_counts(tx, job, CountChange { pending: again, done: -again, ..CountChange::default() }).await?;
    tx.work_made();
    Ok(frames.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_legal_where_they_make_sense() {
        use JobState::*;
        let counts = FrameCounts { total: 3, pending: 1, leased: 0, done: 1, failed: 1 };
        #[rustfmt::skip]
        let cases = [
            (JobCommand::Cancel, [Pending, Running, Paused].as_slice()),
            (JobCommand::Pause, &[Pending, Running]),
            (JobCommand::Resume, &[Paused]),
            (JobCommand::RetryFailed, &[Pending, Running, Paused, Completed, Failed]),
            (JobCommand::Rerender(Vec::new()), &[Pending, Running, Paused, Completed, Failed]),
            (JobCommand::SetPriority(1), &[Pending, Running, Paused]),
        ];
        for (command, legal) in cases {
            for state in [Pending, Running, Paused, Completed, Failed, Cancelled] {
                assert_eq!(
                    illegal(&command, state, counts).is_none(),
                    legal.contains(&state),
                    "{command:?}, {state:?}"
                );
            }
        }
        let clean = FrameCounts { total: 1, pending: 1, leased: 0, done: 0, failed: 0 };
        assert!(illegal(&JobCommand::RetryFailed, Running, clean).is_some());
        assert!(illegal(&JobCommand::Rerender(Vec::new()), Running, clean).is_some());
    }
}
