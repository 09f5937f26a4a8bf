//! The rule at moments that the simulation does not come to: memory that goes, jobs that take turns, work that runs out.

use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::scene::SceneId;

use super::{FrameTime, Governor, Limits, Muster, Reading, Setting};

const GIB: u64 = 1 << 30;

/// A crew that does at once what the governor says, on a machine with as much memory as a test wants.
struct Crew {
    governor: Governor,
    now: Duration,
    reading: Reading,
    waiting: u32,
    /// The seconds that a frame takes under a setting.
    frame_s: fn(Setting) -> f64,
}

impl Crew {
    fn new(limits: Limits, frame_s: fn(Setting) -> f64) -> Self {
        let reading = Reading { foreign_cores: 0.0, memory_available_bytes: 100 * GIB, own_bytes: 0 };
        Self { governor: Governor::new(limits), now: Duration::ZERO, reading, waiting: 0, frame_s }
    }

    /// Every slot works on one job for so long.
    fn works(&mut self, seconds: u64, job: JobId) -> Vec<Setting> {
        self.works_on(seconds, &|_| job)
    }

    /// Each slot works on a job of its own for so long. Returns the settings, as they changed.
    fn works_on(&mut self, seconds: u64, job_of: &dyn Fn(u32) -> JobId) -> Vec<Setting> {
        let mut settings = vec![self.governor.setting()];
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            let setting = self.governor.setting();
            for slot in 0..setting.slots {
                self.governor.takes(slot, job_of(slot), scene(), None);
                let span = Some(Duration::from_secs_f64((self.frame_s)(setting)));
                let frame = FrameTime { slot, threads: setting.threads, ended: self.now, span };
                self.governor.finished(job_of(slot), scene(), Some(GIB), frame);
            }
            (setting.slots..100).for_each(|slot| self.governor.rests(slot));
            let muster = Muster { open: setting.slots, waiting: self.waiting, closing: 0 };
            let next = self.governor.look(self.now, self.reading, muster);
            if settings.last() != Some(&next) {
                settings.push(next);
            }
        }
        settings
    }

    /// As [`Self::works`], until nothing has changed for some minutes.
    fn settles(&mut self, job: JobId) -> Setting {
        while self.works(300, job).len() > 1 {}
        self.governor.setting()
    }
}

fn scene() -> SceneId {
    Sha256Digest::of(b"scene").into()
}

fn setting(slots: u32, threads: u32) -> Setting {
    Setting { slots, threads }
}

/// Two slots are best.
fn two_are_best(setting: Setting) -> f64 {
    match setting {
        Setting { slots: 1, .. } => 0.5,
        Setting { slots: 2, threads: 1 } => 0.6,
        Setting { slots, .. } => 0.5 * f64::from(slots),
    }
}

fn alike(setting: Setting) -> f64 {
    0.5 * f64::from(setting.slots)
}

#[test]
fn it_begins_with_one_slot_until_the_scene_s_memory_is_known() {
    let mut crew = Crew::new(Limits::of_machine(16), alike);
    assert_eq!(crew.governor.setting(), setting(1, 16));
    assert_eq!(crew.works(1, JobId::generate()), [setting(1, 16), setting(2, 8)]);

    let mut known = Governor::new(Limits::of_machine(16));
    known.takes(0, JobId::generate(), scene(), Some(GIB));
    let muster = Muster { open: 1, waiting: 0, closing: 0 };
    assert_eq!(known.look(Duration::from_secs(1), crew.reading, muster), setting(2, 8));
}

#[test]
fn slots_go_when_memory_does_and_do_not_come_back_at_once() {
    let job = JobId::generate();
    let mut crew = Crew::new(Limits::of_machine(2), two_are_best);
    assert_eq!(crew.settles(job), setting(2, 1));
    let free = crew.reading;
    crew.reading.memory_available_bytes = GIB;
    assert_eq!(crew.works(60, job), [setting(2, 1), setting(1, 2)]);
    crew.reading = free;
    let settings = crew.works(120, job);
    assert!(!settings.contains(&setting(2, 1)), "{settings:?}");
    assert_eq!(crew.works(3600, job).last(), Some(&setting(2, 1)));
}

#[test]
fn slots_that_work_on_different_jobs_compare_nothing() {
    let jobs = [JobId::generate(), JobId::generate()];
    let mut crew = Crew::new(Limits::of_machine(2), two_are_best);
    assert_eq!(crew.settles(jobs[0]), setting(2, 1));
    // Nothing is tried for hours, while it would be on one job.
    let hours = 4 * 3600;
    assert_eq!(crew.works_on(hours, &|slot| jobs[slot as usize]), [setting(2, 1)]);
    assert!(crew.works(hours, jobs[0]).len() > 1);
}

#[test]
fn jobs_that_take_turns_change_nothing() {
    let jobs = [JobId::generate(), JobId::generate()];
    let mut crew = Crew::new(Limits::of_machine(2), two_are_best);
    assert_eq!(crew.settles(jobs[0]), setting(2, 1));
    for turn in 0..1000 {
        assert_eq!(crew.works(5, jobs[turn % 2]), [setting(2, 1)]);
    }
    // One that stays is looked at anew.
    assert!(crew.works(60, jobs[1]).len() > 1);
}

#[test]
fn a_comparison_without_enough_work_is_called_off() {
    let job = JobId::generate();
    let mut crew = Crew::new(Limits::of_machine(2), alike);
    while crew.works(1, job).last() == Some(&setting(1, 2)) {}
    crew.waiting = 1;
    assert_eq!(crew.works(60, job), [setting(2, 1), setting(1, 2)]);
}

#[test]
fn what_was_found_beside_a_neighbour_is_kept_until_it_is_back() {
    let job = JobId::generate();
    let mut crew = Crew::new(Limits::of_machine(2), two_are_best);
    assert_eq!(crew.settles(job), setting(2, 1));
    let alone = crew.reading;
    crew.reading.foreign_cores = 1.2;
    crew.settles(job);
    crew.reading = alone;
    assert_eq!(crew.works(20, job).last(), Some(&setting(2, 1)));
}

#[test]
fn slots_that_have_work_share_what_the_others_leave() {
    let mut crew = Crew::new(Limits::of_machine(8), alike);
    assert_eq!((crew.governor.setting(), crew.governor.threads_beside(0)), (setting(1, 8), 8));
    let slots = Some("4".parse().unwrap());
    crew.governor = Governor::new(Limits { slots, ..Limits::of_machine(8) });
    let threads = [4, 3, 2, 1, 0].map(|busy| crew.governor.threads_beside(busy));
    assert_eq!(threads, [2, 3, 4, 8, 8]);
    let slots = Some("4x2".parse().unwrap());
    crew.governor = Governor::new(Limits { slots, ..Limits::of_machine(8) });
    assert_eq!(crew.governor.threads_beside(1), 2, "the owner has said so");
}
