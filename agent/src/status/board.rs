//! The board: what the parts of the agent have to say of how it goes, at one place. Nobody waits for anybody here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::protocol::AgentOrder;
use jiff::{SignedDuration, Timestamp};

use super::{Doing, Done, Holding, Status, Who};
use crate::book::Book;
use crate::cache::SceneCache;
use crate::clock::BootClock;
use crate::leaving::Leaving;
use crate::link::Link;
use crate::outbox::Outbox;

/// Where the parts of the agent say how it goes. Clones share it.
#[derive(Clone)]
pub struct Board {
    clock: Arc<dyn BootClock>,
    /// The wall's time when the clock showed zero.
    began: Timestamp,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When the orchestrator answered last, by the clock.
    answered: Option<Duration>,
    /// Why it has not answered since.
    unanswered: Option<String>,
    /// By which HTTP status its last answer kept this agent out.
    shut_out: Option<u16>,
    notes: BTreeMap<u64, String>,
    next_note: u64,
    done: Done,
    rooms: Option<Rooms>,
}

/// The parts of a working agent that are asked when somebody wants to know.
#[derive(Clone)]
pub struct Rooms {
    /// The line to the orchestrator.
    pub link: Link,
    /// The leases.
    pub book: Book,
    /// Frames on their way.
    pub outbox: Outbox,
    /// Scenes.
    pub cache: SceneCache,
    /// Whether it leaves.
    pub leaving: Leaving,
}

/// Something that keeps the agent from working; no longer so when this is dropped.
#[must_use]
pub struct Note {
    board: Board,
    number: u64,
}

impl Board {
    /// An empty board. `began` is the wall's time at which `clock` showed zero.
    #[must_use]
    pub fn new(clock: Arc<dyn BootClock>, began: Timestamp) -> Self {
        Self { clock, began, state: Arc::default() }
    }

    /// The orchestrator has answered.
    pub(super) fn answered(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.answered = Some(now);
        state.shut_out = None;
        state.unanswered = None;
    }

    /// It has, and does not let this agent in.
    pub(super) fn shut_out(&self, status: u16) {
        let now = self.clock.now();
        let mut state = self.state();
        state.answered = Some(now);
        state.shut_out = Some(status);
        state.unanswered = None;
    }

    /// It has not, and why.
    pub(super) fn unanswered(&self, error: &str) {
        self.state().unanswered = Some(error.to_owned());
    }

    /// Something keeps the agent from working, for as long as the note lives.
    pub fn note(&self, obstacle: impl Into<String>) -> Note {
        let mut state = self.state();
        let number = state.next_note;
        state.next_note += 1;
        state.notes.insert(number, obstacle.into());
        Note { board: self.clone(), number }
    }

    /// A frame was rendered.
    pub fn rendered(&self, render_ms: u64) {
        let done = &mut self.state().done;
        done.frames += 1;
        done.render_ms += render_ms;
    }

    /// An attempt has failed.
    pub fn failed(&self) {
        self.state().done.failures += 1;
    }

    /// The agent works, with these parts.
    pub fn opened(&self, rooms: Rooms) {
        self.state().rooms = Some(rooms);
    }

    /// Everything there is to tell.
    #[must_use]
    pub fn status(&self, who: &Who) -> Status {
        let state = self.state();
        let mut obstacles: Vec<String> = state.unanswered.iter().map(|error| no_answer(who, error)).collect();
        obstacles.extend(state.shut_out.map(|status| not_let_in(who, status)));
        obstacles.extend(state.notes.values().cloned());
        let last_contact = state.answered.map(|at| self.at(at));
        let done = state.done;
        let rooms = state.rooms.clone();
        drop(state);
        let Some(Rooms { link, book, outbox, cache, leaving }) = rooms else {
            let (doing, none) = (Doing::Registering, Holding::default());
            let (slots, work, machine) = (0, Vec::new(), None);
            return Status {
                agent: who.clone(),
                doing,
                obstacles,
                last_contact,
                slots,
                work,
                outbox: none,
                cache: none,
                machine,
                done,
            };
        };
        let work = book.work();
        let outbox = outbox.holding();
        if outbox.bytes >= outbox.max_bytes {
            obstacles
                .push("the outbox is full: no frame is begun until some are delivered (--max-outbox-mb)".to_owned());
        }
        let doing = match leaving.order() {
            _ if leaving.draining().is_cancelled() => Doing::Leaving,
            _ if !link.is_known() => Doing::Registering,
            AgentOrder::Run if work.is_empty() => Doing::Waiting,
            AgentOrder::Run => Doing::Working,
            AgentOrder::Drain => Doing::Drained,
        };
        Status {
            agent: who.clone(),
            doing,
            obstacles,
            last_contact,
            slots: link.slots(),
            work,
            outbox,
            cache: cache.holding(),
            machine: link.sample(),
            done,
        }
    }

    /// The wall's time at a moment of the clock's.
    fn at(&self, moment: Duration) -> Timestamp {
        let moment = SignedDuration::try_from(moment).unwrap_or(SignedDuration::MAX);
        self.began.saturating_add(moment).unwrap_or(Timestamp::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_answer(who: &Who, error: &str) -> String {
    format!("no answer from the orchestrator at {}: {error}", who.orchestrator)
}

fn not_let_in(who: &Who, status: u16) -> String {
    format!(
        "the orchestrator at {} does not let this agent in (HTTP {status}): its token is missing, used up, expired or revoked.          `haywain-orchestrator enrol` makes a new one",
        who.orchestrator
    )
}

impl Drop for Note {
    fn drop(&mut self) {
        self.board.state().notes.remove(&self.number);
    }
}
