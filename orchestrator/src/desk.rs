//! The desk where people ask what is in a scene before they submit it, and where agents that have time find who wants to
//! know. All of it lives in memory: a wish that a restart forgets is made again by whoever still waits.
//!
//! A wish is with one agent at a time. It goes to the next one when that agent says that it can't, goes away, or says nothing
//! for long; when a few have tried in vain, or all that are there, the last one's words are the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::ids::{AgentId, RequestId};
use haywain_shared::inspection::InspectionFailure;
use haywain_shared::job::AgentState;
use haywain_shared::scene::SceneId;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::store::LeaseAsk;

/// A wish that nobody has repeated for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(5);
/// An agent that has said nothing for so long is not waited for any longer. It may have much to fetch.
const ANSWERED_WITHIN: Duration = Duration::from_mins(10);
/// How long a failure is told to all who ask. Then the next one who asks makes a new wish of it.
const FAILURE_KEPT: Duration = Duration::from_mins(1);
/// The most agents that try in vain.
const MOST_TRIES: usize = 3;

/// The desk.
pub struct Desk {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    news: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    wishes: BTreeMap<SceneId, Wish>,
    /// Lease requests that wait, by the order that they came in.
    seats: BTreeMap<u64, Sitter>,
    next_seat: u64,
}

/// Somebody wants to know what is in a scene.
struct Wish {
    made: Duration,
    /// When somebody asked last.
    asked: Duration,
    holder: Option<Holder>,
    /// The agents that have tried in vain, and the last one's reason.
    tried: BTreeSet<AgentId>,
    last_failure: Option<FailedTry>,
    /// Since when the last failure is the answer.
    over: Option<Duration>,
}

/// The agent that a wish is with.
#[derive(Clone, Copy)]
struct Holder {
    agent: AgentId,
    request: RequestId,
    since: Duration,
}

/// A lease request that waits.
struct Sitter {
    agent: AgentId,
    request: RequestId,
    /// The scenes that lie on its machine.
    has: BTreeSet<SceneId>,
    may_work: bool,
}

/// A try that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTry {
    /// Whose.
    pub agent: AgentId,
    /// Why.
    pub failure: InspectionFailure,
}

/// How a wish stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for an agent.
    Waiting,
    /// An agent looks at the scene.
    With(AgentId),
    /// Nobody could look at it.
    Failed(FailedTry),
}

/// When a wish was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wished {
    /// By this very question.
    Now,
    /// By an earlier one.
    Before,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), news: watch::Sender::new(()) }
    }

    /// Changes whenever there may be something for an agent that found nothing before.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Whether somebody has asked about a scene lately, and nothing is known of it yet.
    #[must_use]
    pub fn has_wish(&self, scene: SceneId) -> bool {
        self.state().wishes.contains_key(&scene)
    }

    /// Somebody asks, for the first time or again. `agents` are all that are known. Says how the wish stands, and whether it is
    /// new: who looked at what is known before it was made has to look again, for a wish that was there may have been fulfilled
    /// meanwhile.
    pub fn ask(&self, scene: SceneId, agents: &BTreeMap<AgentId, AgentState>) -> (Standing, Wished) {
        let now = self.clock.steady();
        let mut state = self.state();
        let mut wished = Wished::Before;
        let wish = state.wishes.entry(scene).or_insert_with(|| {
            wished = Wished::Now;
            Wish::made(now)
        });
        let mut is_news = wished == Wished::Now;
        wish.asked = now;
        if let Some(holder) = wish.holder {
            let late = now.saturating_sub(holder.since) > ANSWERED_WITHIN;
            let there = agents.get(&holder.agent).is_some_and(|state| *state != AgentState::Offline);
            if late || !there {
                let message = if late {
                    format!("it has not answered for {} minutes", ANSWERED_WITHIN.as_secs() / 60)
                } else {
                    "it went away while it looked at the scene".to_owned()
                };
                wish.failed(holder.agent, InspectionFailure { cause: Cause::LeaseExpired, message });
                is_news = true;
            }
        }
        let standing = wish.standing(agents, now);
        drop(state);
        if is_news {
            self.ring();
        }
        (standing, wished)
    }

    /// A lease request sits down to wait, or to be answered at once.
    pub fn sit(&self, ask: &LeaseAsk) -> Seat<'_> {
        let has = ask.cached.iter().chain(&ask.warm).copied().collect();
        let mut state = self.state();
        let number = state.next_seat;
        state.next_seat += 1;
        state.seats.insert(number, Sitter { agent: ask.agent, request: ask.request, has, may_work: true });
        Seat { desk: self, number }
    }

    /// It is known what is in a scene.
    pub fn settle(&self, scene: SceneId) {
        self.state().wishes.remove(&scene);
    }

    /// An agent could not say what is in a scene. One that stops has not tried.
    pub fn fail(&self, scene: SceneId, agent: AgentId, failure: InspectionFailure) {
        if let Some(wish) = self.state().wishes.get_mut(&scene) {
            if failure.cause == Cause::AgentStopped {
                wish.holder.take_if(|holder| holder.agent == agent);
            } else {
                wish.failed(agent, failure);
            }
        }
        self.ring();
    }

    /// An agent has left, or begins a new life: it looks at nothing.
    pub fn gone(&self, agent: AgentId, why: &str) {
        let mut found = false;
        for wish in self.state().wishes.values_mut().filter(|wish| wish.is_with(agent)) {
            wish.failed(agent, InspectionFailure { cause: Cause::LeaseExpired, message: why.to_owned() });
            found = true;
        }
        if found {
            self.ring();
        }
    }

    fn ring(&self) {
        self.news.send_replace(());
    }

    /// The state, without what is over.
    fn state(&self) -> MutexGuard<'_, State> {
        let now = self.clock.steady();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wishes.retain(|_, wish| {
            now.saturating_sub(wish.asked) <= FORGOTTEN_AFTER
                && wish.over.is_none_or(|since| now.saturating_sub(since) <= FAILURE_KEPT)
        });
        state
    }
}

impl Wish {
    const fn made(now: Duration) -> Self {
        Self { made: now, asked: now, holder: None, tried: BTreeSet::new(), last_failure: None, over: None }
    }

    fn is_with(&self, agent: AgentId) -> bool {
        self.holder.is_some_and(|holder| holder.agent == agent)
    }

    fn failed(&mut self, agent: AgentId, failure: InspectionFailure) {
        self.holder.take_if(|holder| holder.agent == agent);
        self.tried.insert(agent);
        self.last_failure = Some(FailedTry { agent, failure });
    }

    fn standing(&mut self, agents: &BTreeMap<AgentId, AgentState>, now: Duration) -> Standing {
        if let Some(holder) = self.holder {
            return Standing::With(holder.agent);
        }
        let mut could_try =
            agents.iter().filter(|(agent, state)| **state == AgentState::Online && self.is_for(**agent));
        match &self.last_failure {
            Some(failure) if could_try.next().is_none() => {
                self.over.get_or_insert(now);
                Standing::Failed(failure.clone())
            }
            _ => Standing::Waiting,
        }
    }

    fn is_for(&self, agent: AgentId) -> bool {
        self.holder.is_none() && self.tried.len() < MOST_TRIES && !self.tried.contains(&agent)
    }
}

impl State {
    /// The wish that the agent at this seat is to fulfil: one whose scene it has, or else the oldest for which nobody waits who
    /// has the scene.
    fn errand(&self, seat: u64) -> Option<SceneId> {
        let sitter = self.seats.get(&seat).filter(|sitter| sitter.may_work)?;
        let asked_before = |holder: Holder| holder.agent == sitter.agent && holder.request == sitter.request;
        if let Some((scene, _)) = self.wishes.iter().find(|(_, wish)| wish.holder.is_some_and(asked_before)) {
            // The answer was lost.
            return Some(*scene);
        }
        let open = self.wishes.iter().filter(|(_, wish)| wish.is_for(sitter.agent));
        let better = |scene: &SceneId, wish: &Wish| {
            self.seats.values().any(|other| other.may_work && other.has.contains(scene) && wish.is_for(other.agent))
        };
        let fitting = open.filter(|(scene, wish)| sitter.has.contains(scene) || !better(scene, wish));
        fitting.min_by_key(|(scene, wish)| (!sitter.has.contains(scene), wish.made)).map(|(scene, _)| *scene)
    }
}

/// A lease request's place at the desk, for as long as it waits.
pub struct Seat<'a> {
    desk: &'a Desk,
    number: u64,
}

impl Seat<'_> {
    /// Whether there is something for it.
    #[must_use]
    pub fn has_errand(&self) -> bool {
        self.desk.state().errand(self.number).is_some()
    }

    /// Takes it.
    #[must_use]
    pub fn take_errand(&self) -> Option<SceneId> {
        let now = self.desk.clock.steady();
        let mut state = self.desk.state();
        let scene = state.errand(self.number)?;
        let State { wishes, seats, .. } = &mut *state;
        let Sitter { agent, request, .. } = *seats.get(&self.number)?;
        wishes.get_mut(&scene)?.holder = Some(Holder { agent, request, since: now });
        Some(scene)
    }

    /// Its agent gets no work: others need not stand back for it.
    pub fn decline(&self) {
        if let Some(sitter) = self.desk.state().seats.get_mut(&self.number) {
            sitter.may_work = false;
        }
        self.desk.ring();
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let stood_in_the_way = {
            let mut state = self.desk.state();
            state.seats.remove(&self.number);
            state.wishes.values().any(|wish| wish.holder.is_none() && wish.over.is_none())
        };
        if stood_in_the_way {
            self.desk.ring();
        }
    }
}

#[cfg(test)]
mod tests;
