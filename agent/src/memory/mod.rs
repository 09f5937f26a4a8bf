//! Memory: what each Blender has of it and is expected to need, whether a scene may be loaded beside the others, and who has to stop
//! before it runs out.
//!
//! The rules are functions of values: [`limits`], [`admission`], [`guard`], [`wear`]; [`learnt`] is what they know of scenes, [`look`]
//! what the system says. Here is the account of it all, one entry for each place where a slot may have a session. It keeps this invariant: what sessions are expected to
//! take fits beside the reserve and below the limit, or there is one session only.

mod account;
pub mod admission;
pub mod guard;
pub mod learnt;
pub mod limits;
pub mod look;
pub mod wear;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::protocol::MachineSample;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::account::{Account, Place, Stopped};
use self::guard::Shortage;
use self::learnt::{GUESS_BYTES, Learnt, SceneMemory, Workload};
use self::limits::Limits;
use self::look::Look;

/// How long memory may take to come back from a session that was told to end, before another has to.
const RETURNS_WITHIN: Duration = Duration::from_secs(5);

/// What one session has of the memory, as the rules see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What it has.
    pub resident_bytes: u64,
    /// What it is expected to come to.
    pub expected_bytes: u64,
    /// What would be lost with it.
    pub work: Work,
}

/// What a session is at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// Nothing: it only keeps a scene warm.
    Idle,
    /// It opens a scene ahead, or has opened it: its slot has a frame in work elsewhere, and can do without.
    Ahead,
    /// A frame, or the way to one.
    Busy {
        /// How far the frame is: 0 to 1.
        fraction: f32,
        /// How long it has been at it.
        elapsed: Duration,
    },
}

impl Work {
    /// The work that would be lost: the part of the frame that is done, by the time that it took; where no part is known, the time.
    fn to_lose(self) -> (Duration, Duration) {
        match self {
            Self::Idle | Self::Ahead => (Duration::ZERO, Duration::ZERO),
            Self::Busy { fraction, elapsed } => (elapsed.mul_f32(fraction.clamp(0.0, 1.0)), elapsed),
        }
    }
}

/// What an entry's session does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Nothing,
    /// Opening a scene ahead of its turn, or keeping it until then.
    Ahead,
    /// A frame, this far, since then.
    Frame(f32, Instant),
}

/// The account of an agent's memory. Clones share it.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    /// Changes whenever somebody may find room who has found none.
    changes: watch::Sender<()>,
}

struct State {
    look: Box<dyn Look>,
    learnt: Learnt,
    /// One for each place where a slot may have a session.
    entries: Vec<Entry>,
    /// Sessions that have ended, whose memory may still be on its way back, and since when.
    going: Vec<(u32, Instant)>,
}

/// What a slot's session has.
#[derive(Debug)]
struct Entry {
    /// The process that leads its group; `None` if there is no session, or nobody can look at it.
    process: Option<u32>,
    workload: Option<Workload>,
    resident_bytes: u64,
    /// The most that it has had since its scene was to be opened, or the frame begun.
    peak_bytes: u64,
    /// It had another scene open before the one that is to be opened: what it has meanwhile is of both.
    had_another: bool,
    expected_bytes: u64,
    doing: Doing,
    /// Why it is to stop, once it is.
    stop: watch::Sender<Option<Stopped>>,
    told_to_stop: Option<Instant>,
}

/// The memory as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtHand {
    /// What programs could still get.
    pub available_bytes: u64,
    /// What the agent's sessions have.
    pub own_bytes: u64,
    /// The processes that lead these.
    pub leaders: Vec<u32>,
}

impl Memory {
    /// The account of what `look` sees, within `limits`.
    #[must_use]
    pub fn new(limits: Limits, look: impl Look, learnt: Learnt) -> Self {
        let state = State { look: Box::new(look), learnt, entries: Vec::new(), going: Vec::new() };
        Self(Arc::new(Shared { limits, state: Mutex::new(state), changes: watch::Sender::new(()) }))
    }

    /// An account for one session more.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut state = self.state();
        state.entries.push(Entry {
            process: None,
            workload: None,
            resident_bytes: 0,
            peak_bytes: 0,
            had_another: false,
            expected_bytes: 0,
            doing: Doing::Nothing,
            stop: watch::Sender::new(None),
            told_to_stop: None,
        });
        Account::new(self.clone(), state.entries.len() - 1)
    }

    /// What a scene takes here, if it was measured.
    #[must_use]
    pub fn of_scene(&self, workload: &Workload) -> Option<SceneMemory> {
        self.state().learnt.of(workload)
    }

    /// What a scene is expected to take here, if it was measured.
    #[must_use]
    pub fn need_bytes(&self, workload: &Workload) -> Option<u64> {
        let state = self.state();
        state.learnt.of(workload)?.peak_bytes?;
        Some(state.learnt.need(workload, 0).most_bytes)
    }

    /// What is free, what all sessions have, and the processes that lead them.
    #[must_use]
    pub fn at_hand(&self) -> AtHand {
        let mut state = self.state();
        let available_bytes = state.look();
        AtHand {
            available_bytes,
            own_bytes: state.entries.iter().map(|entry| entry.resident_bytes).sum(),
            leaders: state.entries.iter().filter_map(|entry| entry.process).collect(),
        }
    }

    /// The memory that one session more could get now.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        let mut state = self.state();
        let available_bytes = state.look();
        let shares = state.shares();
        self.0.limits.room_bytes(available_bytes, &shares)
    }

    /// A sample of the machine as the orchestrator is to know it: what is reserved is not for it.
    #[must_use]
    pub fn told(&self, sample: MachineSample) -> MachineSample {
        MachineSample { memory_available_bytes: sample.memory_available_bytes.min(self.room_bytes()), ..sample }
    }

    /// Watches over the memory until `end`: whenever it runs short, one session is told to stop. While there is none, nothing is looked
    /// at.
    pub async fn watch(self, end: CancellationToken) {
        let mut news = self.0.changes.subscribe();
        loop {
            news.borrow_and_update();
            let next = self.look_after();
            tokio::select! {
                () = end.cancelled() => return,
                () = async { tokio::time::sleep(next.unwrap_or_default()).await }, if next.is_some() => {}
                came = news.changed(), if next.is_none() => if came.is_err() { return },
            }
        }
    }

    /// Looks once, and tells a session to stop if one has to. Says when to look again; `None` while there is nothing to look at.
    fn look_after(&self) -> Option<Duration> {
        let limits = &self.0.limits;
        let mut state = self.state();
        if state.entries.iter().all(|entry| entry.process.is_none()) {
            return None;
        }
        let available_bytes = state.look();
        let shares = state.shares_by_slot();
        let next = Some(guard::next_look(limits, available_bytes, &shares));
        let Some(shortage) = Shortage::of(limits, available_bytes, &shares) else { return next };
        if state.memory_returns() {
            return next;
        }
        // One that was told long ago has nobody who listens: somebody else has to go.
        let is_deaf = |entry: &Entry| entry.told_to_stop.is_some();
        let heard = |(share, entry): (Share, &Entry)| Share {
            resident_bytes: if is_deaf(entry) { 0 } else { share.resident_bytes },
            ..share
        };
        let listening: Vec<_> = shares.into_iter().zip(&state.entries).map(heard).collect();
        if let Some(number) = guard::whom_to_stop(shortage, &listening) {
            let entry = &mut state.entries[number];
            // Without work nothing is lost, and nothing is to be said of it.
            let is_idle = entry.doing == Doing::Nothing;
            entry.stop(if is_idle { Stopped::Spare(shortage) } else { Stopped::Short(shortage) });
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.0.changes.send_replace(());
    }
}

impl State {
    /// Looks at what is free and at what each session has. Returns what is free.
    fn look(&mut self) -> u64 {
        self.look_at_sessions();
        self.look.available_bytes()
    }

    /// Looks at what each session has.
    fn look_at_sessions(&mut self) {
        let leaders: Vec<u32> = self.entries.iter().filter_map(|entry| entry.process).collect();
        let mut resident_bytes =
            if leaders.is_empty() { Vec::new() } else { self.look.resident_bytes(&leaders) }.into_iter();
        for entry in self.entries.iter_mut().filter(|entry| entry.process.is_some()) {
            entry.resident_bytes = resident_bytes.next().unwrap_or(0);
            entry.peak_bytes = entry.peak_bytes.max(entry.resident_bytes);
        }
    }

    /// What each slot has, those that have nothing included.
    fn shares_by_slot(&self) -> Vec<Share> {
        self.entries.iter().map(Entry::share).collect()
    }

    /// What the sessions have that are there or on their way.
    fn shares(&self) -> Vec<Share> {
        self.entries.iter().filter(|entry| entry.is_there()).map(Entry::share).collect()
    }

    /// Whether a session is just ending, so that its memory will soon be free.
    fn memory_returns(&mut self) -> bool {
        let is_recent = |since: &Instant| since.elapsed() < RETURNS_WITHIN;
        let going: Vec<u32> =
            self.going.iter().filter(|(_, since)| is_recent(since)).map(|(process, _)| *process).collect();
        let left = if going.is_empty() { Vec::new() } else { self.look.resident_bytes(&going) };
        self.going.retain(|(process, _)| going.iter().zip(&left).any(|(other, bytes)| other == process && *bytes > 0));
        let told =
            self.entries.iter().filter(|entry| entry.process.is_some()).filter_map(|entry| entry.told_to_stop.as_ref());
        !self.going.is_empty() || told.filter(|since| is_recent(since)).count() > 0
    }
}

impl Entry {
    fn is_there(&self) -> bool {
        self.process.is_some() || self.doing != Doing::Nothing
    }

    fn share(&self) -> Share {
        let Self { resident_bytes, expected_bytes, .. } = *self;
        match self.doing {
            Doing::Frame(fraction, since) => {
                Share { resident_bytes, expected_bytes, work: Work::Busy { fraction, elapsed: since.elapsed() } }
            }
            Doing::Ahead => Share { resident_bytes, expected_bytes, work: Work::Ahead },
            // Without work it does not grow.
            Doing::Nothing => Share { resident_bytes, expected_bytes: resident_bytes, work: Work::Idle },
        }
    }

    fn stop(&mut self, why: Stopped) {
        self.told_to_stop = Some(Instant::now());
        self.stop.send_replace(Some(why));
    }

    fn goes_on(&mut self) {
        self.told_to_stop = None;
        self.stop.send_replace(None);
    }
}

/// The least that a session is worth asking for work with.
pub const LEAST_SESSION_BYTES: u64 = GUESS_BYTES;

#[cfg(test)]
mod tests;
