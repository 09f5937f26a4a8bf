//! The end of a run: with all faults over, every job ends, every parcel is answered for, and what was recorded is there.

use std::collections::BTreeSet;
use std::path::Path;

use haywain_orchestrator::queue::retry::{DEFAULT_MAX_ATTEMPTS, MAX_EXPIRIES};
use haywain_orchestrator::store::Store as _;
use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::job::{JobReport, JobState};

use crate::blender::NOT_STARTED;
use crate::run::Run;
use crate::store::SimStore;
use crate::worker::Worker;

/// How long everything may take once it is calm: an agent that is set aside is forgiven after ten minutes, a Blender may hang
/// for a minute and a half.
const PATIENCE_MS: u64 = 60 * 60 * 1000;
/// How often to look.
const LOOK_MS: u64 = 5000;

impl Run {
    /// Waits for the end of everything, and looks whether it is a good one.
    pub(crate) async fn end_well(&mut self) {
        let deadline_ms = self.world.calendar.now_ms() + PATIENCE_MS;
        loop {
            if !self.comes_to_its_end(deadline_ms).await {
                return;
            }
            self.send_home().await;
            if self.count_parcels() == 0 {
                break;
            }
            // Whose last call was lost has left without its answer: what it has is for its next life to deliver.
            for worker in &mut self.workers {
                worker.start();
            }
        }
        self.world.witness.nothing_is_owed();
        let Some(life) = self.world.house.life() else { return };
        self.world.house.check_all(&life.store).await;
        let jobs: Vec<_> = self.world.witness.notes().jobs.iter().map(|(job, _)| *job).collect();
        for job in jobs {
            let report = life.store.job(job).await.unwrap().unwrap();
            self.failed_for_a_reason(&life.store, &report).await;
            self.files_are_there(job);
        }
    }

    /// Waits until there is nothing left to do. Says whether that came about.
    async fn comes_to_its_end(&self, deadline_ms: u64) -> bool {
        while !self.is_over().await {
            if self.world.log.is_broken() {
                return false;
            }
            if self.world.calendar.now_ms() > deadline_ms {
                self.say_what_is_left().await;
                return false;
            }
            self.world.calendar.pass(LOOK_MS).await;
        }
        !self.world.log.is_broken()
    }

    async fn send_home(&mut self) {
        for worker in &self.workers {
            worker.dismiss(false);
        }
        for worker in &mut self.workers {
            worker.gone().await;
        }
    }

    fn count_parcels(&self) -> usize {
        self.workers.iter().map(Worker::count_parcels).sum()
    }

    async fn is_over(&self) -> bool {
        let Some(life) = self.world.house.life() else { return false };
        for worker in &self.workers {
            worker.must_be_running();
        }
        let jobs: Vec<_> = self.world.witness.notes().jobs.iter().map(|(job, _)| *job).collect();
        let mut over = self.count_parcels() == 0;
        for job in jobs {
            let report = life.store.job(job).await.unwrap().unwrap();
            let ended = matches!(report.state, JobState::Completed | JobState::Failed | JobState::Cancelled);
            over &= ended && report.counts.leased == 0;
        }
        over
    }

    async fn say_what_is_left(&self) {
        let Some(life) = self.world.house.life() else { return };
        let jobs: Vec<_> = self.world.witness.notes().jobs.iter().map(|(job, _)| *job).collect();
        for job in jobs {
            let report = life.store.job(job).await.unwrap().unwrap();
            let job = self.world.log.name('J', job);
            let JobReport { state, counts, frames, batches, .. } = report;
            self.world.log.note(format_args!("{job} {state:?} {counts:?} {frames:?} {batches:?}"));
        }
        self.world.log.broken("an hour after the last fault it is still not over");
    }

    /// Only frames that are doomed fail, those of which too many leases ran out, and those that had bad luck with Blenders
    /// that did not even start, of which the script knows nothing.
    async fn failed_for_a_reason(&self, store: &SimStore, report: &JobReport) {
        for frame in report.frames.failed.iter().flat_map(|range| range.iter()) {
            let attempts = store.attempts(report.job_id, Some(frame)).await.unwrap();
            let causes: Vec<_> = attempts.iter().filter_map(|attempt| attempt.cause).collect();
            let expiries = causes.iter().filter(|cause| **cause == Cause::LeaseExpired).count();
            let spent = causes.len() - expiries >= DEFAULT_MAX_ATTEMPTS as usize || expiries >= MAX_EXPIRIES as usize;
            let doomed = self.script.is_doomed((report.job_id, frame));
            let unlucky = attempts.iter().any(|attempt| attempt.message == NOT_STARTED);
            let accounted_for = if doomed || unlucky { spent } else { expiries >= MAX_EXPIRIES as usize };
            if !accounted_for {
                self.world.log.broken(format_args!("frame {frame} was given up for no good reason: {causes:?}"));
            }
        }
    }

    /// The files of everything that was recorded are on disk, as they were, and the folder that people read shows the latest
    /// of each frame.
    fn files_are_there(&self, job: JobId) {
        let house = self.world.house.folder();
        let kept = digests(&house.join("outputs").join(job.to_string()));
        let shown = digests(&house.join("frames").join(job.to_string()));
        let notes = self.world.witness.notes();
        for ((frame, generation), record) in &notes.recorded {
            if frame.0 != job {
                continue;
            }
            let name = self.world.witness.frame_name(*frame, *generation);
            if !record.digests.iter().all(|digest| kept.contains(&digest.to_string())) {
                self.world.log.broken(format_args!("I7: a file of {name} is gone"));
            }
            let is_latest =
                notes.recorded.range((*frame, *generation + 1)..).next().is_none_or(|(next, _)| next.0 != *frame);
            if is_latest && !record.digests.iter().all(|digest| shown.contains(&digest.to_string())) {
                self.world.log.broken(format_args!("{name} is not in its job's folder"));
            }
        }
    }
}

/// The digests of all files below a folder.
fn digests(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let mut digests = BTreeSet::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            digests.extend(self::digests(&path));
        } else {
            digests.insert(Sha256Digest::of(&std::fs::read(path).unwrap()).to_string());
        }
    }
    digests
}
