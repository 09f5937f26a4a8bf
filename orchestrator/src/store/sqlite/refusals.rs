//! Refusals: which agents have lately found out that they cannot render which jobs, though nothing told of it before they tried, or have
//! only failed at one that others are at work on.

use std::collections::BTreeMap;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::ids::AgentId;
use haywain_shared::job::EventKind;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::agents;
use super::attempts::Ended;
use super::columns::{as_ms, damaged, database_error, device, integer, text};
use super::events::{self, Subject};
use super::grants::job_of;
use super::leases::LeaseRow;
use super::needs::needs;
use super::writer::Tx;
use crate::clock::UnixMs;
use crate::queue::retry::{ASIDE, REFUSES_FOR, Refusal, STREAK, refusal};
use crate::store::StoreError;

const KEEP: &str = "/* keep an agent's refusal of a job */
    INSERT INTO job_refusals (job_id, agent_id, incarnation, until_ms, message)
    SELECT ?1, id, incarnation, ?3, ?4 FROM agents WHERE id = ?2
    ON CONFLICT DO UPDATE SET
        incarnation = excluded.incarnation, until_ms = excluded.until_ms, message = excluded.message";
// Not counted are those that are to leave it, too: all of them would, and it would stand still. Once is enough to be told.
const IS_LEFT: &str = "/* leave a job to others that are at work on it */
    SELECT EXISTS (SELECT 1 FROM leases WHERE job_id = ?1 AND agent_id <> ?2 AND ended_ms IS NULL
            AND NOT EXISTS (SELECT 1 FROM refusals
                WHERE refusals.job_id = ?1 AND refusals.agent_id = leases.agent_id AND until_ms > ?3))
        AND NOT EXISTS (SELECT 1 FROM refusals WHERE job_id = ?1 AND agent_id = ?2 AND until_ms > ?3) AS is_left";
const CAME_DUE: &str = "/* refusals that are forgotten */
    SELECT EXISTS (SELECT 1 FROM job_refusals WHERE until_ms > ?1 AND until_ms <= ?2) AS due";

/// Whether an attempt that has just ended was a refusal. One that stands is kept.
pub(super) async fn judge(tx: &mut Tx, lease: &LeaseRow, ended: &Ended<'_>) -> Result<Refusal, StoreError> {
    let job = job_of(tx, lease.epoch).await?;
    let agent = agents::known(tx, lease.agent).await?;
    let fit = needs(&job, tx.now_ms)?.fit(&agent.at_rest(lease.agent));
    let matched = fit.ok().map(|fit| fit.device);
    let verdict = refusal(ended.cause, ended.stage, device(&job, "device")?, matched);
    if verdict == Refusal::Standing {
        keep(tx, lease, REFUSES_FOR, ended.message).await?;
    }
    Ok(verdict)
}

/// An agent has failed at a job so often in a row that others are to have it, if any are at work on it.
pub(super) async fn leave_to_others(tx: &mut Tx, lease: &LeaseRow, cause: Cause) -> Result<(), StoreError> {
    let row = sqlx::query(IS_LEFT)
        .bind(&lease.job.as_bytes()[..])
        .bind(&lease.agent.as_bytes()[..])
        .bind(tx.now_ms)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if integer(&row, "is_left")? == 0 {
        return Ok(());
    }
    let why = format!("{STREAK} of its frames in a row failed there, the last one as {cause}");
    tracing::warn!(agent = %lease.agent, job = %lease.job, minutes = ASIDE.as_secs() / 60, "{why}: it is left to others");
    keep(tx, lease, ASIDE, &why).await?;
    events::note(tx, EventKind::AgentChanged, &Subject::job(lease.job).by(lease.agent), &why).await
}

async fn keep(tx: &mut Tx, lease: &LeaseRow, stands_for: Duration, message: &str) -> Result<(), StoreError> {
    sqlx::query(KEEP)
        .bind(&lease.job.as_bytes()[..])
        .bind(&lease.agent.as_bytes()[..])
        .bind(tx.now_ms + as_ms(stands_for))
        .bind(message)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// Those that stand against a job, from the column `refusals`: the agents' ids, until when, and their words.
pub(super) fn standing(row: &SqliteRow, now_ms: UnixMs) -> Result<BTreeMap<AgentId, String>, StoreError> {
    let refusals: Vec<(AgentId, UnixMs, String)> =
        serde_json::from_str(&text(row, "refusals")?).map_err(|_| damaged("refusals"))?;
    // What stands for longer than any is from before the wall's clock was set back.
    let stands = |until_ms: UnixMs| until_ms > now_ms && until_ms <= now_ms + as_ms(REFUSES_FOR);
    Ok(refusals.into_iter().filter(|(_, until_ms, _)| stands(*until_ms)).map(|(agent, _, why)| (agent, why)).collect())
}

/// Whether an agent may be asked again between two moments that has refused a job.
pub(super) async fn came_due(readers: &SqlitePool, after_ms: UnixMs, by_ms: UnixMs) -> Result<bool, StoreError> {
    let row = sqlx::query(CAME_DUE).bind(after_ms).bind(by_ms).fetch_one(readers).await.map_err(database_error)?;
    Ok(integer(&row, "due")? != 0)
}
