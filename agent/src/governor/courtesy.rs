//! When the agent stands back because somebody else wants the machine (`--when-idle`): soon after they begin, and for a while
//! after they have stopped, as people pause.

use std::time::Duration;

/// A load is one when it was seen so often in a row.
const SEEN: u32 = 3;
/// How long it has to be quiet before the agent goes on.
const QUIET: Duration = Duration::from_secs(20);

/// Whether the machine is the agent's to use.
#[derive(Debug, Clone)]
pub struct Courtesy {
    /// Processors that others may use; `None` lets the agent work whatever they do.
    bound: Option<f32>,
    stands_back: bool,
    above: u32,
    quiet_since: Option<Duration>,
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Others want the machine.
    StandsBack,
    /// They don't.
    GoesOn,
}

impl Courtesy {
    /// With a bound, the agent begins when it has seen that the machine is idle.
    #[must_use]
    pub const fn new(bound: Option<f32>) -> Self {
        Self { bound, stands_back: bound.is_some(), above: 0, quiet_since: Some(Duration::ZERO) }
    }

    /// Whether no frame is to be begun.
    #[must_use]
    pub const fn stands_back(&self) -> bool {
        self.stands_back
    }

    /// Others use so many processors, at this moment.
    pub fn note(&mut self, now: Duration, foreign_cores: f32) -> Option<Turn> {
        let bound = self.bound?;
        if foreign_cores > bound {
            self.above += 1;
            self.quiet_since = None;
            let turns = !self.stands_back && self.above == SEEN;
            // At the start it stands back anyway, and somebody will want to know why.
            let says = turns || self.stands_back && self.above == 1;
            self.stands_back |= turns;
            return says.then_some(Turn::StandsBack);
        }
        if !self.stands_back {
            self.above = 0;
            return None;
        }
        // Quiet from the start counts as having been quiet before.
        let quiet_since = *self.quiet_since.get_or_insert(now);
        let begins = self.above == 0 || now >= quiet_since + QUIET;
        if begins {
            *self = Self { stands_back: false, above: 0, ..*self };
        }
        begins.then_some(Turn::GoesOn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turns that it takes, and when, if others use so much at each second.
    fn turns(bound: Option<f32>, loads: &[(u64, f32)]) -> Vec<(u64, Turn)> {
        let mut courtesy = Courtesy::new(bound);
        let mut second = 0;
        let mut turns = Vec::new();
        for (seconds, load) in loads {
            for _ in 0..*seconds {
                second += 1;
                turns.extend(courtesy.note(Duration::from_secs(second), *load).map(|turn| (second, turn)));
            }
        }
        turns
    }

    #[test]
    fn the_agent_stands_back_for_others_and_says_so_once() {
        use Turn::{GoesOn, StandsBack};
        assert_eq!(turns(None, &[(10, 99.0)]), []);
        assert_eq!(turns(Some(0.5), &[(10, 0.4)]), [(1, GoesOn)]);
        // It has to be told at the start, too, why nothing happens.
        assert_eq!(turns(Some(0.5), &[(10, 0.6), (60, 0.1)]), [(1, StandsBack), (31, GoesOn)]);
        // Bursts and pauses change nothing.
        let day = [(5, 0.0), (2, 2.0), (5, 0.0), (30, 2.0), (10, 0.0), (1, 2.0), (40, 0.0), (9, 2.0)];
        assert_eq!(turns(Some(0.5), &day), [(1, GoesOn), (15, StandsBack), (74, GoesOn), (96, StandsBack)]);
    }
}
