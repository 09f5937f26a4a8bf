//! How leases run out, are taken up again, and end.

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::{BlenderBuild, BlenderKind, InspectionWish};

use super::*;

#[derive(Default)]
struct HeldClock(Mutex<Duration>);

impl BootClock for HeldClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

const TTL: Duration = Duration::from_secs(20);

fn frame(number: i64) -> FrameNumber {
    number.try_into().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn grant(from: i64, to: i64) -> LeaseGrant {
    LeaseGrant {
        lease_id: LeaseId::generate(),
        epoch: 1,
        job_id: JobId::generate(),
        submitted_by: None,
        scene: Sha256Digest::of(b"scene").into(),
        blender: BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program },
        device: None,
        frames: FrameRange::new(frame(from), frame(to)).unwrap(),
        generation: 1,
        frame_timeout_ms: None,
        stall_timeout_ms: None,
        options: RenderOptions::default(),
        inspection: InspectionWish::Known,
    }
}

fn verdict(lease_id: LeaseId, standing: LeaseStanding) -> Vec<LeaseVerdict> {
    vec![LeaseVerdict { lease_id, standing }]
}

#[test]
fn only_frames_that_the_orchestrator_still_wants_are_held() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let grant = grant(1, 5);
    let lease = grant.lease_id;
    let _ = book.begin(&grant, seconds(0));
    assert_eq!(book.standing(lease, frame(5)), Standing::Held);
    assert_eq!(book.standing(lease, frame(6)), Standing::Lost);
    assert_eq!(book.standing(LeaseId::generate(), frame(5)), Standing::Lost);

    book.in_work(lease, frame(1), 0.5);
    assert_eq!(book.rendered(lease), lease);
    let frames = vec![FrameRange::single(frame(2))];
    book.apply(verdict(lease, LeaseStanding::Renewed { frames }), seconds(0));
    assert_eq!(book.standing(lease, frame(2)), Standing::Held);
    assert_eq!(book.standing(lease, frame(3)), Standing::Lost);
    let held = book.held();
    assert_eq!((held[0].lease_id, held[0].frame, held[0].frames_done), (lease, None, 1));

    book.end(lease);
    assert_eq!(book.held(), []);
}

#[test]
fn a_lease_runs_out_by_the_agent_s_own_clock_from_when_it_asked() {
    let clock = Arc::new(HeldClock::default());
    let book = Book::new(clock.clone(), TTL);
    let grant = grant(1, 5);
    *clock.0.lock().unwrap() = seconds(12);
    // The poll was sent at 10 s and answered at 12 s: the orchestrator may have granted at once.
    let _ = book.begin(&grant, seconds(10));
    let standing_at = |at: u64| {
        *clock.0.lock().unwrap() = seconds(at);
        book.standing(grant.lease_id, frame(1))
    };
    assert_eq!(standing_at(29), Standing::Held);
    assert_eq!(standing_at(30), Standing::Unknown);
    // A heartbeat that was sent at 29 s is answered at last.
    let frames = vec![grant.frames];
    book.apply(verdict(grant.lease_id, LeaseStanding::Renewed { frames }), seconds(29));
    assert_eq!(standing_at(48), Standing::Held);
    assert_eq!(standing_at(49), Standing::Unknown);
}

#[test]
fn a_readopted_frame_goes_on_under_its_new_lease() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let old = grant(1, 5);
    let unwanted = book.begin(&old, seconds(0));
    book.in_work(old.lease_id, frame(3), 0.25);
    let new = grant(3, 3);
    book.apply(verdict(old.lease_id, LeaseStanding::Readopted { grant: Box::new(new.clone()) }), seconds(0));
    assert_eq!(book.standing(old.lease_id, frame(4)), Standing::Lost);
    assert_eq!(book.standing(old.lease_id, frame(3)), Standing::Held);
    book.in_work(old.lease_id, frame(3), 0.75);
    let named = book.held().into_iter().find(|held| held.lease_id == new.lease_id).unwrap();
    assert_eq!((named.frame, named.fraction), (Some(frame(3)), 0.75));
    assert_eq!(book.rendered(old.lease_id), new.lease_id);
    assert_eq!(book.line_of(old.lease_id), [old.lease_id, new.lease_id]);

    let cancelled = LeaseStanding::Revoked { reason: RevokedReason::JobCancelled };
    book.apply(verdict(new.lease_id, cancelled), seconds(0));
    assert!(unwanted.is_cancelled());
}

#[test]
fn a_frame_begun_since_the_heartbeat_stays_with_its_own_lease() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let old = grant(1, 5);
    let _ = book.begin(&old, seconds(0));
    book.in_work(old.lease_id, frame(3), 0.9);
    // The heartbeat leaves, naming frame 3; before its answer comes, that is finished.
    assert_eq!(book.rendered(old.lease_id), old.lease_id);
    book.in_work(old.lease_id, frame(4), 0.0);
    book.apply(verdict(old.lease_id, LeaseStanding::Readopted { grant: Box::new(grant(3, 3)) }), seconds(0));
    assert_eq!(book.standing(old.lease_id, frame(5)), Standing::Lost);
    let held = book.held();
    assert_eq!((held.len(), held[0].lease_id, held[0].frame), (1, old.lease_id, Some(frame(4))));
    assert_eq!(book.rendered(old.lease_id), old.lease_id);
}

#[test]
fn a_frame_put_down_since_the_heartbeat_is_not_taken_up_again() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let old = grant(1, 5);
    let _ = book.begin(&old, seconds(0));
    book.in_work(old.lease_id, frame(3), 0.9);
    // The heartbeat leaves, naming frame 3; before its answer comes, that has failed.
    assert_eq!(book.put_down(old.lease_id), old.lease_id);
    book.apply(verdict(old.lease_id, LeaseStanding::Readopted { grant: Box::new(grant(3, 3)) }), seconds(0));
    assert_eq!(book.standing(old.lease_id, frame(3)), Standing::Lost);
    let held: Vec<_> = book.held().iter().map(|held| held.lease_id).collect();
    assert_eq!(held, [old.lease_id]);
}

#[test]
fn an_ended_lease_lets_the_frame_in_work_be_finished() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let grant = grant(1, 5);
    let unwanted = book.begin(&grant, seconds(0));
    book.in_work(grant.lease_id, frame(1), 0.0);
    let ended = LeaseStanding::Revoked { reason: RevokedReason::Ended };
    book.apply(verdict(grant.lease_id, ended), seconds(0));
    assert!(!unwanted.is_cancelled());
    assert_eq!(book.standing(grant.lease_id, frame(2)), Standing::Lost);
    assert_eq!(book.rendered(grant.lease_id), grant.lease_id);
}

#[test]
fn a_cancelled_job_is_put_down_in_every_slot() {
    let book = Book::new(Arc::new(HeldClock::default()), TTL);
    let (one, other) = (grant(1, 5), grant(1, 5));
    let two = LeaseGrant { job_id: one.job_id, ..grant(6, 9) };
    let unwanted = [&one, &two, &other].map(|grant| book.begin(grant, seconds(0)));
    book.job_gone(one.job_id);
    assert_eq!(unwanted.map(|unwanted| unwanted.is_cancelled()), [true, true, false]);
    assert_eq!(book.standing(two.lease_id, frame(6)), Standing::Lost);
    assert_eq!(book.standing(other.lease_id, frame(1)), Standing::Held);
}
