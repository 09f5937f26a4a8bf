//! The plan of a run: who is there, what is to be rendered, and what goes wrong when. A pure function of the seed.

use std::collections::BTreeMap;

use crate::entropy::Dice;
use crate::weather::Weather;

/// A run, planned.
pub(crate) struct Plan {
    /// The slots of each agent.
    pub(crate) agents: Vec<u32>,
    pub(crate) weather: Weather,
    /// When all faults end.
    pub(crate) calm_at_ms: u64,
    /// What happens when. The second number tells apart what happens at once.
    pub(crate) events: BTreeMap<(u64, u64), Event>,
}

/// Something that happens. Numbers of agents and jobs are taken modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Submit {
        frames: u64,
        batch_size: u32,
        pace_ms: u64,
        doomed: u64,
    },
    KillAgent {
        agent: usize,
        down_ms: u64,
    },
    /// The first signal asks it to drain, and the second to stop.
    DismissAgent {
        agent: usize,
        at_once: bool,
        down_ms: u64,
    },
    StartAgent {
        agent: usize,
    },
    FreezeAgent {
        agent: usize,
        ms: u64,
    },
    ThawAgent {
        agent: usize,
    },
    CutOff {
        agent: usize,
        ms: u64,
    },
    Reconnect {
        agent: usize,
    },
    KillHouse {
        down_ms: u64,
    },
    OpenHouse,
    FreezeHouse {
        ms: u64,
    },
    ThawHouse,
    WallJumps {
        by_ms: i64,
    },
    Cancel {
        job: usize,
    },
    Pause {
        job: usize,
        ms: u64,
    },
    Resume {
        job: usize,
    },
    Rerender {
        job: usize,
        from: u64,
        frames: u64,
    },
    RetryFailed {
        job: usize,
    },
    SetPriority {
        job: usize,
        priority: i32,
    },
    Drain {
        agent: usize,
        ms: u64,
    },
    SetAside {
        agent: usize,
        ms: u64,
    },
    ResumeAgent {
        agent: usize,
    },
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed]);
        let agents = (0..dice.between(2, 4)).map(|_| if dice.happens(400) { 2 } else { 1 }).collect();
        let weather = Weather {
            loses_requests: dice.between(1, 80),
            loses_answers: dice.between(0, 80),
            doubles: dice.between(0, 60),
            spoils_uploads: dice.between(0, 80),
            delay_ms: *dice.one_of(&[30, 300, 1500]),
            long_delay_ms: *dice.one_of(&[2000, 8000, 25_000]),
            ..Weather::default()
        };
        let calm_at_ms = 1000 * dice.between(180, 480);
        let mut plan = Self { agents, weather, calm_at_ms, events: BTreeMap::new() };
        for job in 0..dice.between(1, 3) {
            let at_ms = if job == 0 { 500 } else { dice.below(120_000) };
            let submit = Event::Submit {
                frames: dice.between(5, 40),
                batch_size: u32::try_from(dice.between(1, 8)).unwrap(),
                pace_ms: *dice.one_of(&[300, 1000, 4000, 12_000, 30_000]),
                doomed: if dice.happens(150) { dice.between(1, 2) } else { 0 },
            };
            plan.add(at_ms, submit);
        }
        for _ in 0..dice.between(4, 18) {
            let at_ms = 2000 + dice.below(calm_at_ms - 2000);
            plan.add(at_ms, fault(&mut dice));
        }
        for _ in 0..dice.below(6) {
            let at_ms = 2000 + dice.below(calm_at_ms - 2000);
            plan.add(at_ms, order(&mut dice));
        }
        plan
    }

    /// Something is to happen, after everything else that is to happen at that moment.
    pub(crate) fn add(&mut self, at_ms: u64, event: Event) {
        let number = self.events.range((at_ms, 0)..(at_ms + 1, 0)).next_back().map_or(0, |((_, last), _)| last + 1);
        self.events.insert((at_ms, number), event);
    }
}

fn fault(dice: &mut Dice) -> Event {
    let agent = usize::try_from(dice.below(4)).unwrap();
    match dice.below(14) {
        0..3 => Event::KillAgent { agent, down_ms: dice.between(500, 40_000) },
        3 => Event::DismissAgent { agent, at_once: dice.happens(400), down_ms: dice.between(500, 40_000) },
        4..6 => Event::FreezeAgent { agent, ms: dice.between(3000, 60_000) },
        6..9 => Event::CutOff { agent, ms: dice.between(3000, 90_000) },
        9..12 => Event::KillHouse { down_ms: dice.between(500, 40_000) },
        12 => Event::FreezeHouse { ms: dice.between(3000, 40_000) },
        _ => {
            let by_ms = i64::try_from(dice.between(1000, 7_200_000)).unwrap();
            Event::WallJumps { by_ms: if dice.happens(500) { by_ms } else { -by_ms } }
        }
    }
}

fn order(dice: &mut Dice) -> Event {
    let agent = usize::try_from(dice.below(4)).unwrap();
    let job = usize::try_from(dice.below(3)).unwrap();
    match dice.below(9) {
        0 => Event::Cancel { job },
        1..3 => Event::Pause { job, ms: dice.between(2000, 60_000) },
        3..5 => Event::Rerender { job, from: dice.below(30), frames: dice.between(1, 10) },
        5 => Event::RetryFailed { job },
        6 => Event::SetPriority { job, priority: i32::try_from(dice.below(100)).unwrap() },
        7 => Event::Drain { agent, ms: dice.between(2000, 60_000) },
        _ => Event::SetAside { agent, ms: dice.between(2000, 60_000) },
    }
}
