//! A slot that looks ahead: while the last frame of a batch renders, the scene of the next is opened, where memory allows. Blender is
//! held in the middle of that frame, so that what comes before its end has come before.

use haywain_shared::cause::Cause;
use haywain_shared::job::{JobReport, JobState};
use serde_json::json;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, Process, pictures, wait};
use crate::system::{self, is_running};

/// An agent in the last frame of its batch, and a job of another scene that is next.
struct InBetween {
    farm: Farm,
    agent: Process,
    /// The Blender that is held.
    blender: u64,
    /// The job of that frame.
    last: String,
    /// The other job.
    next: String,
}

impl InBetween {
    /// An agent with these flags, and a job of three frames of scene `next`, of which one has come ahead.
    fn start(next: &str, flags: &[&str]) -> Self {
        let farm = Farm::start(&blenders::scene("slow"));
        let scene = farm.give_blend(&blenders::scene(next));
        let last = farm.render(&json!({"frames": "1", "samples": 64, "resolutionPercent": 50, "priority": 1}));
        let next = farm.render(&json!({"from": 1, "to": 3, "scene": scene}));
        let flags = [&["--slots", "1"][..], flags].concat();
        let agent = farm.agent_with("one", &blenders::path(Kind::Program), &flags);
        agent.wait_for_log("batch received ahead");
        let blender = agent.logged("Blender started")[0]["process"].as_u64().unwrap();
        system::signal(blender, "STOP");
        Self { farm, agent, blender, last, next }
    }

    /// Nothing has been rendered yet.
    fn is_held(&self) -> bool {
        self.agent.logged("frame rendered").is_empty()
    }

    /// The Blender of the other scene.
    fn other_blender(&self) -> u64 {
        let started = self.agent.logged("Blender started");
        assert_eq!(started.len(), 2);
        started[1]["process"].as_u64().unwrap()
    }

    /// Lets the frame be finished.
    fn go_on(&self) {
        assert!(self.is_held());
        system::signal(self.blender, "CONT");
        assert_eq!(self.farm.wait_for_end(&self.last).state, JobState::Completed);
    }

    /// All frames of the other job are done, each at the first attempt.
    fn next_is_done(&self) {
        assert_eq!(self.farm.wait_for_end(&self.next).state, JobState::Completed);
        let attempts = self.farm.attempts(&self.next);
        assert!(attempts.len() == 3 && attempts.iter().all(|attempt| attempt.cause.is_none()), "{attempts:?}");
    }
}

#[test]
fn the_next_scene_is_open_before_the_last_frame_is_done() {
    let between = InBetween::start("half_a_second", &[]);
    let (farm, agent) = (&between.farm, &between.agent);
    agent.wait_for_log("scene opened ahead");
    let waits = |job: &JobReport| job.batches.iter().all(|batch| batch.frame_in_work.is_none());
    let job = farm.wait_for(&between.next, "a heartbeat that says that its frame waits", waits);
    assert_eq!((job.counts.leased, job.counts.pending), (1, 2), "{job:?}");
    between.go_on();
    between.next_is_done();
    // Its own session has rendered them all, and the one before is gone.
    let other = between.other_blender();
    assert!(is_running(other) && !is_running(between.blender));
    assert_eq!(agent.logged("scene opened").len(), 2);
    let cold = blenders::cold_frame(Kind::Program, &blenders::scene("half_a_second"), 1);
    assert!(cold == image::open(&pictures(&farm.job(&between.next))[0]).unwrap());
}

#[test]
fn a_scene_without_room_beside_the_last_frame_waits_for_its_end() {
    // Room for a Blender beside the other, and not for this scene, of which nothing is known yet.
    let between = InBetween::start("bulky", &["--max-memory", "1100MiB"]);
    let (farm, agent) = (&between.farm, &between.agent);
    agent.wait_for_log("no room to open a scene ahead");
    farm.wait_for(&between.next, "the frame to be back", |job| job.counts.pending == 3);
    assert_eq!(agent.logged("Blender started").len(), 1);
    between.go_on();
    between.next_is_done();
    assert_eq!(agent.logged("batch received ahead").len(), 1);
}

#[test]
fn what_is_killed_in_between_costs_no_attempt_and_leaves_nothing() {
    let mut between = InBetween::start("half_a_second", &[]);
    between.agent.wait_for_log("scene opened ahead");
    let blenders = [between.blender, between.other_blender()];
    between.agent.kill();
    wait("the end of both Blenders", || blenders.iter().all(|blender| !is_running(*blender)).then_some(()));
    between.agent = between.farm.agent("one", &blenders::path(Kind::Program), 1);
    assert_eq!(between.farm.wait_for_end(&between.last).state, JobState::Completed);
    between.next_is_done();
}

#[test]
fn a_scene_that_cannot_be_opened_ahead_is_told_of_at_once() {
    let between = InBetween::start("no_camera", &[]);
    let attempts = wait("the failure", || Some(between.farm.attempts(&between.next)).filter(|all| !all.is_empty()));
    assert_eq!(attempts[0].cause, Some(Cause::BadScene), "{attempts:?}");
    between.go_on();
    assert_eq!(between.farm.wait_for_end(&between.next).state, JobState::Failed);
}

#[test]
fn a_batch_ahead_goes_back_at_once_when_it_is_not_to_be_rendered_here() {
    // The agent is to leave.
    let mut between = InBetween::start("half_a_second", &[]);
    between.agent.wait_for_log("scene opened ahead");
    let other = between.other_blender();
    between.agent.signal("TERM");
    between.farm.wait_for(&between.next, "the frame to be back", |job| job.counts.pending == 3);
    wait("the end of its Blender", || (!is_running(other)).then_some(()));
    between.go_on();
    assert_eq!(between.agent.wait_for_exit(), Some(0));
    between.agent = between.farm.agent("two", &blenders::path(Kind::Program), 1);
    between.next_is_done();

    // Nobody wants the job any more.
    let between = InBetween::start("half_a_second", &[]);
    between.agent.wait_for_log("scene opened ahead");
    let other = between.other_blender();
    assert_eq!(between.farm.control(&between.next, "cancel").0, 200);
    wait("the end of its Blender", || (!is_running(other)).then_some(()));
    between.go_on();
}
