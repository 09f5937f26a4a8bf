//! A slot's post: what it is told (whether to go on, with how many threads), and what it tells (what it works on, when a frame is
//! finished). All posts of a crew share one roster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::ids::JobId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::governor::{FrameTime, Governor, Muster, Reading, Setting};
use crate::memory::Memory;
use crate::memory::learnt::Workload;

/// How long a slot without work still counts as one that has some: it asks for the next batch.
const MOMENT: Duration = Duration::from_secs(1);

/// What the posts share. Clones are the same roster.
#[derive(Clone)]
pub(super) struct Roster(Arc<Mutex<State>>);

struct State {
    governor: Governor,
    started: Instant,
    places: BTreeMap<u32, Place>,
}

struct Place {
    /// Since when it has had nothing to do.
    idle_since: Option<Instant>,
    /// Cancelled when it is to take no more work.
    closing: CancellationToken,
}

impl Place {
    fn waits(&self) -> bool {
        self.idle_since.is_some_and(|since| since.elapsed() >= MOMENT)
    }
}

impl Roster {
    pub(super) fn new(governor: Governor) -> Self {
        Self(Arc::new(Mutex::new(State { governor, started: Instant::now(), places: BTreeMap::new() })))
    }

    pub(super) fn setting(&self) -> Setting {
        self.state().governor.setting()
    }

    /// What the setting is to be.
    pub(super) fn look(&self, reading: Reading) -> Setting {
        let mut state = self.state();
        let (muster, now) = (state.muster(), state.started.elapsed());
        state.governor.look(now, reading, muster)
    }

    pub(super) fn muster(&self) -> Muster {
        self.state().muster()
    }

    /// A post for a slot more, which also closes with `leaving`.
    pub(super) fn open(&self, memory: Memory, leaving: &CancellationToken) -> Post {
        let closing = leaving.child_token();
        let mut state = self.state();
        let number = (0..u32::MAX).find(|number| !state.places.contains_key(number)).unwrap_or(u32::MAX);
        state.places.insert(number, Place { idle_since: Some(Instant::now()), closing: closing.clone() });
        Post { number, closing, memory, roster: self.clone() }
    }

    /// Tells so many slots to close, first those that have nothing to do; the first `sharers`, which have the GPUs, after all others.
    pub(super) fn close(&self, number: u32, sharers: u32) {
        let state = self.state();
        let mut open: Vec<_> = state.places.iter().filter(|(_, place)| !place.closing.is_cancelled()).collect();
        open.sort_by_key(|(number, place)| (**number < sharers, !place.waits(), u32::MAX - **number));
        open.iter().take(number as usize).for_each(|(_, place)| place.closing.cancel());
    }

    /// A slot is gone.
    pub(super) fn gone(&self, number: u32) {
        let mut state = self.state();
        state.governor.rests(number);
        state.places.remove(&number);
    }

    /// The time since the crew began.
    pub(super) fn elapsed(&self) -> Duration {
        self.state().started.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn muster(&self) -> Muster {
        let mut muster = Muster { open: 0, waiting: 0, closing: 0 };
        for place in self.places.values() {
            if place.closing.is_cancelled() {
                muster.closing += 1;
            } else {
                muster.open += 1;
                muster.waiting += u32::from(place.waits());
            }
        }
        muster
    }
}

/// A slot's post.
pub struct Post {
    /// Its number: no other slot has it at the same time.
    pub number: u32,
    /// Cancelled when the slot is to take no more work: the frame in work is finished, the rest goes back.
    pub closing: CancellationToken,
    memory: Memory,
    roster: Roster,
}

impl Post {
    /// The slot has a batch.
    pub fn takes(&self, job: JobId, workload: &Workload) {
        let need_bytes = self.memory.need_bytes(workload);
        let mut state = self.roster.state();
        state.governor.takes(self.number, job, workload.scene, need_bytes);
        if let Some(place) = state.places.get_mut(&self.number) {
            place.idle_since = None;
        }
    }

    /// It has nothing in work.
    pub fn rests(&self) {
        let mut state = self.roster.state();
        state.governor.rests(self.number);
        if let Some(place) = state.places.get_mut(&self.number) {
            place.idle_since = Some(Instant::now());
        }
    }

    /// The threads for the frame that it begins.
    #[must_use]
    pub fn threads(&self) -> u32 {
        let state = self.roster.state();
        let Muster { open, waiting, .. } = state.muster();
        state.governor.threads_beside(open - waiting)
    }

    /// It has finished a frame with so many threads, `span` after the one before if there was one in the same session.
    pub fn finished(&self, job: JobId, workload: &Workload, threads: u32, span: Option<Duration>) {
        // The last frame of a slot that closes says nothing about the setting that is to come.
        if self.closing.is_cancelled() {
            return;
        }
        let need_bytes = self.memory.need_bytes(workload);
        let mut state = self.roster.state();
        let frame = FrameTime { slot: self.number, threads, ended: state.started.elapsed(), span };
        state.governor.finished(job, workload.scene, need_bytes, frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Limits;
    use crate::memory::learnt::Learnt;
    use crate::memory::look::SystemLook;

    #[tokio::test(start_paused = true)]
    async fn the_slots_that_have_gpus_close_last() {
        let limits = crate::memory::limits::Limits::on_machine(1 << 34, None, None);
        let memory = Memory::new(limits, SystemLook::new().unwrap(), Learnt::default());
        let roster = Roster::new(Governor::new(Limits::of_machine(8)));
        let leaving = CancellationToken::new();
        let posts: Vec<_> = (0..4).map(|_| roster.open(memory.clone(), &leaving)).collect();
        // All wait, and none has done anything yet.
        tokio::time::advance(MOMENT).await;
        let closing = || posts.iter().map(|post| post.closing.is_cancelled()).collect::<Vec<_>>();
        roster.close(1, 2);
        assert_eq!(closing(), [false, false, false, true]);
        roster.close(2, 2);
        assert_eq!(closing(), [false, true, true, true]);
    }
}
