//! One form for all states that nobody can tell apart: it is what keeps the space small. Leases are numbered by their place
//! in the order of grants, ended ones first and in the order in which they are mentioned; what no step will ever read is
//! blanked; and of the two ways to call the agents the first and the second, the lesser is taken.

use std::cmp::Ordering;

use crate::network::{Beat, Report, Said, Stray};
use crate::pieces::Piece;
use crate::state::{Agent, Incarnation, Lease, LeaseIndex, Request, Standing, State};

impl State {
    pub(crate) fn canonical(mut self) -> Self {
        self.blank();
        match self.agents[0].outline().cmp(&self.agents[1].outline()) {
            Ordering::Less => {}
            Ordering::Greater => self.swap_agents(),
            Ordering::Equal => {
                let mut other = self.clone();
                other.swap_agents();
                other.number();
                self.number();
                return self.min(other);
            }
        }
        self.number();
        self
    }

    /// Blanks what is never read again.
    fn blank(&mut self) {
        let frames = self.frame_reports();
        for (piece, author) in Piece::all().zip(&mut self.orchestrator.recorded) {
            if let Some(author) = author {
                author.lease = author.lease.filter(|lease| frames.contains(&Report::Frame(*lease, piece)));
            }
        }
        let expiries = self.budget.expiries;
        let mut startable = vec![false; self.orchestrator.leases.len()];
        for agent in &mut self.agents {
            for held in &mut agent.book {
                if held.to_do.is_empty() {
                    held.left = 0;
                } else {
                    startable[usize::from(held.lease.0)] = true;
                }
            }
            if let Some(grant) = agent.grant {
                startable[usize::from(grant.lease.0)] = true;
            }
        }
        for (row, startable) in self.orchestrator.leases.iter_mut().zip(startable) {
            if expiries == 0 {
                row.left = 0;
            }
            if row.standing == Standing::Live {
                continue;
            }
            row.readopted_from = None;
            if !startable {
                row.standing = Standing::Ended;
            }
            if row.request == Request::Answered {
                (row.agent, row.incarnation) = (0, Incarnation::Current);
            }
        }
    }

    fn frame_reports(&self) -> Vec<Report> {
        let strays = self.strays.iter().filter_map(|stray| match stray {
            Stray::Report(report) => Some(*report),
            _ => None,
        });
        self.agents.iter().flat_map(|agent| agent.outbox.iter().copied()).chain(strays).collect()
    }

    fn swap_agents(&mut self) {
        let swap = |agent: &mut usize| *agent = 1 - *agent;
        self.agents.swap(0, 1);
        for row in &mut self.orchestrator.leases {
            if row.standing == Standing::Live || row.request == Request::Open {
                swap(&mut row.agent);
            }
        }
        for stray in &mut self.strays {
            if let Stray::Ask { agent, .. } | Stray::Beat { agent, .. } = stray {
                swap(agent);
            }
        }
    }

    /// Numbers the leases anew, and drops those that nobody can name.
    fn number(&mut self) {
        self.strays.sort_unstable();
        let mut order = Vec::new();
        let live: Vec<bool> = self.orchestrator.leases.iter().map(|row| row.standing == Standing::Live).collect();
        self.each_mention(&mut |lease| {
            if !live[usize::from(lease.0)] && !order.contains(lease) {
                order.push(*lease);
            }
        });
        for (lease, row) in self.orchestrator.lease_indices().zip(&self.orchestrator.leases) {
            let stays = row.standing == Standing::Live || row.request == Request::Open;
            if stays && !order.contains(&lease) {
                order.push(lease);
            }
        }
        let place = |lease: LeaseIndex| {
            order.iter().position(|one| *one == lease).map(|place| LeaseIndex(u8::try_from(place).unwrap()))
        };
        self.each_mention(&mut |lease| *lease = place(*lease).unwrap_or(*lease));
        self.each_said(&mut |said| {
            said.unaware_of = said.unaware_of.iter().filter_map(|lease| place(*lease)).collect();
        });
        let leases: Vec<Lease> = order.iter().map(|lease| self.orchestrator.leases[usize::from(lease.0)]).collect();
        self.orchestrator.leases = leases;
        for row in &mut self.orchestrator.leases {
            row.readopted_from = row.readopted_from.and_then(place);
        }
        for author in self.orchestrator.recorded.iter_mut().flatten() {
            author.lease = author.lease.and_then(place);
        }
        self.strays.sort_unstable();
    }

    /// Every heartbeat on its way to the orchestrator.
    fn each_said(&mut self, see: &mut impl FnMut(&mut Said)) {
        for agent in &mut self.agents {
            if let Some(Beat::Asked { said, .. }) = &mut agent.beat {
                see(said);
            }
        }
        for stray in &mut self.strays {
            if let Stray::Beat { said, .. } = stray {
                see(said);
            }
        }
    }

    /// Every place where somebody can still name a lease.
    fn each_mention(&mut self, see: &mut impl FnMut(&mut LeaseIndex)) {
        for agent in &mut self.agents {
            agent.book.iter_mut().for_each(|held| see(&mut held.lease));
            agent.outbox.iter_mut().for_each(|report| see(report.lease_mut()));
            agent.grant.iter_mut().for_each(|grant| see(&mut grant.lease));
            agent.beat.iter_mut().for_each(|beat| beat.each_mention(see));
        }
        self.strays.iter_mut().for_each(|stray| stray.each_mention(see));
    }
}

impl Agent {
    /// What tells two agents apart in most cases, whatever number their leases have.
    fn outline(&self) -> impl Ord + use<> {
        let to_do = self.book.iter().find(|held| !held.is_over()).map(|held| (held.in_work, held.to_do, held.left));
        let on_its_way = (self.grant.is_some(), self.beat.is_some());
        (self.registration, self.book.len(), to_do, self.outbox.len(), on_its_way)
    }
}
