//! Where a Blender of a slot lives: a folder, an account of the machine's memory, and the session, if there is one. A slot has two
//! berths: in one it renders; in the other it opens, while the last frame of a batch renders, the scene of the next.

use std::path::PathBuf;

use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::{FailureReport, Stage};

use super::warmth::Warm;
use super::{Next, Workshop};
use crate::blender::session::Failure;
use crate::delivery::Report;
use crate::memory::{Account, LEAST_SESSION_BYTES, Stopped};

/// How an attempt ended that brought no frame.
pub(super) enum Vain {
    /// It failed, and had come so far.
    Failed(Failure, Stage),
    /// Its session was told to stop.
    Starved(Stopped),
}

impl From<Failure> for Vain {
    /// On the way to the frame.
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, Stage::Preparing)
    }
}

/// A berth.
pub(super) struct Berth {
    pub(super) shop: Workshop,
    /// For what Blender and its frames leave while they are in work.
    pub(super) folder: PathBuf,
    pub(super) account: Account,
    pub(super) warm: Option<Warm>,
    /// With less room than this nothing is asked for ahead: the scene that had none would only come and go again.
    pub(super) worth_asking_bytes: u64,
}

impl Berth {
    pub(super) const fn new(shop: Workshop, folder: PathBuf, account: Account) -> Self {
        Self { shop, folder, account, warm: None, worth_asking_bytes: LEAST_SESSION_BYTES }
    }

    /// Ends the session, if there is one, and removes what it has left.
    pub(super) async fn end_session(&mut self) {
        if let Some(warm) = self.warm.take() {
            warm.end().await;
            self.clear();
        }
    }

    /// Removes what sessions have left here. What can't be removed now, the next start of the agent does.
    pub(super) fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// Reports an attempt that brought no frame. How the slot goes on after it.
    pub(super) fn attempt_failed(&mut self, lease: LeaseId, frame: FrameNumber, vain: Vain) -> Next {
        let (failure, stage, is_stopped) = match vain {
            Vain::Failed(failure, stage) => (failure, stage, false),
            Vain::Starved(why) => (self.starved(why), Stage::Rendering, true),
        };
        let lease = self.shop.book.put_down(lease);
        let Failure { cause, message, peak_memory_bytes } = failure;
        let peak_memory_bytes = self.account.rests(peak_memory_bytes).or(peak_memory_bytes);
        tracing::warn!(%lease, %frame, %cause, reason = message, peak_memory_bytes, "attempt failed");
        self.shop.board.failed();
        let log_tail = self.warm.as_ref().map(|warm| warm.blender.log_tail()).unwrap_or_default();
        let trouble = || format!("{cause}: {message}");
        let next = match cause {
            Cause::DiskFull => Next::Pause(trouble()),
            // It did not even start.
            Cause::Crashed | Cause::Stalled if self.warm.is_none() => Next::Pause(trouble()),
            _ if cause.is_the_scenes_fault() || cause == Cause::DeviceUnavailable => Next::GiveBack,
            _ => Next::Frame,
        };
        // What fills the disk may be its own.
        let ends = is_stopped || cause == Cause::DiskFull;
        self.warm = self.warm.take().filter(|warm| !ends && warm.blender.is_alive());
        if self.warm.is_none() {
            self.clear();
        }
        let report = FailureReport { frame, cause, stage, peak_memory_bytes, message, log_tail };
        self.shop.report(Report::Failure(lease, report));
        next
    }
}
