//! A slot's account: what it asks for, what its session takes, and whether it is to stop.

use std::fmt;

use tokio::sync::watch;
use tokio::time::Instant;

use super::admission::{Admission, Need, admit};
use super::guard::Shortage;
use super::learnt::Workload;
use super::{Doing, Entry, Memory, Share, State};

/// Why a session is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Memory is short, and it has work.
    Short(Shortage),
    /// Memory is short, and it does nothing.
    Spare(Shortage),
    /// Another scene needs what it has, and it does nothing.
    Wanted,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(shortage) | Self::Spare(shortage) => shortage.fmt(f),
            Self::Wanted => f.write_str("another scene needs its memory"),
        }
    }
}

/// A slot's account. Clones share it.
#[derive(Clone)]
pub struct Account {
    memory: Memory,
    number: usize,
}

/// That a slot's session is there; when the value is gone, it is not.
pub struct Place(Account);

impl Account {
    pub(super) const fn new(memory: Memory, number: usize) -> Self {
        Self { memory, number }
    }

    /// What is to be expected of a scene whose .blend has this size.
    #[must_use]
    pub fn need(&self, workload: &Workload, blend_bytes: u64) -> Need {
        self.memory.state().learnt.need(workload, blend_bytes)
    }

    /// Asks whether a scene may be loaded here in place of what is. If it may, the slot is busy from now on, and what the scene needs is
    /// kept for it. If others are to end first, they are told.
    #[must_use]
    pub fn ask(&self, workload: &Workload, need: Need) -> Admission {
        let mut state = self.memory.state();
        let admission = self.admission(&mut state, need);
        match admission {
            Admission::Open => state.entries[self.number].opens(workload, need, Doing::Frame(0.0, Instant::now())),
            Admission::EndIdle => {
                let others = state.entries.iter_mut().enumerate().filter(|(number, _)| *number != self.number);
                let can_end = |other: &Entry| match other.doing {
                    Doing::Nothing => other.process.is_some(),
                    Doing::Ahead => true,
                    Doing::Frame(..) => false,
                };
                for (_, other) in others.filter(|(_, other)| can_end(other)) {
                    other.stop(Stopped::Wanted);
                }
            }
            Admission::Wait | Admission::TooLarge { .. } => {}
        }
        admission
    }

    /// Asks whether a scene may be loaded here ahead of its turn: only if nobody has to end for it. If it may, what it needs is kept
    /// for it until somebody else wants that.
    #[must_use]
    pub fn ask_ahead(&self, workload: &Workload, need: Need) -> bool {
        let mut state = self.memory.state();
        let has_room = self.admission(&mut state, need) == Admission::Open;
        if has_room {
            state.entries[self.number].opens(workload, need, Doing::Ahead);
        }
        has_room
    }

    /// Whether the work of others leaves no room for it.
    #[must_use]
    pub fn is_crowded_for(&self, need: Need) -> bool {
        let mut state = self.memory.state();
        self.admission(&mut state, need) == Admission::Wait
    }

    fn admission(&self, state: &mut State, need: Need) -> Admission {
        let (available_bytes, others) = self.beside(state);
        admit(need, &self.memory.0.limits, available_bytes, &others)
    }

    /// What is free, this slot's own session taken for gone, and what the others have.
    fn beside(&self, state: &mut State) -> (u64, Vec<Share>) {
        let available_bytes = state.look().saturating_add(state.entries[self.number].resident_bytes);
        let others =
            state.entries.iter().enumerate().filter(|(number, entry)| *number != self.number && entry.is_there());
        (available_bytes, others.map(|(_, entry)| entry.share()).collect())
    }

    /// The memory that this slot could have for a scene.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        let mut state = self.memory.state();
        let (available_bytes, others) = self.beside(&mut state);
        self.memory.0.limits.room_bytes(available_bytes, &others)
    }

    /// A Blender is there, led by `process` if that can be looked at.
    #[must_use]
    pub fn started(&self, process: Option<u32>) -> Place {
        self.entry(|entry| {
            entry.process = process;
            entry.resident_bytes = 0;
            entry.peak_bytes = 0;
            entry.had_another = false;
        });
        self.memory.changed();
        Place(self.clone())
    }

    /// The scene that was asked for is open.
    pub fn opened(&self) {
        let mut state = self.memory.state();
        state.look_at_sessions();
        let State { entries, learnt, .. } = &mut *state;
        let entry = &mut entries[self.number];
        if std::mem::take(&mut entry.had_another) {
            // What there was of the scene before is none of this one's.
            entry.peak_bytes = entry.resident_bytes;
        }
        if let (Some(workload), Some(_)) = (&entry.workload, entry.process) {
            learnt.opened(workload, entry.resident_bytes);
        }
    }

    /// Whether a scene could be opened in this session while what it has open still is there.
    #[must_use]
    pub fn has_room_beside_own(&self, need: Need) -> bool {
        let mut state = self.memory.state();
        let available_bytes = state.look();
        // Its own is not to grow any more.
        let shares = state.entries.iter().enumerate().filter(|(_, entry)| entry.is_there()).map(|(number, entry)| {
            let share = entry.share();
            let expected_bytes = if number == self.number { share.resident_bytes } else { share.expected_bytes };
            Share { expected_bytes, ..share }
        });
        let shares: Vec<_> = shares.collect();
        self.memory.0.limits.room_bytes(available_bytes, &shares) >= need.most_bytes
    }

    /// Its session is to work: what it was told while it had nothing to do counts no more.
    pub fn goes_on(&self) {
        self.entry(Entry::goes_on);
    }

    /// The next frame is begun. For the first one, the slot is busy already.
    pub fn begins(&self) {
        self.entry(|entry| {
            if !matches!(entry.doing, Doing::Frame(..)) {
                entry.doing = Doing::Frame(0.0, Instant::now());
            }
        });
    }

    /// Its session has nothing to do: what was opened ahead is one like any other from its turn on.
    pub fn waits(&self) {
        self.entry(|entry| entry.doing = Doing::Nothing);
        self.memory.changed();
    }

    /// How far the frame is: 0 to 1.
    pub fn is_at(&self, fraction: f32) {
        self.entry(|entry| {
            if let Doing::Frame(so_far, _) = &mut entry.doing {
                *so_far = fraction;
            }
        });
    }

    /// The slot has nothing to do, whatever came of what it did. `peak_bytes` is the most that Blender says it has had for it. Returns
    /// the most that was seen, by it or from outside.
    #[must_use]
    pub fn rests(&self, peak_bytes: Option<u64>) -> Option<u64> {
        let mut state = self.memory.state();
        let State { entries, learnt, .. } = &mut *state;
        let entry = &mut entries[self.number];
        entry.doing = Doing::Nothing;
        entry.spares_its_work();
        let peak_bytes = std::mem::replace(&mut entry.peak_bytes, entry.resident_bytes).max(peak_bytes.unwrap_or(0));
        if let Some(workload) = entry.workload.as_ref().filter(|_| peak_bytes > 0 && !entry.had_another) {
            learnt.had(workload, peak_bytes);
            if learnt.of(workload).is_some() {
                entry.expected_bytes = learnt.need(workload, 0).most_bytes;
            }
        }
        drop(state);
        self.memory.changed();
        Some(peak_bytes).filter(|bytes| *bytes > 0)
    }

    /// The scene that was asked for could not even be opened with the `peak_bytes` that were there.
    pub fn could_not_open(&self, peak_bytes: u64) {
        let mut state = self.memory.state();
        let State { entries, learnt, .. } = &mut *state;
        let entry = &entries[self.number];
        if let Some(workload) = entry.workload.as_ref().filter(|_| !entry.had_another) {
            learnt.not_opened(workload, peak_bytes);
        }
    }

    /// What its session has resident now.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let mut state = self.memory.state();
        state.look_at_sessions();
        state.entries[self.number].resident_bytes
    }

    /// Waits until the session is to stop, and says why.
    pub async fn stopped(&self) -> Stopped {
        self.told(|_| true).await
    }

    /// Waits until the session is to stop though it has work.
    pub async fn starved(&self) -> Stopped {
        self.told(|why| matches!(why, Stopped::Short(_))).await
    }

    async fn told(&self, counts: impl Fn(Stopped) -> bool) -> Stopped {
        let mut stop = self.memory.state().entries[self.number].stop.subscribe();
        // The sender lives as long as the account.
        match stop.wait_for(|why| why.is_some_and(&counts)).await.ok().and_then(|why| *why) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Changes whenever there may be more room.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.memory.0.changes.subscribe()
    }

    fn entry(&self, change: impl FnOnce(&mut Entry)) {
        change(&mut self.memory.state().entries[self.number]);
    }
}

impl Entry {
    /// It opens a scene, and what it was told before counts no more.
    fn opens(&mut self, workload: &Workload, need: Need, doing: Doing) {
        self.workload = Some(workload.clone());
        self.expected_bytes = need.most_bytes;
        self.doing = doing;
        self.peak_bytes = self.resident_bytes;
        self.had_another = self.process.is_some();
        self.goes_on();
    }

    /// Its work is done: if it was told to stop in the middle of it, that is no reason any more to throw it away.
    fn spares_its_work(&self) {
        self.stop.send_if_modified(|why| match *why {
            Some(Stopped::Short(shortage)) => {
                *why = Some(Stopped::Spare(shortage));
                true
            }
            _ => false,
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(account) = self;
        let mut state = account.memory.state();
        let State { entries, going, .. } = &mut *state;
        let entry = &mut entries[account.number];
        going.extend(entry.process.take().map(|process| (process, Instant::now())));
        entry.resident_bytes = 0;
        if entry.doing == Doing::Nothing {
            entry.expected_bytes = 0;
        }
        entry.goes_on();
        drop(state);
        account.memory.changed();
    }
}
