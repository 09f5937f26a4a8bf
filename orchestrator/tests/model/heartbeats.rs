//! Heartbeats, as the orchestrator hears them: renewal, re-adoption, and the end of leases that their agent should know of
//! and does not.

use crate::mutants::Mutant;
use crate::network::{Fate, Named, Said, Verdict};
use crate::pieces::PieceSet;
use crate::state::{
    AgentIndex, Breach, Breaches, Control, INTERVAL, Incarnation, Lease, LeaseIndex, Orchestrator, Request, Standing,
    TTL,
};

/// What a heartbeat came to.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) verdicts: Vec<Verdict>,
    /// The leases that it ended by not naming them.
    pub(crate) unnamed: Vec<LeaseIndex>,
}

impl Orchestrator {
    /// A heartbeat: the leases that it names are renewed, those that it should have named end.
    pub(crate) fn hear(
        &mut self,
        (agent, incarnation): (AgentIndex, Incarnation),
        said: &Said,
        breaches: &mut Breaches,
        mutant: Mutant,
    ) -> Heard {
        let verdicts: Vec<Verdict> = said
            .named
            .iter()
            .map(|named| {
                let row = self.lease_mut(named.lease);
                let fate = if row.standing == Standing::Live {
                    row.left = TTL;
                    Fate::Renewed(row.held)
                } else {
                    self.fate_of_ended((agent, incarnation), *named, breaches, mutant)
                };
                Verdict { lease: named.lease, fate }
            })
            .collect();
        let mentioned = |lease| {
            verdicts.iter().any(|verdict| {
                verdict.lease == lease || matches!(verdict.fate, Fate::Readopted(under, _) if under == lease)
            })
        };
        let should_have = |row: &Lease, lease| match mutant {
            Mutant::UnnamedByAge => row.left + INTERVAL <= TTL,
            // Its grant has reached the agent before it spoke, and it knows nothing of it.
            _ => row.request == Request::Answered && !said.unaware_of.contains(&lease),
        };
        let ours = self.live_leases().filter(|(_, row)| row.agent == agent && row.incarnation == incarnation);
        let unnamed: Vec<LeaseIndex> = ours
            .filter(|(lease, row)| !mentioned(*lease) && should_have(row, *lease))
            .map(|(lease, _)| lease)
            .collect();
        for lease in &unnamed {
            self.end(*lease, Standing::Ended, mutant);
        }
        Heard { verdicts, unnamed }
    }

    /// What becomes of a frame in work whose lease has ended.
    fn fate_of_ended(
        &mut self,
        (agent, incarnation): (AgentIndex, Incarnation),
        named: Named,
        breaches: &mut Breaches,
        mutant: Mutant,
    ) -> Fate {
        if self.control == Control::Cancelled {
            return Fate::JobGone;
        }
        let Some(piece) = named.in_work else { return Fate::Revoked };
        let before = |(_, row): &(LeaseIndex, &Lease)| {
            row.readopted_from == Some(named.lease) && row.agent == agent && row.held.contains(piece)
        };
        let again = self.live_leases().find(before).map(|(lease, _)| lease);
        if let Some(lease) = again.filter(|_| mutant != Mutant::ReadoptionForgotten) {
            self.lease_mut(lease).left = TTL;
            return Fate::Readopted(lease, piece);
        }
        let others_hold = self.holders(piece).any(|lease| self.lease(lease).readopted_from != Some(named.lease));
        let free = self.pending.contains(piece);
        let may_take = free || (mutant == Mutant::ReadoptWhileHeld && others_hold);
        if !may_take {
            let nobody_else = !others_hold && !self.failed.contains(piece);
            if nobody_else && self.is_current(piece) && !self.is_recorded(piece) {
                breaches.add(Breach::NotReadopted);
            }
            return Fate::Revoked;
        }
        if free {
            self.take_pending(piece);
        }
        let under = self.begin(Lease {
            agent,
            incarnation,
            request: Request::Answered,
            standing: Standing::Live,
            left: TTL,
            held: PieceSet::only(piece),
            readopted_from: Some(named.lease),
        });
        Fate::Readopted(under, piece)
    }
}
