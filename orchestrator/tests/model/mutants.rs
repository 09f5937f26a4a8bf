//! Planted holes: each makes one rule of the protocol wrong, and names the property that must then be seen to break. A
//! checker that finds none of these proves nothing by finding nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::properties;
use crate::protocol::Protocol;
use crate::state::Budget;

/// What is wrong with the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing.
    None,
    /// A failure or a release moves a frame that its lease does not hold (any more).
    NoEpochCheck,
    /// A restarted orchestrator goes on with terms that ran out while it was away.
    NoRestartGrace,
    /// A frame whose primary ends is pending, although its backup goes on.
    PendingWhileBackupHolds,
    /// A delivery counts for the frame's generation of now, not for the one that was rendered.
    GenerationIgnored,
    /// A repeated lease request is a new one.
    RequestIdIgnored,
    /// Repeating a lease request tells the same lease, but leaves its term as it was.
    RepeatRenewsNothing,
    /// A second output of a frame takes the place of the first.
    RecordReplaces,
    /// The leases of an agent's earlier life live on when its next one registers.
    OldIncarnationKept,
    /// What an agent's earlier life said is heard after its next one has registered.
    OldIncarnationHeard,
    /// An agent starts frames under a lease that has run out by its own clock.
    StartAfterOwnExpiry,
    /// An agent counts a lease's term from the arrival of an answer, not from when it asked.
    TermFromReceipt,
    /// Ended leases are forgotten, and the agent throws away what it has rendered under them.
    OutboxDroppedOnUnknown,
    /// The outbox is in memory.
    OutboxLostInCrash,
    /// A frame is re-adopted although somebody else holds it.
    ReadoptWhileHeld,
    /// A heartbeat whose answer was lost finds its own re-adoption in its way.
    ReadoptionForgotten,
    /// A heartbeat ends a lease that it does not name by the lease's age, whether the agent knew of it or not.
    UnnamedByAge,
    /// A heartbeat that a later one has overtaken is heard.
    OvertakenBeatHeard,
    /// An agent keeps the unstarted frames of a lease that is over, and waits to be told to go on.
    RevokedKept,
    /// A re-render leaves the count of done frames as it was.
    RerenderUncounted,
}

/// Runs the protocol with a hole in it, and holds that the checker finds this property broken.
fn breaks(mutant: Mutant, property: &'static str, budget: Budget) {
    let began = Instant::now();
    let model = Protocol { budget, outbox: 1, mutant, sights: Vec::new() };
    let found = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(found).spawn_bfs().join();
    let (states, seconds) = (checker.unique_state_count(), began.elapsed().as_secs_f64());
    let trace = checker.discoveries().remove(property).map(Path::into_actions);
    let trace = trace.unwrap_or_else(|| panic!("{mutant:?} breaks nothing: {states} states in {seconds:.1} s"));
    println!("{mutant:?}: {property}: broken in {} steps, {states} states, {seconds:.1} s: {trace:?}", trace.len());
}

mod tests {
    use super::*;

    const NONE: Budget = Budget::NONE;
    const EXPIRY: Budget = Budget { expiries: 1, ..NONE };

    #[test]
    fn a_failure_from_an_ended_lease_must_change_nothing() {
        breaks(Mutant::NoEpochCheck, properties::I2_ONE_HOME, Budget { failures: 1, ..EXPIRY });
    }

    #[test]
    fn a_restart_must_give_a_full_term() {
        breaks(Mutant::NoRestartGrace, properties::I3_GRACE, Budget { restarts: 1, ..EXPIRY });
    }

    #[test]
    fn a_backup_must_keep_its_frame_leased() {
        breaks(Mutant::PendingWhileBackupHolds, properties::I2_ONE_HOME, EXPIRY);
    }

    #[test]
    fn a_delivery_must_carry_its_generation() {
        breaks(Mutant::GenerationIgnored, properties::I1_OUTPUT, Budget { rerenders: 1, ..EXPIRY });
    }

    #[test]
    fn a_request_id_must_bring_one_lease() {
        breaks(Mutant::RequestIdIgnored, properties::ONE_LEASE, Budget { losses: 1, delays: 1, ..NONE });
    }

    #[test]
    fn a_repeated_request_must_renew_its_lease() {
        breaks(Mutant::RepeatRenewsNothing, properties::I5_STARTS, Budget { losses: 1, ..EXPIRY });
    }

    #[test]
    fn the_first_output_must_stay() {
        breaks(Mutant::RecordReplaces, properties::I1_OUTPUT, NONE);
    }

    #[test]
    fn a_new_life_must_end_the_old_ones_leases() {
        breaks(Mutant::OldIncarnationKept, properties::ONE_LIFE, Budget { crashes: 1, ..NONE });
    }

    #[test]
    fn an_old_life_must_not_be_heard() {
        breaks(Mutant::OldIncarnationHeard, properties::ONE_LIFE, Budget { crashes: 1, strays: 1, ..NONE });
    }

    #[test]
    fn an_agent_must_heed_its_own_clock() {
        breaks(Mutant::StartAfterOwnExpiry, properties::I5_STARTS, EXPIRY);
    }

    #[test]
    fn an_agent_must_count_from_when_it_asked() {
        breaks(Mutant::TermFromReceipt, properties::I5_STARTS, Budget { delays: 1, ..EXPIRY });
    }

    #[test]
    fn an_ended_lease_must_be_able_to_deliver() {
        breaks(Mutant::OutboxDroppedOnUnknown, properties::I4_KEPT, EXPIRY);
    }

    #[test]
    fn an_outbox_must_survive_its_agent() {
        breaks(Mutant::OutboxLostInCrash, properties::I4_KEPT, Budget { crashes: 1, ..NONE });
    }

    #[test]
    fn a_frame_that_another_holds_must_not_be_readopted() {
        breaks(Mutant::ReadoptWhileHeld, properties::I2_ONE_HOME, Budget { delays: 1, ..EXPIRY });
    }

    #[test]
    fn a_readoption_must_bear_a_lost_answer() {
        breaks(Mutant::ReadoptionForgotten, properties::I5_READOPTED, Budget { losses: 1, ..EXPIRY });
    }

    #[test]
    fn age_must_not_tell_what_an_agent_knows() {
        breaks(Mutant::UnnamedByAge, properties::HELD_STAYS, Budget { strays: 1, ..EXPIRY });
    }

    #[test]
    fn an_overtaken_heartbeat_must_be_ignored() {
        breaks(Mutant::OvertakenBeatHeard, properties::HELD_STAYS, Budget { strays: 1, ..EXPIRY });
    }

    #[test]
    fn a_rerender_must_be_counted() {
        breaks(Mutant::RerenderUncounted, properties::I6_COMPLETED, Budget { rerenders: 1, ..NONE });
    }
}
