//! Attempts: what became of each try at a frame, and what follows from one that brought none.

use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, JobId};
use haywain_shared::job::{AttemptReport, EventKind};
use haywain_shared::protocol::Stage;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::agents;
use super::columns::{
    agent_id, as_integer, as_ms, count, database_error, frame, integer, job_id, moment, optional_cause, optional_count,
    small, text,
};
use super::events::{self, Subject};
use super::grants::Company;
use super::leases::{self, Fate, LeaseRow};
use super::refusals;
use super::shelves::PickyWish;
use super::writer::Tx;
use crate::queue::retry::{
    Decision, History, PICKY, Refusal, STREAK, SecondOpinion, Streak, Wish, decide, streak, wish,
};
use crate::store::{Failure, StoreError};

const INSERT: &str = "/* insert attempt */
    INSERT INTO attempts (job_id, frame, epoch, generation, agent_id, ended_ms, outcome, message, log_tail, render_ms,
        peak_memory_bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT DO UPDATE SET
        ended_ms = excluded.ended_ms, outcome = excluded.outcome, message = excluded.message,
        log_tail = excluded.log_tail, render_ms = excluded.render_ms, peak_memory_bytes = excluded.peak_memory_bytes,
        refusal = excluded.refusal";
const CAUSES: &str = "/* causes of a frame */
    SELECT outcome FROM attempts
    WHERE job_id = ?1 AND frame = ?2 AND generation = ?3 AND refusal = 0
        AND epoch > (SELECT forgiven_epoch FROM jobs WHERE id = ?1)";
const LATEST_OF_AGENT: &str = "/* latest attempts of an agent */
    SELECT job_id, outcome FROM attempts WHERE agent_id = ?1 AND refusal = 0 ORDER BY ended_ms DESC, epoch DESC LIMIT ?2";
const REFUSED: &str = "/* attempt that was a refusal */
    UPDATE attempts SET refusal = 1 WHERE job_id = ?1 AND frame = ?2 AND epoch = ?3";
const MAX_ATTEMPTS: &str = "/* attempts that a job allows */ SELECT max_attempts FROM jobs WHERE id = ?1";
const DOUBT: &str = "/* doubt a job's scene */
    INSERT INTO job_doubts (job_id, agent_id, until_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms";
const DOUBTS: &str = "/* doubts about a job's scene */ SELECT agent_id, until_ms FROM job_doubts WHERE job_id = ?1";
const SET_FAULT: &str = "/* set a job's fault */
    UPDATE jobs SET fault_cause = ?2, fault_message = ?3 WHERE id = ?1 AND fault_cause IS NULL";
const GIVE_UP_PENDING: &str = "/* give up pending ranges */
    UPDATE ranges SET state = 'failed', picky_until_ms = NULL, avoid_agent = NULL, min_memory_bytes = NULL
    WHERE job_id = ?1 AND state = 'pending'";
const GIVE_UP_COUNTS: &str = "/* give up pending counts */
    UPDATE jobs SET failed = failed + pending, pending = 0 WHERE id = ?1";
const HOLDS: &str = "/* lease holds a frame */
    SELECT EXISTS (SELECT 1 FROM lease_frames WHERE epoch = ?1 AND frame = ?2) AS holds";
// What they say is measured first, the latest first: of the texts of ten thousand only so much is read. ?3 how much.
const OF_JOB: &str = "/* attempts of a job */
    SELECT frame, attempts.generation, attempts.epoch, attempts.agent_id, agents.name, granted_ms, attempts.ended_ms,
        outcome, CASE WHEN text_bytes <= ?3 THEN message ELSE '' END AS message,
        CASE WHEN text_bytes <= ?3 THEN log_tail ELSE '' END AS log_tail, render_ms, peak_memory_bytes
    FROM (SELECT job_id, frame, epoch, sum(size_bytes) OVER (ORDER BY ended_ms DESC, epoch DESC, frame DESC) AS text_bytes
          FROM (SELECT job_id, frame, epoch, ended_ms, octet_length(message) + octet_length(log_tail) AS size_bytes
                FROM attempts
                WHERE job_id = (SELECT id FROM jobs WHERE id = ?1 AND removed_ms IS NULL) AND (?2 IS NULL OR frame = ?2)
                ORDER BY ended_ms, epoch, frame LIMIT 10000))
        JOIN attempts USING (job_id, frame, epoch)
        JOIN leases ON leases.epoch = attempts.epoch JOIN agents ON agents.id = attempts.agent_id
    ORDER BY attempts.ended_ms, attempts.epoch, frame";
/// How much of what attempts have said is told at once, in bytes.
const MAX_TEXT_BYTES: i64 = 8 * 1024 * 1024;

/// The outcome of an attempt that brought a frame.
const DONE: &str = "done";

/// An attempt that ended without a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) frame: FrameNumber,
    pub(super) cause: Cause,
    pub(super) stage: Stage,
    pub(super) message: &'a str,
    pub(super) log_tail: &'a str,
    pub(super) peak_bytes: Option<u64>,
}

/// Keeps an attempt that brought its frame, perhaps after it had been given up for lost.
pub(super) async fn succeeded(
    tx: &mut Tx,
    lease: &LeaseRow,
    frame: FrameNumber,
    render_ms: u64,
    peak_bytes: Option<u64>,
) -> Result<(), StoreError> {
    insert(tx, lease, frame, DONE, ("", ""), Some(render_ms), peak_bytes).await
}

async fn insert(
    tx: &mut Tx,
    lease: &LeaseRow,
    frame: FrameNumber,
    outcome: &'static str,
    (message, log_tail): (&str, &str),
    render_ms: Option<u64>,
    peak_bytes: Option<u64>,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.epoch)
        .bind(lease.generation)
        .bind(&lease.agent.as_bytes()[..])
        .bind(tx.now_ms)
        .bind(outcome)
        .bind(message)
        .bind(log_tail)
        .bind(render_ms.map(as_integer))
        .bind(peak_bytes.map(as_integer))
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// What an agent reports.
pub(super) async fn fail(tx: &mut Tx, failure: Failure, company: Company) -> Result<(), StoreError> {
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
    let ended = Ended {
        frame: failure.frame,
        cause: failure.cause,
        stage: failure.stage,
        message: &failure.message,
        log_tail: &failure.log_tail,
        peak_bytes: failure.peak_memory_bytes,
    };
    failed(tx, &lease, ended, company).await?;
    leases::end_if_empty(tx, lease.id, lease.epoch).await
}

/// Keeps a failed attempt at a frame that the lease holds, and does what the rules say follows.
pub(super) async fn failed(
    tx: &mut Tx,
    lease: &LeaseRow,
    ended: Ended<'_>,
    company: Company,
) -> Result<(), StoreError> {
    let Ended { frame, cause, message, log_tail, peak_bytes, stage: _ } = ended;
    insert(tx, lease, frame, cause.word(), (message, log_tail), None, peak_bytes).await?;
    let about = Subject::job(lease.job).by(lease.agent).at(frame);
    events::note(tx, EventKind::AttemptFailed, &about, &format!("{cause}: {message}")).await?;
    if cause == Cause::DeviceUnavailable && refusals::judge(tx, lease, &ended).await? != Refusal::No {
        refused(tx, lease, frame).await?;
        return leases::let_go(tx, lease, [frame], Fate::Pending).await.map(drop);
    }
    let max_attempts = max_attempts(tx, lease.job).await?;
    let opinion =
        if cause.is_the_scenes_fault() { second_opinion(tx, lease, company).await? } else { SecondOpinion::Open };
    match decide(cause, history(tx, lease, frame).await?, max_attempts, opinion) {
        Decision::TryAgain => {
            leases::let_go(tx, lease, [frame], try_again(tx, lease, &ended)).await?;
        }
        Decision::GiveUpFrame => {
            if leases::let_go(tx, lease, [frame], Fate::Failed).await? > 0 {
                events::note(tx, EventKind::FrameFailed, &about, cause.word()).await?;
            }
        }
        Decision::GiveUpJob => {
            give_up_job(tx, lease.job, &ended).await?;
            leases::let_go(tx, lease, [frame], Fate::Failed).await?;
        }
    }
    match streak(&latest_of_agent(tx, lease.agent).await?) {
        Streak::None => Ok(()),
        Streak::OnOneJob => refusals::leave_to_others(tx, lease, cause).await,
        Streak::OnSeveralJobs => agents::set_aside_for_a_while(tx, lease.agent).await,
    }
}

/// Takes an attempt for none.
async fn refused(tx: &mut Tx, lease: &LeaseRow, frame: FrameNumber) -> Result<(), StoreError> {
    sqlx::query(REFUSED)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.epoch)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// How a frame that is tried again is picky about its next agent.
fn try_again(tx: &Tx, lease: &LeaseRow, ended: &Ended<'_>) -> Fate {
    let until_ms = tx.now_ms + as_ms(PICKY);
    let picky = |more_memory_than| Fate::PendingFor(PickyWish { until_ms, avoid: lease.agent, more_memory_than });
    match (wish(ended.cause), ended.peak_bytes) {
        (Wish::None, _) => Fate::Pending,
        (Wish::MoreMemory, Some(peak_bytes)) => picky(Some(peak_bytes)),
        (Wish::MoreMemory, None) | (Wish::AnotherAgent, _) => picky(None),
    }
}

async fn max_attempts(tx: &mut Tx, job: JobId) -> Result<u32, StoreError> {
    let row =
        sqlx::query(MAX_ATTEMPTS).bind(&job.as_bytes()[..]).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    small(&row, "max_attempts")
}

async fn history(tx: &mut Tx, lease: &LeaseRow, frame: FrameNumber) -> Result<History, StoreError> {
    let rows = sqlx::query(CAUSES)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.generation)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let causes = rows.iter().map(|row| optional_cause(row, "outcome")).collect::<Result<Vec<_>, _>>()?;
    Ok(History::of(causes.into_iter().flatten()))
}

/// The agent doubts the scene. Whether another is still to be asked: until then, this one gets no more of the job. An agent
/// that says so twice, after nobody else has come to look, is believed.
async fn second_opinion(tx: &mut Tx, lease: &LeaseRow, company: Company) -> Result<SecondOpinion, StoreError> {
    let (job, agent) = (&lease.job.as_bytes()[..], &lease.agent.as_bytes()[..]);
    let doubts = sqlx::query(DOUBTS).bind(job).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    let mut settled = company.others == 0;
    for doubt in &doubts {
        let waits_for_ms = integer(doubt, "until_ms")? - tx.now_ms;
        // A wait that is longer than any is from before the wall's clock was set back.
        settled |= agent_id(doubt, "agent_id")? != lease.agent || !(1..=as_ms(PICKY)).contains(&waits_for_ms);
    }
    sqlx::query(DOUBT)
        .bind(job)
        .bind(agent)
        .bind(tx.now_ms + as_ms(PICKY))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(if settled { SecondOpinion::Settled } else { SecondOpinion::Open })
}

async fn latest_of_agent(tx: &mut Tx, agent: AgentId) -> Result<Vec<(JobId, Option<Cause>)>, StoreError> {
    let rows = sqlx::query(LATEST_OF_AGENT)
        .bind(&agent.as_bytes()[..])
        .bind(as_integer(STREAK as u64))
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    rows.iter().map(|row| Ok((job_id(row, "job_id")?, optional_cause(row, "outcome")?))).collect()
}

async fn give_up_job(tx: &mut Tx, job: JobId, ended: &Ended<'_>) -> Result<(), StoreError> {
    let job_bytes = &job.as_bytes()[..];
    sqlx::query(SET_FAULT)
        .bind(job_bytes)
        .bind(ended.cause.word())
        .bind(ended.message)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    sqlx::query(GIVE_UP_PENDING).bind(job_bytes).execute(&mut tx.conn).await.map_err(database_error)?;
    sqlx::query(GIVE_UP_COUNTS).bind(job_bytes).execute(&mut tx.conn).await.map(drop).map_err(database_error)
}

pub(super) async fn of_job(
    readers: &SqlitePool,
    job: JobId,
    frame: Option<FrameNumber>,
) -> Result<Vec<AttemptReport>, StoreError> {
    let rows = sqlx::query(OF_JOB)
        .bind(&job.as_bytes()[..])
        .bind(frame.map(FrameNumber::get))
        .bind(MAX_TEXT_BYTES)
        .fetch_all(readers)
        .await
        .map_err(database_error)?;
    rows.iter().map(attempt).collect()
}

fn attempt(row: &SqliteRow) -> Result<AttemptReport, StoreError> {
    Ok(AttemptReport {
        frame: frame(row, "frame")?,
        generation: small(row, "generation")?,
        epoch: count(row, "epoch")?,
        agent_id: agent_id(row, "agent_id")?,
        agent: text(row, "name")?,
        leased_at: moment(row, "granted_ms")?,
        ended_at: moment(row, "ended_ms")?,
        cause: optional_cause(row, "outcome")?,
        message: text(row, "message")?,
        log_tail: text(row, "log_tail")?,
        render_ms: optional_count(row, "render_ms")?,
        peak_memory_bytes: optional_count(row, "peak_memory_bytes")?,
    })
}
