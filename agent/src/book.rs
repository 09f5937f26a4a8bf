//! The book of leases that the agent holds: which, what is in work, and which of their frames are still wanted. A lease is
//! in it from its receipt until the last of its frames has been answered for, and only what is in it is renewed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::{HeldLease, LeaseGrant, LeaseVerdict};
use tokio::sync::Notify;

/// Whether a frame is still this agent's to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Held,
    /// The orchestrator has given it to another, or somebody has recorded it.
    Lost,
}

#[derive(Debug)]
struct Entry {
    wanted: Vec<FrameRange>,
    frame: Option<FrameNumber>,
    fraction: f32,
    frames_done: u32,
}

/// The leases that the agent holds.
#[derive(Debug, Clone, Default)]
pub struct Book {
    entries: Arc<Mutex<HashMap<LeaseId, Entry>>>,
    news: Arc<Notify>,
}

impl Book {
    /// A lease has come.
    pub fn begin(&self, grant: &LeaseGrant) {
        let entry = Entry { wanted: vec![grant.frames], frame: None, fraction: 0.0, frames_done: 0 };
        self.entries().insert(grant.lease_id, entry);
        self.news.notify_one();
    }

    /// A lease came that the orchestrator has not heard named yet.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// All of a lease's frames have been answered for.
    pub fn end(&self, lease: LeaseId) {
        self.entries().remove(&lease);
    }

    /// Whether a frame is still this agent's to render.
    #[must_use]
    pub fn standing(&self, lease: LeaseId, frame: FrameNumber) -> Standing {
        let entries = self.entries();
        let wanted = entries.get(&lease).is_some_and(|entry| entry.wanted.iter().any(|range| range.contains(frame)));
        if wanted { Standing::Held } else { Standing::Lost }
    }

    /// A frame is in work, as far as `fraction` (0 to 1).
    pub fn in_work(&self, lease: LeaseId, frame: FrameNumber, fraction: f32) {
        if let Some(entry) = self.entries().get_mut(&lease) {
            entry.frame = Some(frame);
            entry.fraction = fraction;
        }
    }

    /// The frame in work has been rendered.
    pub fn rendered(&self, lease: LeaseId) {
        if let Some(entry) = self.entries().get_mut(&lease) {
            entry.frame = None;
            entry.fraction = 0.0;
            entry.frames_done += 1;
        }
    }

    /// The frame in work has failed, or is put down.
    pub fn put_down(&self, lease: LeaseId) {
        if let Some(entry) = self.entries().get_mut(&lease) {
            entry.frame = None;
            entry.fraction = 0.0;
        }
    }

    /// Every lease, as a heartbeat names it.
    #[must_use]
    pub fn held(&self) -> Vec<HeldLease> {
        let entries = self.entries();
        let held = entries.iter().map(|(lease, entry)| HeldLease {
            lease_id: *lease,
            frame: entry.frame,
            fraction: entry.fraction,
            frames_done: entry.frames_done,
        });
        held.collect()
    }

    /// What the orchestrator has answered to a heartbeat.
    pub fn apply(&self, verdicts: Vec<LeaseVerdict>) {
        let mut entries = self.entries();
        for verdict in verdicts {
            if let Some(entry) = entries.get_mut(&verdict.lease_id) {
                entry.wanted = verdict.frames;
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<LeaseId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::digest::Sha256Digest;
    use haywain_shared::ids::JobId;

    use super::*;

    fn frame(number: i64) -> FrameNumber {
        number.try_into().unwrap()
    }

    #[test]
    fn only_frames_that_the_orchestrator_still_wants_are_held() {
        let book = Book::default();
        let lease_id = LeaseId::generate();
        let frames = FrameRange::new(frame(1), frame(5)).unwrap();
        let scene = Sha256Digest::of(b"scene").into();
        book.begin(&LeaseGrant { lease_id, epoch: 1, job_id: JobId::generate(), scene, frames });
        assert_eq!(book.standing(lease_id, frame(5)), Standing::Held);
        assert_eq!(book.standing(lease_id, frame(6)), Standing::Lost);
        assert_eq!(book.standing(LeaseId::generate(), frame(5)), Standing::Lost);

        book.in_work(lease_id, frame(1), 0.5);
        book.rendered(lease_id);
        book.apply(vec![LeaseVerdict { lease_id, frames: vec![FrameRange::single(frame(2))] }]);
        assert_eq!(book.standing(lease_id, frame(2)), Standing::Held);
        assert_eq!(book.standing(lease_id, frame(3)), Standing::Lost);
        assert_eq!(book.held(), [HeldLease { lease_id, frame: None, fraction: 0.0, frames_done: 1 }]);

        book.end(lease_id);
        assert_eq!(book.held(), []);
    }
}
