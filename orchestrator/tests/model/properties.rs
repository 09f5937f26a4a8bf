//! What must hold in every state: the invariants I1 to I6 of the design, in the terms of the model.

use stateright::Property;

use crate::orchestrator::JobState;
use crate::pieces::{FRAMES, Piece};
use crate::protocol::Protocol;
use crate::sights::Sight;
use crate::state::{
    Breach, Control, Counts, Incarnation, LeaseIndex, Orchestrator, Registration, Request, Standing, State,
};

pub(crate) const I1_OUTPUT: &str = "I1 a frame's first output of its generation is its output";
pub(crate) const I2_ONE_HOME: &str = "I2 a frame is in exactly one home, and has two holders of two agents at most";
pub(crate) const I2_COUNTS: &str = "I2 the job's counters say what its frames' homes say";
pub(crate) const I3_ENDED_HOLDS_NOTHING: &str = "I3 a lease that has ended holds nothing";
pub(crate) const I3_GRACE: &str = "I3 an outage expires nothing";
pub(crate) const I4_KEPT: &str = "I4 finished work is never thrown away";
pub(crate) const I5_STARTS: &str = "I5 no frame is started under a lease that has expired";
pub(crate) const I5_READOPTED: &str = "I5 a frame in work is re-adopted unless another has it";
pub(crate) const I6_COMPLETED: &str = "I6 a job is completed if and only if all its frames are done";
pub(crate) const ONE_LEASE: &str = "a lease request brings one lease";
pub(crate) const ONE_LIFE: &str = "an agent's earlier life holds nothing once its next one has registered";
pub(crate) const HELD_STAYS: &str = "a heartbeat ends no lease that its agent holds";

/// All that is checked in a run.
pub(crate) fn all(sights: &[Sight]) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(I1_OUTPUT, |_, state: &State| i1_output(state)),
        Property::always(I2_ONE_HOME, |_, state: &State| (0..FRAMES).all(|frame| i2_one_home(state, frame))),
        Property::always(I2_COUNTS, |_, state: &State| i2_counts(&state.orchestrator)),
        Property::always(I3_ENDED_HOLDS_NOTHING, |_, state: &State| {
            state.orchestrator.leases.iter().all(|row| (row.standing == Standing::Live) != row.held.is_empty())
        }),
        Property::always(I3_GRACE, |_, state: &State| !state.breaches.has(Breach::OutageExpired)),
        Property::always(I4_KEPT, |_, state: &State| !state.breaches.has(Breach::WorkLost)),
        Property::always(I5_STARTS, |_, state: &State| !state.breaches.has(Breach::StartedAfterExpiry)),
        Property::always(I5_READOPTED, |_, state: &State| !state.breaches.has(Breach::NotReadopted)),
        Property::always(I6_COMPLETED, |_, state: &State| i6_completed(&state.orchestrator)),
        Property::always(ONE_LEASE, |_, state: &State| one_lease(&state.orchestrator)),
        Property::always(ONE_LIFE, |_, state: &State| one_life(state)),
        Property::always(HELD_STAYS, |_, state: &State| !state.breaches.has(Breach::HeldEnded)),
    ];
    properties.extend(sights.iter().map(|sight| sight.property()));
    properties
}

fn i1_output(state: &State) -> bool {
    let own = |piece: Piece| state.orchestrator.recorded[piece.index()].is_none_or(|author| author.rendered == piece);
    Piece::all().all(own) && !state.breaches.has(Breach::OutputReplaced)
}

fn i2_one_home(state: &State, frame: u8) -> bool {
    let orchestrator = &state.orchestrator;
    let piece = orchestrator.current(frame);
    let holders: Vec<LeaseIndex> = orchestrator.holders(piece).collect();
    let homes = [
        orchestrator.pending.contains(piece),
        orchestrator.failed.contains(piece),
        orchestrator.is_recorded(piece),
        !holders.is_empty(),
    ];
    let two_agents = match holders[..] {
        [] | [_] => true,
        [one, other] => orchestrator.lease(one).agent != orchestrator.lease(other).agent,
        _ => false,
    };
    homes.iter().filter(|home| **home).count() == 1 && two_agents
}

fn i2_counts(orchestrator: &Orchestrator) -> bool {
    let frames = || (0..FRAMES).map(|frame| orchestrator.current(frame));
    let count = |home: &dyn Fn(Piece) -> bool| i8::try_from(frames().filter(|piece| home(*piece)).count()).unwrap();
    let counted = Counts {
        pending: count(&|piece| orchestrator.pending.contains(piece)),
        leased: count(&|piece| orchestrator.holders(piece).next().is_some()),
        done: count(&|piece| orchestrator.is_recorded(piece)),
        failed: count(&|piece| orchestrator.failed.contains(piece)),
    };
    counted == orchestrator.counts
}

fn i6_completed(orchestrator: &Orchestrator) -> bool {
    let all_done = (0..FRAMES).all(|frame| orchestrator.is_recorded(orchestrator.current(frame)));
    let completed = orchestrator.job_state() == JobState::Completed;
    orchestrator.control == Control::Cancelled || completed == all_done
}

fn one_lease(orchestrator: &Orchestrator) -> bool {
    let open = |agent, incarnation| {
        let same = orchestrator.leases.iter().filter(move |row| row.agent == agent && row.incarnation == incarnation);
        same.filter(|row| row.request == Request::Open).count()
    };
    orchestrator.leases.iter().all(|row| open(row.agent, row.incarnation) <= 1)
}

fn one_life(state: &State) -> bool {
    state.orchestrator.live_leases().all(|(_, row)| {
        row.incarnation == Incarnation::Current || state.agents[row.agent].registration == Registration::Unknown
    })
}
