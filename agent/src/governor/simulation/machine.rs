//! A machine that renders in no time: processors that slots share, a neighbour that comes first, memory, and frames that differ.

use std::collections::BTreeMap;
use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::scene::SceneId;

use crate::governor::{FrameTime, Governor, Muster, Reading, Setting};

/// How often the governor looks.
const LOOK_S: f64 = 2.0;
/// Frames of one batch, and what lies between two batches.
const BATCH: u32 = 5;
const BETWEEN_BATCHES_S: f64 = 0.02;

/// A scene, by what a frame of it wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// Work that one processor does while the others wait, in its seconds.
    pub(super) serial_s: f64,
    /// Work for as many processors as there are threads.
    pub(super) parallel_s: f64,
    /// Time in which nothing is computed.
    pub(super) wait_s: f64,
    /// By how much each further session slows all of them: caches and memory are shared.
    pub(super) crowding: f64,
    /// The memory of a session.
    pub(super) session_bytes: u64,
    /// The work of starting Blender and opening it.
    pub(super) start_s: f64,
}

/// What a session is at: how much is left of it.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Starting(f64),
    Serial(f64),
    Parallel(f64),
    Waiting(f64),
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    threads: u32,
    /// The work of its frame, against the usual.
    weight: f64,
    ended: Option<f64>,
    left_in_batch: u32,
    closing: bool,
}

/// The machine, and what came of it.
pub(super) struct Machine {
    scene: Scene,
    cores: f64,
    memory_bytes: u64,
    /// What the neighbour wants of the processors, at a time.
    neighbour: fn(f64) -> f64,
    slots: BTreeMap<u32, Slot>,
    frames: u32,
    now_s: f64,
    seed: u64,
    /// When frames were finished, and how heavy they were: rates are told in usual frames.
    finished: Vec<(f64, f64)>,
    /// When the setting changed, and to what.
    pub(super) changes: Vec<(f64, Setting)>,
    /// The most memory that sessions had together.
    pub(super) peak_bytes: u64,
}

impl Machine {
    pub(super) fn new(scene: Scene, cores: u32, memory_bytes: u64, neighbour: fn(f64) -> f64, seed: u64) -> Self {
        Self {
            scene,
            cores: f64::from(cores),
            memory_bytes,
            neighbour,
            slots: BTreeMap::new(),
            frames: 0,
            now_s: 0.0,
            seed,
            finished: Vec::new(),
            changes: Vec::new(),
            peak_bytes: 0,
        }
    }

    /// Renders so many frames with one setting all along, from this time on, and says how fast.
    pub(super) fn rate_of(mut self, setting: Setting, from_s: f64, frames: usize) -> f64 {
        self.now_s = from_s;
        self.bring_to(setting);
        while self.finished.len() < frames {
            self.step(self.now_s + LOOK_S, setting, &mut |_| {});
        }
        // Blenders start, and frames are begun together.
        let begins_s = self.finished[frames / 4].0;
        self.rate(begins_s, self.now_s)
    }

    /// Renders as the governor says.
    pub(super) fn run_governed(mut self, governor: &mut Governor, until_s: f64) -> Self {
        let (job, scene) = (JobId::generate(), SceneId::from(Sha256Digest::of(b"scene")));
        let mut setting = governor.setting();
        self.changes.push((0.0, setting));
        while self.now_s < until_s {
            self.bring_to(setting);
            self.slots.keys().for_each(|number| governor.takes(*number, job, scene, None));
            let need_bytes = Some(self.scene.session_bytes);
            self.step(self.now_s + LOOK_S, setting, &mut |frame| governor.finished(job, scene, need_bytes, frame));
            let wanted = governor.look(Duration::from_secs_f64(self.now_s), self.reading(), self.muster());
            if wanted != setting {
                self.changes.push((self.now_s, wanted));
                setting = wanted;
            }
        }
        self
    }

    /// Usual frames a second in this time.
    pub(super) fn rate(&self, from_s: f64, to_s: f64) -> f64 {
        let frames = self.finished.iter().filter(|(at, _)| (from_s..to_s).contains(at));
        frames.map(|(_, weight)| weight).sum::<f64>() / (to_s - from_s)
    }

    /// How often the setting has changed until then, and since.
    pub(super) fn changes_before_and_after(&self, then_s: f64) -> (u32, f64) {
        let small = |number| u32::try_from(number).unwrap();
        let before = self.changes.iter().filter(|(at, _)| *at < then_s).count();
        (small(before), f64::from(small(self.changes.len() - before)))
    }

    fn muster(&self) -> Muster {
        let closing = self.slots.values().filter(|slot| slot.closing).count();
        let open = self.slots.len() - closing;
        let small = |number| u32::try_from(number).unwrap();
        Muster { open: small(open), waiting: 0, closing: small(closing) }
    }

    fn reading(&mut self) -> Reading {
        let own_bytes = self.own_bytes();
        let jitter = 0.1 * self.noise();
        #[expect(clippy::cast_possible_truncation, reason = "processors are few")]
        let foreign_cores = ((self.neighbour)(self.now_s) + jitter).max(0.0) as f32;
        Reading { foreign_cores, memory_available_bytes: self.memory_bytes.saturating_sub(own_bytes), own_bytes }
    }

    fn own_bytes(&self) -> u64 {
        self.slots.len() as u64 * self.scene.session_bytes
    }

    /// Opens slots, once none is closing, and closes some.
    fn bring_to(&mut self, setting: Setting) {
        let Muster { open, closing, .. } = self.muster();
        for slot in self.slots.values_mut().rev().take(open.saturating_sub(setting.slots) as usize) {
            slot.closing = true;
        }
        if closing == 0 {
            for _ in open..setting.slots {
                let number = (0..u32::MAX).find(|number| !self.slots.contains_key(number)).unwrap();
                let phase = Phase::Starting(self.scene.start_s);
                let slot = Slot { phase, threads: 1, weight: 1.0, ended: None, left_in_batch: BATCH, closing: false };
                self.slots.insert(number, slot);
            }
        }
        self.peak_bytes = self.peak_bytes.max(self.own_bytes());
    }

    /// Goes on until something happens to the number of slots, at most until then.
    fn step(&mut self, until_s: f64, setting: Setting, finished: &mut dyn FnMut(FrameTime)) {
        while self.now_s < until_s {
            let speed = self.speed();
            let ends_s = |slot: &Slot| match slot.phase {
                Phase::Starting(left) | Phase::Serial(left) => left / speed,
                Phase::Parallel(left) => left / speed / f64::from(slot.threads),
                Phase::Waiting(left) => left,
            };
            let next_s = self.slots.values().map(ends_s).fold(until_s - self.now_s, f64::min).max(1e-9);
            for slot in self.slots.values_mut() {
                match &mut slot.phase {
                    Phase::Starting(left) | Phase::Serial(left) => *left -= next_s * speed,
                    Phase::Parallel(left) => *left -= next_s * speed * f64::from(slot.threads),
                    Phase::Waiting(left) => *left -= next_s,
                }
            }
            self.now_s += next_s;
            let numbers: Vec<_> = self.slots.keys().copied().collect();
            for number in numbers {
                self.go_on(number, setting, finished);
            }
        }
    }

    /// How fast a thread is that wants a processor.
    fn speed(&self) -> f64 {
        let wanted = |slot: &Slot| match slot.phase {
            Phase::Starting(_) | Phase::Serial(_) => 1.0,
            Phase::Parallel(_) => f64::from(slot.threads),
            Phase::Waiting(_) => 0.0,
        };
        let wanted: f64 = self.slots.values().map(wanted).sum();
        let left = (self.cores - (self.neighbour)(self.now_s)).max(0.05);
        let sessions = f64::from(u32::try_from(self.slots.len()).unwrap());
        let crowding = 1.0 + self.scene.crowding * (sessions - 1.0).max(0.0);
        (left / wanted.max(left)) / crowding
    }

    /// The next phase of a slot whose phase is over.
    fn go_on(&mut self, number: u32, setting: Setting, finished: &mut dyn FnMut(FrameTime)) {
        let noise = self.noise();
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let (Phase::Starting(left) | Phase::Serial(left) | Phase::Parallel(left) | Phase::Waiting(left)) = slot.phase;
        if left > 1e-9 {
            return;
        }
        slot.phase = match slot.phase {
            Phase::Serial(_) => Phase::Parallel(self.scene.parallel_s * slot.weight),
            Phase::Parallel(_) => {
                slot.left_in_batch = slot.left_in_batch.checked_sub(1).unwrap_or(BATCH);
                let pause_s = if slot.left_in_batch == 0 { BETWEEN_BATCHES_S } else { 0.0 };
                Phase::Waiting(self.scene.wait_s * slot.weight + pause_s)
            }
            Phase::Starting(_) | Phase::Waiting(_) => {
                if matches!(slot.phase, Phase::Waiting(_)) {
                    self.finished.push((self.now_s, slot.weight));
                    let seconds = Duration::from_secs_f64;
                    let span = slot.ended.map(|ended| seconds(self.now_s - ended));
                    if !slot.closing {
                        finished(FrameTime { slot: number, threads: slot.threads, ended: seconds(self.now_s), span });
                    }
                    slot.ended = Some(self.now_s);
                }
                if slot.closing {
                    self.slots.remove(&number);
                    return;
                }
                slot.threads = setting.threads;
                // A shot has easy parts and hard ones, and frames in each differ.
                let hard = 1.0 + 0.2 * (f64::from(self.frames) / 150.0).sin();
                slot.weight = hard * (1.0 + 0.08 * noise);
                self.frames += 1;
                Phase::Serial(self.scene.serial_s * slot.weight)
            }
        };
    }

    /// Between about -2 and 2, of mean 0 and deviation 1: the sum of uniform numbers.
    fn noise(&mut self) -> f64 {
        let uniform = |machine: &mut Self| {
            machine.seed = machine.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut bits = machine.seed;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            f64::from(u32::try_from((bits ^ (bits >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
        };
        2.0 * (uniform(self) + uniform(self) + uniform(self) - 1.5)
    }
}
