//! Sees everything that the store answers and that agents do with it, and says when one of the invariants is broken. The
//! letters are those of the protocol's design.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use haywain_orchestrator::store::{JobCommand, RenderedFrame, StoreError};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, JobId, LeaseId};
use haywain_shared::job::{JobReport, JobState, RecordedFrame};
use haywain_shared::protocol::{HeartbeatAnswer, HeldLease, LeaseGrant, LeaseStanding, UploadOutcome};

use crate::log::Log;
use crate::time::Calendar;
use crate::{LEASE_TTL_MS, SWEEP_MS};

/// A frame of a job, by their numbers.
pub(crate) type Frame = (JobId, FrameNumber);

/// The witness. It is told, and keeps notes.
pub(crate) struct Witness {
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) log: Arc<Log>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) jobs: Vec<(JobId, FrameRange)>,
    pub(crate) cancelled: BTreeSet<JobId>,
    pub(crate) generations: HashMap<Frame, u32>,
    /// What was recorded in each generation.
    pub(crate) recorded: BTreeMap<(Frame, u32), Record>,
    pub(crate) leases: HashMap<LeaseId, LeaseNotes>,
    /// Parcels that are known to have been in an outbox.
    pub(crate) owed: BTreeSet<(LeaseId, FrameNumber)>,
    /// Parcels that were answered for.
    pub(crate) answered: BTreeSet<(LeaseId, FrameNumber)>,
}

pub(crate) struct Record {
    pub(crate) digests: Vec<Sha256Digest>,
    pub(crate) at_ms: u64,
    pub(crate) lease: LeaseId,
}

pub(crate) struct LeaseNotes {
    pub(crate) agent: AgentId,
    pub(crate) job: JobId,
    pub(crate) frames: FrameRange,
    pub(crate) generation: u32,
    /// When it was granted or last named, by what the orchestrator heard.
    pub(crate) renewed_ms: u64,
    /// When it runs out by its agent's own clock.
    pub(crate) ends_ms: u64,
    /// What its agent knows of it is from then.
    pub(crate) as_of_ms: u64,
    /// The lease that its agent knows the frame in work to go on under.
    pub(crate) successor: Option<LeaseId>,
}

impl Witness {
    pub(crate) fn new(calendar: Arc<Calendar>, log: Arc<Log>) -> Self {
        Self { calendar, log, notes: Mutex::default() }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub(crate) fn frame_name(&self, (job, frame): Frame, generation: u32) -> String {
        format!("{}/{frame}.g{generation}", self.log.name('J', job))
    }

    pub(crate) fn submitted(&self, job: JobId, frames: FrameRange) {
        self.log.note(format_args!("{} submitted: {frames}", self.log.name('J', job)));
        self.notes().jobs.push((job, frames));
    }

    pub(crate) fn controlled(&self, job: JobId, command: &JobCommand, done: &Result<(), StoreError>) {
        let outcome = if done.is_ok() { "done" } else { "refused" };
        self.log.note(format_args!("{} {command:?}: {outcome}", self.log.name('J', job)));
        if done.is_err() {
            return;
        }
        let mut notes = self.notes();
        let Notes { generations, recorded, cancelled, .. } = &mut *notes;
        match command {
            JobCommand::Cancel => drop(cancelled.insert(job)),
            JobCommand::Rerender(ranges) => {
                let mut frames: Vec<_> = ranges.iter().flat_map(|range| range.iter()).collect();
                frames.sort_unstable();
                frames.dedup();
                for frame in frames {
                    let generation = generations.entry((job, frame)).or_insert(1);
                    *generation += u32::from(recorded.contains_key(&((job, frame), *generation)));
                }
            }
            _ => {}
        }
    }

    /// A lease was granted, or told again to who may not have heard of it: either way it has a full TTL.
    pub(crate) fn granted(&self, agent: AgentId, grant: &LeaseGrant) {
        let lease = self.log.name('L', grant.lease_id);
        let (job, agent_name) = (self.log.name('J', grant.job_id), self.log.name('A', agent));
        self.log.note(format_args!("{lease} granted to {agent_name}: {job}/{} g{}", grant.frames, grant.generation));
        let now_ms = self.calendar.now_ms();
        let LeaseGrant { lease_id, job_id: job, frames, generation, .. } = *grant;
        let mut notes = self.notes();
        for frame in frames.iter() {
            if notes.recorded.contains_key(&((job, frame), generation)) && !notes.leases.contains_key(&lease_id) {
                self.log.broken(format_args!("I2: {lease} has {job} frame {frame}, which is done"));
            }
        }
        let told = notes.leases.entry(lease_id).or_insert(LeaseNotes {
            agent,
            job,
            frames,
            generation,
            renewed_ms: now_ms,
            ends_ms: 0,
            as_of_ms: 0,
            successor: None,
        });
        told.renewed_ms = now_ms;
    }

    /// A heartbeat was answered by the store.
    pub(crate) fn renewed(&self, agent: AgentId, held: &[HeldLease], answer: &HeartbeatAnswer) {
        let now_ms = self.calendar.now_ms();
        for held in held {
            if let Some(lease) = self.notes().leases.get_mut(&held.lease_id).filter(|lease| lease.agent == agent) {
                lease.renewed_ms = now_ms;
            }
        }
        for verdict in &answer.leases {
            match &verdict.standing {
                LeaseStanding::Renewed { .. } => {}
                LeaseStanding::Readopted { grant } => {
                    self.log.count("frames re-adopted");
                    self.granted(agent, grant);
                }
                LeaseStanding::Revoked { reason } => {
                    self.log.note(format_args!("{} revoked: {reason:?}", self.log.name('L', verdict.lease_id)));
                }
            }
        }
    }

    /// After a restart, or a freeze, every live lease has a full TTL.
    pub(crate) fn all_renewed(&self) {
        let now_ms = self.calendar.now_ms();
        for lease in self.notes().leases.values_mut() {
            lease.renewed_ms = now_ms;
        }
    }

    /// A frame was recorded: I1.
    pub(crate) fn recorded(&self, rendered: &RenderedFrame) {
        let frame = (rendered.job, rendered.frame);
        let name = self.frame_name(frame, rendered.generation);
        let lease = self.log.name('L', rendered.lease);
        self.log.note(format_args!("{name} recorded from {lease}"));
        let mut notes = self.notes();
        if notes.cancelled.contains(&rendered.job) {
            self.log.broken(format_args!("I1: {name} recorded after its job was cancelled"));
        }
        if notes.generations.get(&frame).copied().unwrap_or(1) != rendered.generation {
            self.log.broken(format_args!("I1: {name} recorded in a generation that is not the present one"));
        }
        let record = Record {
            digests: rendered.files.iter().map(|file| file.sha256).collect(),
            at_ms: self.calendar.now_ms(),
            lease: rendered.lease,
        };
        if notes.recorded.insert((frame, rendered.generation), record).is_some() {
            self.log.broken(format_args!("I1: {name} recorded twice"));
        }
    }

    /// A frame was delivered and not recorded: there must be a reason (I4).
    pub(crate) fn refused(
        &self,
        lease: LeaseId,
        job: JobId,
        number: FrameNumber,
        generation: u32,
        outcome: UploadOutcome,
    ) {
        let name = self.frame_name((job, number), generation);
        let lease_name = self.log.name('L', lease);
        self.log.note(format_args!("{name} from {lease_name}: {outcome:?}"));
        self.log.count("deliveries not recorded");
        let notes = self.notes();
        let record = notes.recorded.get(&((job, number), generation));
        let newer = notes.generations.get(&(job, number)).is_some_and(|present| *present > generation);
        let right = match outcome {
            UploadOutcome::Recorded => true,
            UploadOutcome::AlreadyRecorded => record.is_some_and(|record| record.lease == lease),
            UploadOutcome::Superseded => newer || record.is_some_and(|record| record.lease != lease),
            UploadOutcome::JobGone => notes.cancelled.contains(&job),
        };
        if !right {
            self.log.broken(format_args!("I4: {name} from {lease_name} was answered {outcome:?} without reason"));
        }
    }

    /// I2 and I6: each frame is in exactly one state, the counters say the same, and completed means all done.
    pub(crate) fn adds_up(&self, report: Result<Option<JobReport>, StoreError>) {
        let Ok(Some(report)) = report else {
            self.log.broken(format_args!("I7: a job is not to be had: {report:?}"));
            return;
        };
        let (states, counts) = (&report.frames, report.counts);
        let states = [
            (&states.pending, counts.pending),
            (&states.leased, counts.leased),
            (&states.done, counts.done),
            (&states.failed, counts.failed),
        ];
        let mut all = BTreeSet::new();
        let mut all_counts = 0;
        for (ranges, count) in states {
            let frames: Vec<_> = ranges.iter().flat_map(|range| range.iter()).collect();
            all_counts += count;
            all.extend(frames.iter().copied());
            if frames.len() as u64 != count {
                self.log.broken(format_args!("I2: counters do not add up: {report:?}"));
            }
        }
        if all.len() as u64 != counts.total || all_counts != counts.total {
            self.log.broken(format_args!("I2: a frame is in no state, or in two: {report:?}"));
        }
        if report.state != JobState::Cancelled && (report.state == JobState::Completed) != (counts.done == counts.total)
        {
            self.log.broken(format_args!("I6: {report:?}"));
        }
    }

    /// I3: nobody holds what has not been renewed for a TTL and a sweep.
    pub(crate) fn nobody_holds_for_ever(&self, report: &JobReport) {
        let now_ms = self.calendar.now_ms();
        let notes = self.notes();
        for batch in &report.batches {
            let same = |lease: &&LeaseNotes| {
                lease.agent == batch.agent_id && lease.job == report.job_id && lease.frames == batch.frames
            };
            let renewed_ms = notes.leases.values().filter(same).map(|lease| lease.renewed_ms).max();
            // Two sweeps: the run's own clock and the store's differ by what a sweep takes to come round.
            if renewed_ms.is_none_or(|renewed_ms| renewed_ms + LEASE_TTL_MS + 2 * SWEEP_MS < now_ms) {
                self.log.broken(format_args!("I3: a batch outlives its term: {batch:?}, renewed at {renewed_ms:?}"));
            }
        }
    }

    /// I7 and I1: what was recorded is what is there, no more and no less.
    pub(crate) fn all_there(&self, job: JobId, frames: &[RecordedFrame]) {
        let notes = self.notes();
        let there: BTreeMap<_, Vec<_>> = frames
            .iter()
            .map(|frame| ((frame.frame, frame.generation), frame.files.iter().map(|file| file.sha256).collect()))
            .collect();
        let recorded: BTreeMap<_, _> = notes
            .recorded
            .iter()
            .filter(|((frame, generation), _)| {
                frame.0 == job && notes.generations.get(frame).copied().unwrap_or(1) == *generation
            })
            .map(|((frame, generation), record)| ((frame.1, *generation), record.digests.clone()))
            .collect();
        if there != recorded {
            let job = self.log.name('J', job);
            self.log.broken(format_args!("I7: of {job} {recorded:?} was recorded, and {there:?} is there"));
        }
    }
}
