//! Backups: a frame of an agent that has fallen silent is begun by another, beside its holder, before the lease runs out.
//! Whoever delivers first is recorded; the other is superseded, which costs nothing.

use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::options::FrameOrder;

use super::agents;
use super::columns::{count, database_error};
use super::grants::{already_granted, job_of, lease_beside};
use super::leases::{self, LeaseLife, LeaseRow};
use super::needs::needs;
use super::writer::Tx;
use crate::queue::state::Control;
use crate::store::{Lease, LeaseAsk, StoreError};

const HOLDERS: &str = "/* holders of a frame */
    SELECT count(*) AS holders FROM lease_frames WHERE job_id = ?1 AND frame = ?2";
const IN_BACKUP: &str = "/* frames of a job in backup */
    SELECT count(*) AS frames FROM (
        SELECT frame FROM lease_frames WHERE job_id = ?1 GROUP BY frame HAVING count(*) > 1)";

/// A job has at most one frame in this many in backup, and at least one.
const SHARE: u64 = 10;

/// A lease whose holder has fallen silent, and the frame that it had in work.
pub(super) type Suspect = (LeaseId, Option<FrameNumber>);

/// Leases a frame of one of `suspects` to the agent that asks, beside its holder; `None` when there is none to lease.
pub(super) async fn grant(tx: &mut Tx, ask: LeaseAsk, suspects: Vec<Suspect>) -> Result<Option<Lease>, StoreError> {
    agents::check(&mut tx.conn, ask.agent, ask.incarnation).await?;
    if let Some(lease) = already_granted(tx, &ask).await? {
        return Ok(Some(lease));
    }
    if !agents::takes_work(tx, ask.agent).await? {
        return Ok(None);
    }
    let agent = agents::known(tx, ask.agent).await?;
    if agent.declines_backups() {
        return Ok(None);
    }
    for (id, in_work) in suspects {
        let lease = leases::find(&mut tx.conn, id).await?;
        if lease.life == LeaseLife::Ended || lease.control != Control::Active {
            continue;
        }
        let needs = needs(&job_of(tx, lease.epoch).await?, tx.now_ms)?;
        if needs.options.order == FrameOrder::Sequential {
            continue;
        }
        let Ok(fit) = needs.fit(&agent.applicant(&ask)) else { continue };
        if let Some(frame) = frame_to_back_up(tx, &lease, in_work).await? {
            tracing::info!(job = %lease.job, %frame, agent = %ask.agent, silent = %lease.agent, "backup leased");
            return lease_beside(tx, &lease, FrameRange::single(frame), fit, &ask).await.map(Some);
        }
    }
    Ok(None)
}

/// The frame of a silent agent's lease that is worth beginning elsewhere: the one in work, else the first. None while it has
/// a backup, or the job has as many as it may.
async fn frame_to_back_up(
    tx: &mut Tx,
    lease: &LeaseRow,
    in_work: Option<FrameNumber>,
) -> Result<Option<FrameNumber>, StoreError> {
    let held = leases::held_frames(&mut tx.conn, lease.epoch).await?;
    let Some(frame) = in_work.filter(|frame| held.contains(frame)).or(held.first().copied()) else { return Ok(None) };
    let holders = sqlx::query(HOLDERS)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let free = count(&holders, "holders")? == 1 && in_backup(tx, lease.job).await? < most_in_backup(tx, lease).await?;
    Ok(free.then_some(frame))
}

async fn in_backup(tx: &mut Tx, job: JobId) -> Result<u64, StoreError> {
    let row = sqlx::query(IN_BACKUP).bind(&job.as_bytes()[..]).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    count(&row, "frames")
}

async fn most_in_backup(tx: &mut Tx, lease: &LeaseRow) -> Result<u64, StoreError> {
    Ok((count(&job_of(tx, lease.epoch).await?, "total")? / SHARE).max(1))
}
