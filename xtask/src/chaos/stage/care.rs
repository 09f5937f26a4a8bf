//! What is seen to for as long as a run lasts: everybody lives, no Blender outlives its agent, there is work, and full disks stay
//! full.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{CAST, FEEDING, Stage};
use crate::chaos::moment::Moment;
use crate::chaos::schedule::Kind;

/// How often a disk that is to be full is filled up.
const TOPPING_UP: Duration = Duration::from_millis(500);
/// How long the Blender of a killed agent may live on.
const ORPHAN: Duration = Duration::from_secs(10);

impl Stage {
    /// Looks once after all of it.
    pub(super) fn look_after(&mut self) -> anyhow::Result<()> {
        self.must_live()?;
        self.see_what_was_spoilt();
        let orchestrator = &self.orchestrator;
        self.orphans.retain(|(blender, _)| orchestrator.is_ours(*blender));
        let (late, in_time) = self.orphans.drain(..).partition(|(_, since)| since.elapsed() > ORPHAN);
        self.orphans = in_time;
        let late: Vec<_> = late;
        for (blender, _) in late {
            self.problems.push(format!("Blender {blender} outlives its killed agent by {} s", ORPHAN.as_secs()));
        }
        if self.topped_up.elapsed() > TOPPING_UP {
            self.topped_up = Instant::now();
            if let Some(disks) = &self.disks {
                self.full.iter().try_for_each(|whose| disks.of(*whose).fill()).context("filling a disk")?;
            }
        }
        if !self.orchestrator_is_hit && self.fed.elapsed() > FEEDING {
            self.fed = Instant::now();
            self.queue.feed()?;
        }
        Ok(())
    }

    /// Starts again whoever has ended by themselves, and keeps in mind that they did.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.orchestrator.ended()? {
            self.problems.push(format!("{} the orchestrator ended by itself ({status})", Moment::now()));
            self.start_orchestrator()?;
        }
        let draining: Vec<_> = self.draining();
        for (number, agent) in self.agents.iter_mut().enumerate().filter(|(number, _)| !draining.contains(number)) {
            if let Some(status) = agent.ended()? {
                self.problems.push(format!("{} agent {} ended by itself ({status})", Moment::now(), CAST[number].0));
                agent.start()?;
            }
        }
        Ok(())
    }

    /// The agents that have been asked to leave. Whoever was killed is not there to end.
    fn draining(&self) -> Vec<usize> {
        let drained = self.injections.iter().filter(|it| it.kind == Kind::DrainAgent && it.end == it.begin);
        drained.map(|injection| injection.agent).collect()
    }
}
