//! What a slot works with that is not its own: the line, the book of leases, the outbox, the cache, and where Blenders come from.

use std::sync::Arc;
use std::time::Duration;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::{BlenderBuild, BlenderFacts};
use haywain_shared::scripts::ScriptRule;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::blender::studio::Studio;
use crate::book::{Book, Standing};
use crate::cache::SceneCache;
use crate::delivery::Report;
use crate::leaving::Leaving;
use crate::link::Link;
use crate::memory::Memory;
use crate::outbox::Outbox;
use crate::status::Board;

/// What all slots of an agent share.
#[derive(Clone)]
pub struct Workshop {
    /// The line to the orchestrator.
    pub link: Link,
    /// The leases that are held.
    pub book: Book,
    /// The scenes on this machine.
    pub cache: SceneCache,
    /// Where finished frames go.
    pub outbox: Outbox,
    /// What there is to tell the orchestrator, in order.
    pub reports: mpsc::UnboundedSender<Report>,
    /// Where Blenders come from.
    pub studio: Arc<dyn Studio>,
    /// All that the Blenders here can do.
    pub blenders: Arc<[BlenderFacts]>,
    /// The Blender that looks at scenes for which no job has named one.
    pub blender: BlenderBuild,
    /// For whom Python may run that comes with a scene.
    pub scripts: ScriptRule,
    /// How long the orchestrator holds a lease request.
    pub poll: Duration,
    /// When to take no more, and when to put everything down.
    pub leaving: Leaving,
    /// Where to say how it goes.
    pub board: Board,
    /// What fits on this machine.
    pub memory: Memory,
}

impl Workshop {
    /// Tells the orchestrator something, after all that was told before.
    pub(super) fn report(&self, report: Report) {
        // The receiver is gone only when the agent has ended.
        let _ = self.reports.send(report);
    }

    /// Whether a frame may be begun. If the lease has run out by the agent's own clock, that is the orchestrator's to say, and
    /// it is waited for; `Unknown` only when the slot closes meanwhile.
    pub(super) async fn settled_standing(
        &self,
        lease: LeaseId,
        frame: FrameNumber,
        closing: &CancellationToken,
    ) -> Standing {
        let mut heartbeats = self.book.changes();
        loop {
            heartbeats.borrow_and_update();
            let standing = self.book.standing(lease, frame);
            if standing != Standing::Unknown {
                return standing;
            }
            tracing::warn!(%lease, %frame, "the lease has run out here: waiting for the orchestrator");
            tokio::select! {
                () = closing.cancelled() => return Standing::Unknown,
                changed = heartbeats.changed() => if changed.is_err() { return Standing::Unknown },
            }
        }
    }
}
