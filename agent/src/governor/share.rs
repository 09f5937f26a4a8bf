//! Which part of the machine is left to this agent beside what others do on it. It follows them slowly: a short burst changes
//! nothing, nor does a load that swings around a border.

use std::collections::VecDeque;

use super::limits::Limits;

/// So many readings are looked at together; their median counts.
const LOOKED_AT: usize = 5;
/// A processor of which less than this is left is not counted.
const CRUMB: f32 = 0.1;
/// A change of the load counts from one in so many of the processors on: what is known by then begins anew.
const NOTABLE: u32 = 16;
/// How much of a processor must be free above the border before it counts: less would swing.
const SURPLUS: f32 = 0.3;

/// The processors that are left.
#[derive(Debug, Clone)]
pub(super) struct Share {
    machine_cores: f32,
    allowed: u32,
    recent: VecDeque<f32>,
    cores: u32,
}

impl Share {
    /// All that is allowed, until something else is seen.
    pub(super) fn new(limits: &Limits) -> Self {
        let machine_cores = as_cores(limits.machine_cores.max(limits.cores));
        let allowed = limits.cores.max(1);
        Self { machine_cores, allowed, recent: VecDeque::with_capacity(LOOKED_AT), cores: allowed }
    }

    /// How many processors there are for this agent, at least one.
    pub(super) const fn cores(&self) -> u32 {
        self.cores
    }

    /// Others use so many, at this moment.
    pub(super) fn note(&mut self, foreign_cores: f32) {
        if self.recent.len() == LOOKED_AT {
            self.recent.pop_front();
        }
        self.recent.push_back(foreign_cores.max(0.0));
        if self.recent.len() < LOOKED_AT {
            return;
        }
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        // What others use comes off the whole machine first: in a container this agent's part may be free all the same.
        let left = (self.machine_cores - sorted[LOOKED_AT / 2]).min(as_cores(self.allowed));
        let step = as_cores((self.allowed / NOTABLE).max(1));
        let fewer = left < as_cores(self.cores) - step;
        let more = left > as_cores(self.cores) + step - 1.0 + SURPLUS;
        let all = left > as_cores(self.allowed) - CRUMB;
        if fewer || more || all {
            self.cores = whole(left - CRUMB).clamp(1, self.allowed);
        }
    }

    /// What was seen says nothing about what comes.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }
}

#[expect(clippy::cast_precision_loss, reason = "processors are few")]
const fn as_cores(cores: u32) -> f32 {
    cores as f32
}

/// The next whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "processors are few, and not negative here"
)]
fn whole(cores: f32) -> u32 {
    cores.max(0.0).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(machine_cores: u32, cores: u32) -> Share {
        Share::new(&Limits { machine_cores, ..Limits::of_machine(cores) })
    }

    #[test]
    fn the_share_is_what_others_leave() {
        #[rustfmt::skip]
        let cases = [
            // machine, allowed; what others use, one after the other for a while -> what is left then
            (2, 2, vec![(0.0, 2), (0.3, 2), (0.95, 2), (1.05, 1), (0.9, 1), (0.6, 2), (2.0, 1), (0.0, 2)]),
            (1, 1, vec![(0.0, 1), (1.0, 1)]),
            (16, 16, vec![(1.0, 16), (3.0, 13), (2.8, 13), (2.5, 14), (0.5, 16)]),
            // Only what does not fit beside a container's part takes from it.
            (16, 4, vec![(8.0, 4), (12.5, 4), (13.6, 3), (16.0, 1)]),
            (64, 64, vec![(3.0, 64), (5.0, 59), (8.0, 59), (2.0, 59), (0.0, 64)]),
        ];
        for (machine, allowed, loads) in cases {
            let mut share = share(machine, allowed);
            for (foreign, left) in loads {
                (0..LOOKED_AT).for_each(|_| share.note(foreign));
                assert_eq!(share.cores(), left, "{machine}, {allowed}: others use {foreign}");
            }
        }
    }

    #[test]
    fn a_burst_changes_nothing() {
        let mut share = share(2, 2);
        for foreign in [0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0, 0.0] {
            share.note(foreign);
            assert_eq!(share.cores(), 2);
        }
        share.forget();
        for _ in 1..LOOKED_AT {
            share.note(2.0);
            assert_eq!(share.cores(), 2);
        }
    }
}
