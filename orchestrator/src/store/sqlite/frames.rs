//! Frames that come back, or don't: the two ways in which an attempt ends.

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::protocol::UploadOutcome;
use sqlx::SqliteConnection;

use super::columns::{as_integer, database_error, integer, lease_id, range, text};
use super::jobs::{CountChange, Shelf, change_counts, shelve};
use super::leases::{self, LeaseRow};
use super::writer::Tx;
use crate::queue::retry::{Decision, History, decide};
use crate::store::{Failure, RenderedFrame, StoreError, StoredFile};

const RECORDED_BY: &str = "/* recorded by */ SELECT epoch FROM frames WHERE job_id = ?1 AND frame = ?2";
const HOLDERS: &str = "/* holders of a frame */
    SELECT lease_frames.epoch, leases.id FROM lease_frames JOIN leases USING (epoch)
    WHERE lease_frames.job_id = ?1 AND frame = ?2";
const SHELVED: &str = "/* shelved range up to a frame */
    SELECT first, last FROM ranges WHERE job_id = ?1 AND state = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1";
const INSERT_FRAME: &str = "/* insert frame */
    INSERT INTO frames (job_id, frame, epoch, recorded_ms, render_ms, peak_memory_bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_FILE: &str = "/* insert frame file */
    INSERT INTO frame_files (job_id, frame, name, blob_key, size_bytes, sha256, width, height)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const ADD_SHARE: &str = "/* add to an agent's share */
    INSERT INTO job_agents (job_id, agent_id, frames, render_ms) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT DO UPDATE SET frames = frames + 1, render_ms = render_ms + excluded.render_ms";
const INSERT_ATTEMPT: &str = "/* insert failed attempt */
    INSERT INTO failed_attempts (job_id, frame, epoch, ended_ms, cause, message, log_tail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const CAUSES: &str = "/* causes of a frame */ SELECT cause FROM failed_attempts WHERE job_id = ?1 AND frame = ?2";
const HOLDS: &str = "/* lease holds a frame */
    SELECT EXISTS (SELECT 1 FROM lease_frames WHERE epoch = ?1 AND frame = ?2) AS holds";
const SET_FAULT: &str = "/* set a job's fault */
    UPDATE jobs SET fault_cause = ?2, fault_message = ?3 WHERE id = ?1 AND fault_cause IS NULL";
const GIVE_UP_PENDING: &str = "/* give up pending ranges */
    UPDATE ranges SET state = 'failed' WHERE job_id = ?1 AND state = 'pending'";
const GIVE_UP_COUNTS: &str = "/* give up pending counts */
    UPDATE jobs SET failed = failed + pending, pending = 0 WHERE id = ?1";

/// An attempt that ended without a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndedAttempt<'a> {
    pub(super) frame: FrameNumber,
    pub(super) cause: Cause,
    pub(super) message: &'a str,
    pub(super) log_tail: &'a str,
}

/// The lease that a frame is delivered under, if it can be: the job is its job, and the frame was in its batch.
pub(super) async fn lease_of(
    conn: &mut SqliteConnection,
    lease: LeaseId,
    job: JobId,
    frame: FrameNumber,
) -> Result<LeaseRow, StoreError> {
    let row = leases::find(conn, lease).await?;
    if row.job == job && row.frames.contains(frame) { Ok(row) } else { Err(StoreError::NotInLease { lease, frame }) }
}

/// What is to be answered for a frame that somebody has recorded already.
pub(super) async fn recorded(
    conn: &mut SqliteConnection,
    lease: &LeaseRow,
    frame: FrameNumber,
) -> Result<Option<UploadOutcome>, StoreError> {
    let row = sqlx::query(RECORDED_BY)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .fetch_optional(conn)
        .await
        .map_err(database_error)?;
    let Some(row) = row else { return Ok(None) };
    let own = integer(&row, "epoch")? == lease.epoch;
    Ok(Some(if own { UploadOutcome::AlreadyRecorded } else { UploadOutcome::Superseded }))
}

pub(super) async fn record(tx: &mut Tx, rendered: RenderedFrame) -> Result<UploadOutcome, StoreError> {
    let frame = rendered.frame;
    let lease = lease_of(&mut tx.conn, rendered.lease, rendered.job, frame).await?;
    if let Some(outcome) = recorded(&mut tx.conn, &lease, frame).await? {
        return Ok(outcome);
    }
    let taken = take_from_wherever_it_is(tx, lease.job, frame).await?;
    change_counts(tx, lease.job, CountChange { done: 1, ..taken }).await?;
    sqlx::query(INSERT_FRAME)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.epoch)
        .bind(tx.now_ms)
        .bind(as_integer(rendered.render_ms))
        .bind(rendered.peak_memory_bytes.map(as_integer))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    for file in rendered.files {
        insert_file(tx, lease.job, frame, file).await?;
    }
    sqlx::query(ADD_SHARE)
        .bind(&lease.job.as_bytes()[..])
        .bind(&lease.agent.as_bytes()[..])
        .bind(as_integer(rendered.render_ms))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(UploadOutcome::Recorded)
}

async fn insert_file(tx: &mut Tx, job: JobId, frame: FrameNumber, file: StoredFile) -> Result<(), StoreError> {
    sqlx::query(INSERT_FILE)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .bind(file.name)
        .bind(file.blob_key)
        .bind(as_integer(file.size_bytes))
        .bind(&file.sha256.as_bytes()[..])
        .bind(file.width)
        .bind(file.height)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// Takes a frame that is not done out of its home, which is one of three, and says which counter that lowers.
async fn take_from_wherever_it_is(tx: &mut Tx, job: JobId, frame: FrameNumber) -> Result<CountChange, StoreError> {
    let holders = sqlx::query(HOLDERS)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    for holder in &holders {
        let epoch = integer(holder, "epoch")?;
        leases::take_from_lease(tx, epoch, frame).await?;
        leases::end_if_empty(tx, lease_id(holder, "id")?, epoch).await?;
    }
    if !holders.is_empty() {
        return Ok(CountChange { leased: -1, ..CountChange::default() });
    }
    if take_from_shelf(tx, job, Shelf::Pending, frame).await? {
        return Ok(CountChange { pending: -1, ..CountChange::default() });
    }
    if take_from_shelf(tx, job, Shelf::Failed, frame).await? {
        return Ok(CountChange { failed: -1, ..CountChange::default() });
    }
    Err(StoreError::Inconsistent(format!("frame {frame} of job {job} is nowhere")))
}

/// Takes one frame out of a shelved range, leaving what is before and after it; false when it is in none.
async fn take_from_shelf(tx: &mut Tx, job: JobId, shelf: Shelf, frame: FrameNumber) -> Result<bool, StoreError> {
    let row = sqlx::query(SHELVED)
        .bind(&job.as_bytes()[..])
        .bind(shelf.word())
        .bind(frame.get())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let Some(whole) = row.map(|row| range(&row)).transpose()?.filter(|range| range.contains(frame)) else {
        return Ok(false);
    };
    leases::delete_range(tx, job, shelf, whole).await?;
    for rest in around(whole, frame) {
        shelve(tx, job, shelf, rest).await?;
    }
    Ok(true)
}

/// What is left of `whole` before and after `frame`, which is in it.
fn around(whole: FrameRange, frame: FrameNumber) -> impl Iterator<Item = FrameRange> {
    let (head, tail) = whole.split(FrameRange::new(whole.first(), frame).map_or(1, FrameRange::len));
    let before = (head.len() > 1).then(|| head.split(head.len() - 1).0);
    before.into_iter().chain(tail)
}

pub(super) async fn fail(tx: &mut Tx, failure: Failure) -> Result<(), StoreError> {
    let lease = leases::find(&mut tx.conn, failure.lease).await?;
    let holds = sqlx::query(HOLDS)
        .bind(lease.epoch)
        .bind(failure.frame.get())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if integer(&holds, "holds")? == 0 {
        // A repetition, or word of an attempt that others have gone on from. Either way it changes nothing.
        return Ok(());
    }
    let attempt = EndedAttempt {
        frame: failure.frame,
        cause: failure.cause,
        message: &failure.message,
        log_tail: &failure.log_tail,
    };
    attempt_ended(tx, &lease, attempt).await?;
    leases::end_if_empty(tx, lease.id, lease.epoch).await
}

/// Keeps a failed attempt at a frame that the lease holds, and does what the rules say follows.
pub(super) async fn attempt_ended(tx: &mut Tx, lease: &LeaseRow, attempt: EndedAttempt<'_>) -> Result<(), StoreError> {
    sqlx::query(INSERT_ATTEMPT)
        .bind(&lease.job.as_bytes()[..])
        .bind(attempt.frame.get())
        .bind(lease.epoch)
        .bind(tx.now_ms)
        .bind(attempt.cause.word())
        .bind(attempt.message)
        .bind(attempt.log_tail)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    match decide(attempt.cause, history(tx, lease.job, attempt.frame).await?) {
        Decision::TryAgain => leases::let_go(tx, lease, [attempt.frame], Shelf::Pending).await,
        Decision::GiveUpFrame => leases::let_go(tx, lease, [attempt.frame], Shelf::Failed).await,
        Decision::GiveUpJob => {
            give_up_job(tx, lease.job, attempt).await?;
            leases::let_go(tx, lease, [attempt.frame], Shelf::Failed).await
        }
    }
}

async fn history(tx: &mut Tx, job: JobId, frame: FrameNumber) -> Result<History, StoreError> {
    let rows = sqlx::query(CAUSES)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let words = rows.iter().map(|row| text(row, "cause")).collect::<Result<Vec<_>, _>>()?;
    Ok(History::of(words.iter().filter_map(|word| Cause::from_word(word))))
}

async fn give_up_job(tx: &mut Tx, job: JobId, attempt: EndedAttempt<'_>) -> Result<(), StoreError> {
    let job_bytes = &job.as_bytes()[..];
    sqlx::query(SET_FAULT)
        .bind(job_bytes)
        .bind(attempt.cause.word())
        .bind(attempt.message)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    sqlx::query(GIVE_UP_PENDING).bind(job_bytes).execute(&mut tx.conn).await.map_err(database_error)?;
    sqlx::query(GIVE_UP_COUNTS).bind(job_bytes).execute(&mut tx.conn).await.map(drop).map_err(database_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64) -> FrameRange {
        FrameRange::new(from.try_into().unwrap(), to.try_into().unwrap()).unwrap()
    }

    #[test]
    fn taking_a_frame_leaves_what_is_around_it() {
        let cases = [
            (range(1, 5), 3, vec![range(1, 2), range(4, 5)]),
            (range(1, 5), 1, vec![range(2, 5)]),
            (range(1, 5), 5, vec![range(1, 4)]),
            (range(1, 5), 2, vec![range(1, 1), range(3, 5)]),
            (range(7, 7), 7, vec![]),
        ];
        for (whole, frame, rest) in cases {
            assert_eq!(around(whole, frame.try_into().unwrap()).collect::<Vec<_>>(), rest, "{whole} without {frame}");
        }
    }
}
