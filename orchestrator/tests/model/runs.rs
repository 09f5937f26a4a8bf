//! Runs of the checker over the protocol as it is meant: the whole space of each budget of faults, with what must be seen in
//! it, and from each of its states a way to rest. `HAYWAIN_MODEL=deep` runs larger budgets besides.

use std::fmt::Write as _;
use std::time::Instant;

use stateright::{Checker, Model, Path};

use crate::action::Action;
use crate::mutants::Mutant;
use crate::protocol::Protocol;
use crate::settling::settle;
use crate::sights::Sight;
use crate::state::{Budget, State};

/// Looks at every state, and says how many there were.
fn explore(name: &str, budget: Budget, sights: &[Sight]) {
    check(name, &Protocol { budget, outbox: 1, mutant: Mutant::None, sights: sights.to_vec() });
}

fn check(name: &str, model: &Protocol) {
    let began = Instant::now();
    let checker = model.clone().checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, depth {depth}, {:.1} s", began.elapsed().as_secs_f64());
    let found = checker.discoveries();
    for property in model.properties() {
        let path = found.get(property.name);
        let must_be_found = !property.expectation.discovery_is_failure();
        assert_eq!(path.is_some(), must_be_found, "{name}: {}{}", property.name, path.map(tale).unwrap_or_default());
    }
}

/// The same, and then the way back from every state at rest.
fn explore_and_settle(name: &str, budget: Budget, sights: &[Sight]) {
    let model = Protocol { budget, outbox: 1, mutant: Mutant::None, sights: sights.to_vec() };
    check(name, &model);
    let began = Instant::now();
    let settling = settle(&model);
    println!("{name}: all of {} states settle, {:.1} s", settling.states, began.elapsed().as_secs_f64());
    assert_eq!(settling.stuck, None, "{name}: from here the farm never comes to rest");
}

/// A path, step by step.
fn tale(path: &Path<State, Action>) -> String {
    let mut tale = String::new();
    for (state, action) in path.clone().into_vec() {
        write!(tale, "\n  {state:?}\n{action:?}").unwrap();
    }
    tale
}

mod tests {
    use super::*;

    const QUIET: Budget = Budget::NONE;
    const EXPIRY: Budget = Budget { expiries: 1, ..QUIET };

    #[test]
    fn leases_run_out() {
        explore_and_settle(
            "two expiries",
            Budget { expiries: 2, ..QUIET },
            &[Sight::Completed, Sight::Readopted, Sight::Superseded, Sight::BackupWins, Sight::LateDelivery],
        );
    }

    #[test]
    fn answers_are_lost() {
        explore_and_settle(
            "an expiry, two lost answers",
            Budget { losses: 2, ..EXPIRY },
            &[Sight::Completed, Sight::Readopted],
        );
    }

    #[test]
    fn calls_take_their_time() {
        explore("an expiry, a slow call", Budget { delays: 1, ..EXPIRY }, &[Sight::Completed, Sight::LateDelivery]);
    }

    #[test]
    fn requests_arrive_twice_or_late() {
        explore("an expiry, a stray", Budget { strays: 1, ..EXPIRY }, &[Sight::Completed, Sight::Readopted]);
    }

    #[test]
    fn a_poll_lies_unread() {
        explore(
            "an expiry, an old poll, a lost answer",
            Budget { old_polls: 1, losses: 1, ..EXPIRY },
            &[Sight::Completed],
        );
    }

    #[test]
    fn an_agent_dies() {
        explore_and_settle("a death of an agent, without expiry", Budget { crashes: 1, ..QUIET }, &[Sight::Completed]);
        explore(
            "an expiry, a death of an agent, a lost answer",
            Budget { crashes: 1, losses: 1, ..EXPIRY },
            &[Sight::Completed, Sight::LateDelivery],
        );
    }

    #[test]
    fn the_orchestrator_dies() {
        explore_and_settle(
            "an expiry, a death of the orchestrator, a lost answer",
            Budget { restarts: 1, losses: 1, ..EXPIRY },
            &[Sight::Completed, Sight::Readopted],
        );
    }

    #[test]
    fn both_die() {
        explore(
            "an expiry, a death of an agent, one of the orchestrator",
            Budget { crashes: 1, restarts: 1, ..EXPIRY },
            &[Sight::Completed],
        );
    }

    #[test]
    fn attempts_fail() {
        explore_and_settle(
            "an expiry, a failure, a frame given up",
            Budget { failures: 1, give_ups: 1, ..EXPIRY },
            &[Sight::Completed, Sight::Failed, Sight::FailedIsDone],
        );
    }

    #[test]
    fn frames_are_given_back() {
        explore("an expiry, a frame given back", Budget { releases: 1, ..EXPIRY }, &[Sight::Completed]);
    }

    #[test]
    fn people_change_their_minds() {
        explore_and_settle(
            "an expiry, a re-render, a cancel",
            Budget { rerenders: 1, cancels: 1, ..EXPIRY },
            &[Sight::Completed, Sight::StaleGeneration, Sight::JobGone],
        );
    }

    #[test]
    fn an_outbox_takes_more_than_one() {
        let sights = vec![Sight::Completed, Sight::LateDelivery];
        check(
            "an expiry, outboxes of two frames",
            &Protocol { budget: EXPIRY, outbox: 2, mutant: Mutant::None, sights },
        );
    }

    #[test]
    fn an_agent_that_waits_for_ever_is_seen_to() {
        let began = Instant::now();
        let settling = settle(&Protocol { budget: EXPIRY, outbox: 1, mutant: Mutant::RevokedKept, sights: Vec::new() });
        println!(
            "RevokedKept: {} states, {:.1} s: {:?}",
            settling.states,
            began.elapsed().as_secs_f64(),
            settling.stuck
        );
        assert!(settling.stuck.is_some(), "every state settles");
    }

    #[test]
    fn more_goes_wrong_at_once() {
        if std::env::var_os("HAYWAIN_MODEL").is_none_or(|size| size != "deep") {
            return;
        }
        explore("deep: losses, slow calls", Budget { losses: 1, delays: 1, ..EXPIRY }, &[Sight::Completed]);
        explore("deep: restart, slow calls", Budget { restarts: 1, delays: 1, ..EXPIRY }, &[Sight::Completed]);
        explore("deep: death, strays", Budget { crashes: 1, strays: 1, ..EXPIRY }, &[Sight::Completed]);
        explore("deep: slow calls twice", Budget { delays: 2, expiries: 2, ..QUIET }, &[Sight::Completed]);
        explore("deep: strays twice", Budget { strays: 2, expiries: 2, ..QUIET }, &[Sight::Completed]);
    }
}
