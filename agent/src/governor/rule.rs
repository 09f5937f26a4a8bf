//! The rule itself: what the setting is to be, now.

use std::collections::BTreeMap;
use std::time::Duration;

use haywain_shared::ids::JobId;
use haywain_shared::scene::SceneId;

use super::findings::{Findings, Settled};
use super::ladder::Ladder;
use super::limits::{Limits, Reading};
use super::room::slots_that_fit;
use super::setting::Setting;
use super::share::Share;
use super::trial::{Trial, Verdict};
use super::window::{FrameTime, Rate, Window};

/// How long a slot may have nothing to do before a comparison is called off: there is too little work to see anything.
const STARVED: Duration = Duration::from_secs(10);
/// How long the slots work on another job before that is what settings are compared by.
const LASTING: Duration = Duration::from_secs(15);
/// How long a comparison may take, beyond what its frames should: Blender starts, and opens the scene.
const TO_START: Duration = Duration::from_mins(5);
/// Frames that a comparison's turn is expected to want, each slot's first ones included.
const FRAMES_OF_A_TURN: f64 = 16.0;
/// How much slower than expected a turn may be before it counts as lost.
const SLOW: f64 = 2.0;
/// Scenes and jobs that something is kept of.
const REMEMBERED: usize = 64;

/// The slots as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Muster {
    /// Those that take work.
    pub open: u32,
    /// Those of them that have nothing to do, and not just for a moment.
    pub waiting: u32,
    /// Those that finish their frame and then go.
    pub closing: u32,
}

/// What a slot works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    job: JobId,
    scene: SceneId,
}

/// The governor.
#[derive(Debug)]
pub struct Governor {
    limits: Limits,
    share: Share,
    reading: Option<Reading>,
    /// What each slot works on.
    tasks: BTreeMap<u32, Task>,
    /// What findings are about at present: a job, and so many processors.
    subject: Option<(Task, u32)>,
    /// What the slots work on instead, and since when.
    other_task: Option<(Task, Duration)>,
    known: BTreeMap<(Task, u32), Findings>,
    findings: Findings,
    /// The memory that a session with the scene needs, where it was measured.
    needs: BTreeMap<SceneId, u64>,
    trial: Option<Trial>,
    window: Window,
    /// When the present setting was decided on.
    since: Duration,
    /// Since when some slot has had nothing to do.
    starved_since: Option<Duration>,
}

impl Governor {
    /// A governor that has seen nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let share = Share::new(&limits);
        let start = Ladder::new(&limits, share.cores(), u32::MAX).with_slots(1);
        Self {
            limits,
            share,
            reading: None,
            tasks: BTreeMap::new(),
            subject: None,
            other_task: None,
            known: BTreeMap::new(),
            findings: Findings::new(start),
            needs: BTreeMap::new(),
            trial: None,
            window: Window::new(start),
            since: Duration::ZERO,
            starved_since: None,
        }
    }

    /// The setting as it is to be.
    #[must_use]
    pub fn setting(&self) -> Setting {
        let challenger = self.trial.as_ref().filter(|trial| trial.is_challenger_s_turn());
        challenger.map_or(self.findings.best, |trial| trial.challenger)
    }

    /// Between how many slots the GPUs are divided: the owner's number, or one for each as far as his bound goes.
    #[must_use]
    pub fn sharers_of_gpus(&self) -> u32 {
        self.limits.slots.map_or(self.limits.gpus, |wanted| wanted.slots)
    }

    /// The threads of a frame that is begun while so many slots have something to do: where there is too little work for all, those
    /// that have some share the processors.
    #[must_use]
    pub fn threads_beside(&self, busy: u32) -> u32 {
        let setting = self.setting();
        if busy >= setting.slots { setting.threads } else { setting.threads.max(self.ladder().threads_of(busy)) }
    }

    /// A slot is about to work on a job of a scene that needs so much memory, if that was measured.
    pub fn takes(&mut self, slot: u32, job: JobId, scene: SceneId, need_bytes: Option<u64>) {
        self.tasks.insert(slot, Task { job, scene });
        self.needs_memory(scene, need_bytes);
    }

    /// A slot has nothing in work, at least for the moment.
    pub fn rests(&mut self, slot: u32) {
        self.tasks.remove(&slot);
    }

    /// A frame of a job is finished, and the scene needs so much memory.
    pub fn finished(&mut self, job: JobId, scene: SceneId, need_bytes: Option<u64>, frame: FrameTime) {
        self.needs_memory(scene, need_bytes);
        if self.subject.is_some_and(|(task, _)| task.job == job) && !self.works_on_several() {
            self.window.note(frame);
        }
    }

    /// Looks at the machine and at the slots, and says what the setting is to be.
    pub fn look(&mut self, now: Duration, reading: Reading, muster: Muster) -> Setting {
        self.reading = Some(reading);
        if muster.waiting < muster.open {
            self.share.note(reading.foreign_cores);
        } else {
            // While nothing of its own is at work, others have what they would not have then.
            self.share.forget();
        }
        self.turn_to_what_is_there(now);
        self.make_room(now);
        let setting = self.setting();
        let in_force = muster.open == setting.slots && muster.closing == 0;
        let starved = self.works_on_several() || self.other_task.is_some() || muster.waiting > 0;
        if !in_force || starved {
            self.window.restart();
        }
        self.starved_since = self.starved_since.filter(|_| starved).or(starved.then_some(now));
        if self.starved_since.is_some_and(|since| now >= since + STARVED) {
            self.call_off(now);
        } else if let Some(rate) = self.window.rate(now) {
            self.compare(now, rate);
        } else {
            self.lose_patience(now);
        }
        self.setting()
    }

    /// The task of all slots that work, if it is one.
    fn only_task(&self) -> Option<Task> {
        self.tasks.values().next().copied().filter(|_| !self.works_on_several())
    }

    fn works_on_several(&self) -> bool {
        let first = self.tasks.values().next();
        self.tasks.values().any(|task| Some(task) != first)
    }

    /// The task that the slots have had for a while. Where jobs take turns, each batch another, none of them is one to follow.
    fn lasting_task(&mut self, now: Duration) -> Option<Task> {
        let before = self.subject.map(|(task, _)| task);
        match (self.only_task(), before) {
            (Some(task), Some(before)) if task != before => {
                let (other, since) =
                    *self.other_task.insert(self.other_task.filter(|(other, _)| *other == task).unwrap_or((task, now)));
                Some(if now >= since + LASTING { other } else { before })
            }
            (Some(task), _) => {
                self.other_task = None;
                Some(task)
            }
            (None, before) => before,
        }
    }

    /// Takes up what is known of the job and the processors that are there now, if those have changed.
    fn turn_to_what_is_there(&mut self, now: Duration) {
        let Some(task) = self.lasting_task(now) else { return };
        let subject = (task, self.share.cores());
        if self.subject != Some(subject) {
            if let Some(before) = self.subject.replace(subject) {
                let findings = self.findings.clone();
                keep(&mut self.known, before, findings);
            }
            let best = self.ladder().with_slots(self.findings.best.slots);
            self.findings = self.known.get(&subject).cloned().unwrap_or_else(|| Findings::new(best));
            self.begin_with(now, None);
        }
        if self.findings.cautious && self.needs.contains_key(&task.scene) {
            self.findings.cautious = false;
            let start = self.ladder().start();
            if start.slots > self.findings.best.slots {
                self.findings.best = start;
                self.begin_with(now, None);
            }
        }
    }

    /// Goes down to as many slots as there is memory for.
    fn make_room(&mut self, now: Duration) {
        let ladder = self.ladder();
        let most = ladder.with_slots(u32::MAX).slots;
        if self.findings.best.slots > most {
            tracing::info!(slots = most, instead_of = %self.findings.best, "memory is short: fewer slots");
            self.findings.no_room(ladder.with_slots(most), now);
            self.begin_with(now, None);
        } else if self.setting().slots > most {
            self.findings.not_faster(self.setting(), now);
            self.begin_with(now, None);
        }
    }

    /// A turn has been seen to its end.
    fn compare(&mut self, now: Duration, rate: Rate) {
        let Some(trial) = &mut self.trial else { return self.try_next(now, rate) };
        let challenger = trial.challenger;
        match trial.next(rate) {
            None | Some(Verdict::Unclear) => self.begin(now),
            Some(Verdict::Faster) => {
                tracing::info!(setting = %challenger, instead_of = %self.findings.best, "this setting is faster: kept");
                self.findings.faster(challenger, now);
                self.begin_with(now, None);
            }
            Some(Verdict::NotFaster) => {
                let before = trial.before();
                self.findings.not_faster(challenger, now);
                self.try_next(now, before);
            }
        }
    }

    /// Compares the setting in use, which comes to this rate, with the next one that is worth it.
    fn try_next(&mut self, now: Duration, rate: Rate) {
        let next = self.findings.next_to_try(&self.ladder(), now);
        if let Some(challenger) = next {
            tracing::debug!(setting = %challenger, instead_of = %self.findings.best, per_second = rate.per_second, "trying");
        } else if self.findings.settled(rate, now) == Settled::Now {
            tracing::info!(setting = %self.findings.best, frames_per_second = rate.per_second, "settled on a setting");
        }
        self.begin_with(now, next.map(|challenger| Trial::begin(challenger, rate)));
    }

    /// A challenger that takes far too long is not faster.
    fn lose_patience(&mut self, now: Duration) {
        let Some(trial) = self.trial.as_ref().filter(|trial| trial.is_challenger_s_turn()) else { return };
        let (challenger, before) = (trial.challenger, trial.before());
        let frames = FRAMES_OF_A_TURN.max(4.0 * f64::from(challenger.slots));
        let patience = Duration::try_from_secs_f64(SLOW * frames / before.per_second).unwrap_or(Duration::MAX);
        if now.saturating_sub(self.since) > patience.saturating_add(TO_START) {
            self.findings.not_faster(challenger, now);
            self.begin_with(now, None);
        }
    }

    /// A comparison comes to nothing.
    fn call_off(&mut self, now: Duration) {
        if let Some(trial) = self.trial.take() {
            self.findings.put_off(trial.challenger, now);
            self.begin(now);
        }
    }

    fn begin_with(&mut self, now: Duration, trial: Option<Trial>) {
        self.trial = trial;
        self.begin(now);
    }

    /// What is seen from now on is seen under the setting as it is now.
    fn begin(&mut self, now: Duration) {
        self.since = now;
        self.window = Window::new(self.setting());
    }

    fn ladder(&self) -> Ladder {
        Ladder::new(&self.limits, self.share.cores(), self.most_slots())
    }

    /// How many sessions fit into memory, if each has the largest of the scenes in work.
    fn most_slots(&self) -> u32 {
        let Some(reading) = &self.reading else { return u32::MAX };
        let before = self.subject.iter().map(|(task, _)| task).filter(|_| self.tasks.is_empty());
        let needs = self.tasks.values().chain(before).filter_map(|task| self.needs.get(&task.scene));
        needs.max().map_or(u32::MAX, |need_bytes| slots_that_fit(&self.limits, reading, *need_bytes))
    }

    fn needs_memory(&mut self, scene: SceneId, need_bytes: Option<u64>) {
        if let Some(need_bytes) = need_bytes {
            keep(&mut self.needs, scene, need_bytes);
        }
    }
}

/// Keeps one thing more, and not too many.
fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    if map.len() >= REMEMBERED && !map.contains_key(&key) {
        map.clear();
    }
    map.insert(key, value);
}
