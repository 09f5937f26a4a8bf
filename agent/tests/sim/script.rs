//! What is going to happen to each frame: decided by the seed, so that only frames that are doomed can fail for good.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use haywain_shared::ids::JobId;

use crate::entropy::Dice;
use crate::witness::Frame;

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    Crashes,
    RunsOutOfMemory,
    Hangs,
    LeavesRubbish,
}

/// The most attempts at a frame that the script lets fail in one generation, unless it is doomed. The store gives a frame up
/// after three.
const FAILURES: u32 = 2;

/// The script of a run.
#[derive(Default)]
pub(crate) struct Script(Mutex<State>);

#[derive(Default)]
struct State {
    doomed: BTreeSet<Frame>,
    failures: HashMap<(Frame, u32), u32>,
    attempts: HashMap<Frame, u64>,
    paces: HashMap<JobId, u64>,
}

impl Script {
    /// Frames of a job take about so long each.
    pub(crate) fn pace(&self, job: JobId, ms: u64) {
        self.0.lock().unwrap().paces.insert(job, ms);
    }

    /// A frame fails whenever it is tried.
    pub(crate) fn doom(&self, frame: Frame) {
        self.0.lock().unwrap().doomed.insert(frame);
    }

    pub(crate) fn is_doomed(&self, frame: Frame) -> bool {
        self.0.lock().unwrap().doomed.contains(&frame)
    }

    /// How the next attempt at a frame ends, and which one it is.
    pub(crate) fn fate(&self, frame: Frame, generation: u32, calm: bool, dice: &mut Dice) -> (Fate, u64) {
        let mut state = self.0.lock().unwrap();
        let attempt = state.attempts.entry(frame).or_default();
        *attempt += 1;
        let attempt = *attempt;
        if state.doomed.contains(&frame) {
            return (Fate::Crashes, attempt);
        }
        let failures = state.failures.entry((frame, generation)).or_default();
        if calm || *failures >= FAILURES || !dice.happens(40) {
            return (Fate::Succeeds, attempt);
        }
        *failures += 1;
        let fates = [Fate::Crashes, Fate::Crashes, Fate::RunsOutOfMemory, Fate::Hangs, Fate::LeavesRubbish];
        (*dice.one_of(&fates), attempt)
    }

    /// How long an attempt takes.
    pub(crate) fn render_ms(&self, job: JobId, dice: &mut Dice) -> u64 {
        let pace_ms = self.0.lock().unwrap().paces.get(&job).copied().unwrap_or(1000);
        dice.between(pace_ms / 2, pace_ms * 2)
    }
}
