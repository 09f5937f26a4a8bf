//! What becomes of each lease that a heartbeat names. A lease that has ended lives on in one way only: the frame in work goes
//! on under a new lease, if nobody else has taken it (invariant I5).

use haywain_shared::frames::runs;
use haywain_shared::protocol::{HeldLease, LeaseStanding, LeaseVerdict, RevokedReason};
use sqlx::SqlitePool;

use super::columns::database_error;
use super::grants::readopt;
use super::leases::{self, LeaseLife, LeaseRow};
use super::writer::Writer;
use crate::queue::state::Control;
use crate::store::{Beat, StoreError};

pub(super) async fn verdicts(
    readers: &SqlitePool,
    writer: &Writer,
    beat: &Beat,
) -> Result<Vec<LeaseVerdict>, StoreError> {
    let mut verdicts = Vec::with_capacity(beat.held.len());
    for held in &beat.held {
        let mut conn = readers.acquire().await.map_err(database_error)?;
        let standing = match leases::find(&mut conn, held.lease_id).await {
            Ok(lease) if lease.agent != beat.agent => LeaseStanding::Revoked { reason: RevokedReason::Unknown },
            Ok(lease) if lease.life == LeaseLife::Live => {
                LeaseStanding::Renewed { frames: runs(leases::held_frames(&mut conn, lease.epoch).await?) }
            }
            Ok(lease) => {
                drop(conn);
                after_the_end(writer, lease, held).await?
            }
            Err(StoreError::UnknownLease(_)) => LeaseStanding::Revoked { reason: RevokedReason::Unknown },
            Err(error) => return Err(error),
        };
        verdicts.push(LeaseVerdict { lease_id: held.lease_id, standing });
    }
    Ok(verdicts)
}

async fn after_the_end(writer: &Writer, lease: LeaseRow, held: &HeldLease) -> Result<LeaseStanding, StoreError> {
    if lease.control == Control::Cancelled {
        return Ok(LeaseStanding::Revoked { reason: RevokedReason::JobCancelled });
    }
    let readopted = match held.frame.filter(|frame| lease.frames.contains(*frame)) {
        Some(frame) => writer.write(move |tx| Box::pin(readopt(tx, lease, frame))).await?,
        None => None,
    };
    Ok(match readopted {
        Some(lease) => {
            tracing::info!(lease = %lease.id, epoch = lease.epoch, job = %lease.job, frames = %lease.frames, "re-adopted");
            LeaseStanding::Readopted { grant: Box::new(lease.into()) }
        }
        None => LeaseStanding::Revoked { reason: RevokedReason::Ended },
    })
}
