//! The book of leases that the agent holds: which, until when by the agent's own clock, what is in work, and which of their
//! frames are still wanted. A lease is in it from its receipt until the last of its frames has been answered for, and only
//! what is in it is renewed.
//!
//! It keeps invariant I5: no frame is begun under a lease that has run out by the agent's own clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::protocol::{HeldLease, LeaseGrant, LeaseStanding, LeaseVerdict, RevokedReason};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::blender::log::LogView;
use crate::clock::BootClock;
use crate::status::Work;

/// Whether a frame is still this agent's to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Held,
    /// Perhaps: the lease has run out by the agent's own clock, and the orchestrator has not been heard of since.
    Unknown,
    /// The orchestrator has given it to another, or somebody has recorded it.
    Lost,
}

struct Entry {
    job: JobId,
    wanted: Vec<FrameRange>,
    /// When it runs out, by the agent's own clock.
    ends: Duration,
    in_work: Option<InWork>,
    frames_done: u32,
    /// The lease under which the frame in work goes on, when this one had ended and the frame was re-adopted.
    successor: Option<LeaseId>,
    /// Cancelled when the frame in work is wanted by nobody any more.
    unwanted: CancellationToken,
}

struct InWork {
    frame: FrameNumber,
    fraction: f32,
    log: Option<LogView>,
}

/// The leases that the agent holds. Clones share it.
#[derive(Clone)]
pub struct Book {
    entries: Arc<Mutex<BTreeMap<LeaseId, Entry>>>,
    clock: Arc<dyn BootClock>,
    ttl: Duration,
    news: Arc<Notify>,
    changes: watch::Sender<()>,
}

impl Book {
    /// An empty book, for leases that last for `ttl`.
    #[must_use]
    pub fn new(clock: Arc<dyn BootClock>, ttl: Duration) -> Self {
        let changes = watch::Sender::new(());
        Self { entries: Arc::default(), clock, ttl, news: Arc::default(), changes }
    }

    /// Boot time, now.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// A lease has come, in answer to a request that was sent at `asked`. Returns what is cancelled when nobody wants its
    /// frame in work any more.
    #[must_use]
    pub fn begin(&self, grant: &LeaseGrant, asked: Duration) -> CancellationToken {
        let unwanted = CancellationToken::new();
        let entry = Entry {
            job: grant.job_id,
            wanted: vec![grant.frames],
            ends: asked + self.ttl,
            in_work: None,
            frames_done: 0,
            successor: None,
            unwanted: unwanted.clone(),
        };
        self.entries().insert(grant.lease_id, entry);
        self.news.notify_one();
        unwanted
    }

    /// A lease came that the orchestrator has not heard named yet.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// All of a lease's frames have been answered for.
    pub fn end(&self, lease: LeaseId) {
        self.entries().remove(&lease);
    }

    /// A job was cancelled: nobody wants its frames, whichever slot has them in work.
    pub fn job_gone(&self, job: JobId) {
        for entry in self.entries().values_mut().filter(|entry| entry.job == job) {
            entry.wanted.clear();
            entry.unwanted.cancel();
        }
    }

    /// Whether a frame is still this agent's to render, under the lease or under one that it was re-adopted by.
    #[must_use]
    pub fn standing(&self, lease: LeaseId, frame: FrameNumber) -> Standing {
        let now = self.now();
        let line = self.line_of(lease);
        let entries = self.entries();
        let mut line = line.iter().filter_map(|lease| entries.get(lease));
        match line.find(|entry| entry.wanted.iter().any(|range| range.contains(frame))) {
            None => Standing::Lost,
            Some(entry) if entry.ends <= now => Standing::Unknown,
            Some(_) => Standing::Held,
        }
    }

    /// Changes with each answered heartbeat.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// A frame is in work, as far as `fraction` (0 to 1).
    pub fn in_work(&self, lease: LeaseId, frame: FrameNumber, fraction: f32) {
        self.on_work(lease, |in_work| {
            let log = in_work.take().filter(|work| work.frame == frame).and_then(|work| work.log);
            *in_work = Some(InWork { frame, fraction, log });
        });
    }

    /// Where the log of the frame in work can be read.
    pub fn logs_to(&self, lease: LeaseId, log: LogView) {
        self.on_work(lease, |in_work| {
            if let Some(work) = in_work {
                work.log = Some(log);
            }
        });
    }

    /// The frame in work has been rendered. Returns the lease that it is to be delivered under.
    #[must_use]
    pub fn rendered(&self, lease: LeaseId) -> LeaseId {
        let last = self.last_of(lease);
        if let Some(entry) = self.entries().get_mut(&last) {
            entry.in_work = None;
            entry.frames_done += 1;
        }
        last
    }

    /// The frame in work has failed, or is put down. Returns the lease that it was in work under.
    #[must_use]
    pub fn put_down(&self, lease: LeaseId) -> LeaseId {
        let last = self.last_of(lease);
        if let Some(entry) = self.entries().get_mut(&last) {
            entry.in_work = None;
        }
        last
    }

    /// A lease, and those under which its frame in work went on.
    #[must_use]
    pub fn line_of(&self, lease: LeaseId) -> Vec<LeaseId> {
        let entries = self.entries();
        let mut line = vec![lease];
        while let Some(next) = line.last().and_then(|last| entries.get(last)).and_then(|entry| entry.successor) {
            line.push(next);
        }
        line
    }

    fn last_of(&self, lease: LeaseId) -> LeaseId {
        self.line_of(lease).last().copied().unwrap_or(lease)
    }

    fn on_work(&self, lease: LeaseId, change: impl FnOnce(&mut Option<InWork>)) {
        let last = self.last_of(lease);
        if let Some(entry) = self.entries().get_mut(&last) {
            change(&mut entry.in_work);
        }
    }

    /// Every lease, as a heartbeat names it.
    #[must_use]
    pub fn held(&self) -> Vec<HeldLease> {
        let entries = self.entries();
        let held = entries.iter().map(|(lease, entry)| HeldLease {
            lease_id: *lease,
            frame: entry.in_work.as_ref().map(|work| work.frame),
            fraction: entry.in_work.as_ref().map_or(0.0, |work| work.fraction),
            frames_done: entry.frames_done,
            log_tail: entry.in_work.as_ref().and_then(|work| work.log.as_ref()).map(LogView::end).unwrap_or_default(),
        });
        held.collect()
    }

    /// Every lease of which something is left to do, as a person is told of it.
    #[must_use]
    pub fn work(&self) -> Vec<Work> {
        let entries = self.entries();
        let current = entries.iter().filter(|(_, entry)| entry.successor.is_none());
        let work = current.map(|(lease, entry)| Work {
            lease_id: *lease,
            job_id: entry.job,
            frame: entry.in_work.as_ref().map(|work| work.frame),
            fraction: entry.in_work.as_ref().map_or(0.0, |work| work.fraction),
            frames_done: entry.frames_done,
        });
        work.collect()
    }

    /// What the orchestrator has answered to a heartbeat that was sent at `sent`.
    pub fn apply(&self, verdicts: Vec<LeaseVerdict>, sent: Duration) {
        let mut entries = self.entries();
        for LeaseVerdict { lease_id, standing } in verdicts {
            let Some(entry) = entries.get_mut(&lease_id) else { continue };
            match standing {
                LeaseStanding::Renewed { frames } => {
                    entry.wanted = frames;
                    entry.ends = sent + self.ttl;
                }
                LeaseStanding::Readopted { grant } => {
                    entry.wanted.clear();
                    // The frame that the heartbeat named may be out of work by now, rendered or failed under the old lease.
                    // Nobody here would ever end the new one then: it is left unnamed, and so goes back.
                    if !entry.in_work.as_ref().is_some_and(|work| grant.frames.contains(work.frame)) {
                        continue;
                    }
                    tracing::info!(lease = %lease_id, new = %grant.lease_id, frames = %grant.frames, "frame re-adopted");
                    entry.successor = Some(grant.lease_id);
                    let successor = Entry {
                        job: entry.job,
                        wanted: vec![grant.frames],
                        ends: sent + self.ttl,
                        in_work: entry.in_work.take(),
                        frames_done: 0,
                        successor: None,
                        unwanted: entry.unwanted.clone(),
                    };
                    entries.insert(grant.lease_id, successor);
                }
                LeaseStanding::Revoked { reason } => {
                    if !entry.wanted.is_empty() {
                        tracing::warn!(lease = %lease_id, ?reason, "lease revoked");
                    }
                    entry.wanted.clear();
                    match reason {
                        RevokedReason::JobCancelled => entry.unwanted.cancel(),
                        // What is finished under an ended lease still counts, if nobody was faster.
                        RevokedReason::Ended | RevokedReason::Unknown => {}
                    }
                }
            }
        }
        drop(entries);
        self.changes.send_replace(());
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<LeaseId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
