//! How wishes go from one agent to the next.

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::Incarnation;
use haywain_shared::protocol::LeaseTiming;

use super::*;
use crate::clock::HeldClock;

fn scene(name: &str) -> SceneId {
    Sha256Digest::of(name.as_bytes()).into()
}

fn asking(agent: AgentId, cached: &[SceneId]) -> LeaseAsk {
    LeaseAsk {
        agent,
        incarnation: Incarnation(1),
        request: RequestId::generate(),
        timing: LeaseTiming::Now,
        memory_available_bytes: 0,
        warm: None,
        cached: cached.to_vec(),
        devices: None,
    }
}

fn all_online(agents: &[AgentId]) -> BTreeMap<AgentId, AgentState> {
    agents.iter().map(|agent| (*agent, AgentState::Online)).collect()
}

fn failure(cause: Cause) -> InspectionFailure {
    InspectionFailure { cause, message: "no".to_owned() }
}

fn desk() -> (Desk, Arc<HeldClock>) {
    let clock = Arc::new(HeldClock::default());
    (Desk::new(clock.clone()), clock)
}

#[test]
fn a_wish_is_with_one_agent_and_the_one_that_has_the_scene_gets_it() {
    let (desk, _) = desk();
    let (barn, mill) = (AgentId::generate(), AgentId::generate());
    let (online, shot) = (all_online(&[barn, mill]), scene("shot"));
    let waits = desk.sit(&asking(barn, &[]));
    let request = asking(mill, &[shot]);
    let has_it = desk.sit(&request);
    let mut news = desk.news();
    assert!(!waits.has_errand() && !has_it.has_errand());
    assert_eq!(desk.ask(shot, &online), Standing::Waiting);
    assert!(news.has_changed().unwrap(), "who waits is woken");
    news.borrow_and_update();
    assert_eq!(waits.take_errand(), None);
    assert_eq!(has_it.take_errand(), Some(shot));
    assert_eq!(desk.ask_again(shot, &online), Some(Standing::With(mill)));
    assert_eq!((waits.take_errand(), desk.sit(&asking(mill, &[shot])).take_errand()), (None, None));
    // The answer was lost: the same request gets the same.
    assert_eq!(desk.sit(&request).take_errand(), Some(shot));
    desk.settle(shot);
    // Who has asked before, and asks once more as it is settled, sends nobody.
    assert_eq!(desk.ask_again(shot, &online), None);
    assert!(!has_it.has_errand());

    // Who has the scene and may not work, or does not wait any more, is in nobody's way.
    desk.ask(shot, &online);
    let has_it_too = desk.sit(&asking(mill, &[shot]));
    has_it.decline();
    assert!(!waits.has_errand());
    news.borrow_and_update();
    drop(has_it_too);
    assert!(news.has_changed().unwrap() && waits.has_errand());
}

#[test]
fn it_goes_to_the_next_and_the_last_one_s_words_are_the_answer() {
    let (desk, clock) = desk();
    let [barn, mill, shed] = [(); 3].map(|()| AgentId::generate());
    let (online, shot) = (all_online(&[barn, mill, shed]), scene("shot"));
    let take = |agent| desk.sit(&asking(agent, &[])).take_errand();
    desk.ask(shot, &online);
    // One that stops has not tried.
    assert_eq!(take(barn), Some(shot));
    desk.fail(shot, barn, failure(Cause::AgentStopped));
    assert_eq!(take(barn), Some(shot));
    desk.fail(shot, barn, failure(Cause::BadScene));
    assert_eq!((desk.ask(shot, &online), take(barn), take(mill)), (Standing::Waiting, None, Some(shot)));
    desk.gone(barn, "it has nothing");
    desk.gone(mill, "it has left");
    assert_eq!((desk.ask(shot, &online), take(mill), take(shed)), (Standing::Waiting, None, Some(shot)));
    clock.advance(ANSWERED_WITHIN / 2);
    desk.ask(shot, &online);
    clock.advance(ANSWERED_WITHIN / 2 + Duration::from_secs(1));
    assert_eq!(desk.ask_again(shot, &online), None, "nobody has asked for too long");

    desk.ask(shot, &online);
    assert_eq!(take(shed), Some(shot));
    for _ in 0..3 {
        assert_eq!(desk.ask(shot, &online), Standing::With(shed));
        clock.advance(ANSWERED_WITHIN / 3);
    }
    clock.advance(Duration::from_secs(1));
    let Standing::Failed(failed) = desk.ask(shot, &all_online(&[shed])) else { panic!("all have tried") };
    assert_eq!((failed.agent, failed.failure.cause), (shed, Cause::LeaseExpired));
    clock.advance(FAILURE_KEPT + Duration::from_secs(1));
    assert_eq!((desk.ask(shot, &online), take(shed)), (Standing::Waiting, Some(shot)), "it is asked anew");
    assert_eq!(desk.ask(shot, &all_online(&[barn])), Standing::Waiting, "who is away looks at nothing");
}

#[test]
fn a_few_tries_are_enough() {
    let (desk, _) = desk();
    let agents = all_online(&[(); 9].map(|()| AgentId::generate()));
    desk.ask(scene("shot"), &agents);
    let mut tries = 0;
    for agent in agents.keys() {
        if desk.sit(&asking(*agent, &[])).take_errand().is_some() {
            tries += 1;
            desk.fail(scene("shot"), *agent, failure(Cause::BadScene));
        }
    }
    assert_eq!(tries, MOST_TRIES);
    assert!(matches!(desk.ask(scene("shot"), &agents), Standing::Failed(_)));
    assert_eq!(desk.ask(scene("other"), &BTreeMap::new()), Standing::Waiting, "nobody is there to fail");
}
