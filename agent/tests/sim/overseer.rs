//! The witness's other half: what agents hear, and what they do then.

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::protocol::{HeartbeatAnswer, LeaseGrant, LeaseStanding};

use crate::LEASE_TTL_MS;
use crate::witness::Witness;

impl Witness {
    /// A grant has arrived that was asked for at `sent_ms` and given at `given_ms`.
    pub(crate) fn heard_grant(&self, grant: &LeaseGrant, sent_ms: u64, given_ms: u64) {
        if let Some(lease) = self.notes().leases.get_mut(&grant.lease_id) {
            lease.ends_ms = lease.ends_ms.max(sent_ms + LEASE_TTL_MS);
            lease.as_of_ms = given_ms;
        }
    }

    /// A heartbeat's answer has arrived.
    pub(crate) fn heard_verdicts(&self, answer: &HeartbeatAnswer, sent_ms: u64, given_ms: u64) {
        let mut notes = self.notes();
        for verdict in &answer.leases {
            if let Some(lease) = notes.leases.get_mut(&verdict.lease_id) {
                lease.as_of_ms = given_ms;
                let ends_ms = lease.ends_ms.max(sent_ms + LEASE_TTL_MS);
                match &verdict.standing {
                    LeaseStanding::Renewed { .. } => lease.ends_ms = ends_ms,
                    LeaseStanding::Readopted { grant } => {
                        lease.successor = Some(grant.lease_id);
                        if let Some(successor) = notes.leases.get_mut(&grant.lease_id) {
                            successor.ends_ms = sent_ms + LEASE_TTL_MS;
                            successor.as_of_ms = given_ms;
                        }
                    }
                    LeaseStanding::Revoked { .. } => {}
                }
            }
        }
    }

    /// A Blender begins a frame under a lease: I5, and nobody renders what it knows to be recorded. Says what job it is,
    /// and in which generation.
    pub(crate) fn begun(&self, who: &str, lease: LeaseId, frame: FrameNumber) -> Option<(JobId, u32)> {
        let now_ms = self.calendar.now_ms();
        let notes = self.notes();
        let mut successors =
            std::iter::successors(notes.leases.get(&lease), |noted| notes.leases.get(&noted.successor?));
        let Some(last) = successors.find(|grant| grant.successor.is_none()) else {
            self.log.broken(format_args!("{who} renders under a lease that nobody granted"));
            return None;
        };
        if !last.frames.contains(frame) {
            self.log.broken(format_args!("{who} begins frame {frame}, which is none of its lease's"));
        }
        let name = self.frame_name((last.job, frame), last.generation);
        let lease_name = self.log.name('L', lease);
        self.log.note(format_args!("{who} begins {name} under {lease_name}"));
        if last.ends_ms <= now_ms {
            let late_ms = now_ms - last.ends_ms;
            self.log.broken(format_args!("I5: {who} begins {name} {late_ms} ms after {lease_name} has run out"));
        }
        if let Some(record) = notes.recorded.get(&((last.job, frame), last.generation)) {
            self.log.count("renders begun that were recorded elsewhere, unknown to the agent");
            if record.at_ms < last.as_of_ms {
                self.log.broken(format_args!("{who} begins {name}, and has heard that it is recorded"));
            }
        }
        Some((last.job, last.generation))
    }

    /// A parcel is in an outbox.
    pub(crate) fn owed(&self, lease: LeaseId, frame: FrameNumber) {
        self.notes().owed.insert((lease, frame));
    }

    /// A parcel's answer has arrived.
    pub(crate) fn answered(&self, lease: LeaseId, frame: FrameNumber) {
        self.notes().answered.insert((lease, frame));
    }

    /// I4 and I8: all parcels were answered for.
    pub(crate) fn nothing_is_owed(&self) {
        let notes = self.notes();
        for (lease, frame) in notes.owed.difference(&notes.answered) {
            self.log.broken(format_args!("I8: frame {frame} of {} was never answered", self.log.name('L', lease)));
        }
    }
}
