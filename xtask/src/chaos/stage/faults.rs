//! What each fault does when it begins, and what puts it right when it ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{GLANCE, Stage};
use crate::chaos::cast;
use crate::chaos::line::Spoil;
use crate::chaos::moment::Moment;
use crate::chaos::pictures::Scene;
use crate::chaos::schedule::{AGENTS, Fault, Kind};
use crate::interrupt;

/// Frames of a job that is to be cancelled: enough for every slot.
const SLOW_FRAMES: u64 = 4;
/// How long it may take until such a job is in work, and until it is not any more.
const CANCEL: (Duration, Duration) = (Duration::from_secs(14), Duration::from_secs(15));

impl Stage {
    pub(super) fn begin(&mut self, fault: &Fault, number: usize) -> anyhow::Result<()> {
        match fault.kind {
            Kind::KillBlender => {
                // Its agent may have been killed a moment ago: then it is another's.
                self.injections[number].times = 0;
                for agent in (0..AGENTS).map(|after| (fault.agent + after) % AGENTS) {
                    if let Some(blender) = self.agents[agent].blenders()?.last() {
                        cast::kill(*blender);
                        (self.injections[number].agent, self.injections[number].times) = (agent, 1);
                        break;
                    }
                }
            }
            Kind::KillAgent | Kind::LoseAgent => {
                let blenders = self.agents[fault.agent].blenders()?;
                self.agents[fault.agent].kill()?;
                self.orphans.extend(blenders.into_iter().map(|blender| (blender, Instant::now())));
            }
            Kind::DrainAgent => self.agents[fault.agent].signal("TERM"),
            Kind::FreezeAgent => self.agents[fault.agent].signal("STOP"),
            Kind::FillAgent => self.fill(Some(fault.agent))?,
            Kind::KillOrchestrator => {
                self.orchestrator_is_hit = true;
                self.orchestrator.kill()?;
            }
            Kind::FreezeOrchestrator => {
                self.orchestrator_is_hit = true;
                self.orchestrator.signal("STOP");
            }
            Kind::FillOrchestrator => {
                self.orchestrator_is_hit = true;
                self.fill(None)?;
            }
            Kind::CorruptUpload => self.spoil(number, Spoil::Corrupt, fault.size),
            Kind::CutUpload => self.spoil(number, Spoil::Cut(fault.size), 1),
            Kind::LoseAnswer => self.spoil(number, Spoil::LoseAnswer, 1),
            Kind::LoseGrant => self.spoil(number, Spoil::LoseGrant, 1),
            Kind::Refuse => self.line.refuse(),
            Kind::Hold => self.line.hold(),
            Kind::Cancel => self.cancel(number)?,
        }
        Ok(())
    }

    pub(super) fn end(&mut self, fault: &Fault) -> anyhow::Result<()> {
        match fault.kind {
            Kind::KillAgent | Kind::LoseAgent => drop(self.agents[fault.agent].start()?),
            Kind::DrainAgent => {
                self.must_leave(fault.agent)?;
                self.agents[fault.agent].start()?;
            }
            Kind::FreezeAgent => self.agents[fault.agent].signal("CONT"),
            Kind::FillAgent => self.free(Some(fault.agent))?,
            Kind::KillOrchestrator => {
                self.start_orchestrator()?;
                self.orchestrator_is_hit = false;
            }
            Kind::FreezeOrchestrator => {
                self.orchestrator.signal("CONT");
                self.orchestrator_is_hit = false;
            }
            Kind::FillOrchestrator => {
                self.free(None)?;
                self.orchestrator_is_hit = false;
            }
            // They have no end of their own, or stay ordered until they happen.
            Kind::KillBlender
            | Kind::Cancel
            | Kind::CorruptUpload
            | Kind::CutUpload
            | Kind::LoseAnswer
            | Kind::LoseGrant => {}
            Kind::Refuse | Kind::Hold => self.line.heal(),
        }
        Ok(())
    }

    /// Spoils what passes next on the line, so many times.
    fn spoil(&mut self, number: usize, spoil: Spoil, times: u64) {
        (0..times).for_each(|_| self.line.spoil(spoil));
        self.injections[number].times = 0;
        self.ordered.push((number, times));
    }

    /// Sees what has been spoilt of what was ordered: what was ordered first has happened first.
    pub(super) fn see_what_was_spoilt(&mut self) {
        let mut seen: BTreeMap<Kind, u64> = BTreeMap::new();
        for (number, ordered) in &self.ordered {
            let injection = &mut self.injections[*number];
            let before = seen.entry(injection.kind).or_default();
            let times = self.line.spoilt(injection.kind).saturating_sub(*before).min(*ordered);
            *before += ordered;
            if times != injection.times {
                (injection.times, injection.end) = (times, Moment::now());
            }
        }
    }

    fn fill(&mut self, whose: Option<usize>) -> anyhow::Result<()> {
        self.full.push(whose);
        self.disks.as_ref().map_or(Ok(()), |disks| disks.of(whose).fill()).context("filling a disk")
    }

    fn free(&mut self, whose: Option<usize>) -> anyhow::Result<()> {
        self.full.retain(|full| *full != whose);
        self.disks.as_ref().map_or(Ok(()), |disks| disks.of(whose).free()).context("freeing a disk")
    }

    /// Cancels a job that keeps every slot busy, and measures until no Blender of theirs is left.
    fn cancel(&mut self, number: usize) -> anyhow::Result<()> {
        self.injections[number].times = 0;
        if !self.queue.knows(Scene::Slow) {
            return Ok(());
        }
        let job = self.queue.submit_slow(SLOW_FRAMES)?;
        let working = |report: &serde_json::Value| {
            let batches = report["batches"].as_array().into_iter().flatten();
            let named = batches.filter(|batch| !batch["frameInWork"].is_null());
            named.filter_map(|batch| batch["agent"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let deadline = Instant::now() + CANCEL.0;
        let mut at_work = Vec::new();
        while Instant::now() < deadline && at_work.len() < usize::try_from(SLOW_FRAMES)? {
            interrupt::pause(GLANCE)?;
            at_work = working(&self.queue.client.get_json(&job.path())?);
        }
        let mut blenders = Vec::new();
        for agent in self.agents.iter().filter(|agent| at_work.contains(&agent.name)) {
            // With fewer batches than slots, it is not known which Blender has one.
            let own = agent.blenders()?;
            if own.len() == at_work.iter().filter(|name| **name == agent.name).count() {
                blenders.extend(own);
            }
        }
        let start = Instant::now();
        match self.queue.cancel(&job)? {
            200..=299 => {}
            status => self.problems.push(format!("the cancellation of job {} is answered by {status}", job.id)),
        }
        let orchestrator = &self.orchestrator;
        while blenders.iter().any(|blender| orchestrator.is_ours(*blender)) {
            if start.elapsed() > CANCEL.1 {
                self.problems.push(format!("a Blender still works for the cancelled job {}", job.id));
                return Ok(());
            }
            interrupt::pause(Duration::from_millis(10))?;
        }
        let injection = &mut self.injections[number];
        injection.times = 1;
        injection.took = (!blenders.is_empty()).then(|| start.elapsed().as_secs_f64());
        Ok(())
    }
}
