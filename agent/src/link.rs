//! The agent's line to its orchestrator: who it says it is, and what it does about each answer to a registration, a lease
//! request and a heartbeat.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::ids::RequestId;
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{
    Abilities, BlenderFacts, HeartbeatAnswer, HeartbeatRequest, HeldLease, LeaseGrant, LeaseRequest, LeaseTiming,
    LeaveRequest, MachineFacts, MachineSample, RegisterAnswer, RegisterRequest, Work,
};
use haywain_shared::retry::{GaveUp, until_answered};
use haywain_shared::scene::SceneId;
use tokio_util::sync::CancellationToken;

use crate::identity::Identity;

/// How long to wait after a refusal that this version does not know.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// What the agent tells of itself.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Who it is.
    pub identity: Identity,
    /// What people call it.
    pub name: String,
    /// Its machine.
    pub machine: MachineFacts,
    /// Its Blenders.
    pub blenders: Vec<BlenderFacts>,
    /// What jobs may ask of it beyond that.
    pub abilities: Abilities,
}

/// What speaks for giving a slot a batch of one scene rather than of another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The scene that its Blender has open, or renders.
    pub warm: Option<SceneId>,
    /// The memory that the slot could have, that of this Blender included.
    pub memory_bytes: u64,
    /// The scenes that lie whole on this machine, the latest used first.
    pub cached: Vec<SceneId>,
    /// The ids of the devices that are the slot's to use; `None` is all.
    pub devices: Option<Vec<String>>,
}

/// Why the line is of no more use to this process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkEnded {
    /// The agent is to stop.
    #[error("stopped")]
    Stopped,
    /// Another process with this agent's data folder has registered later.
    #[error("another process runs as this agent: {0}. Give each agent a data folder of its own (--data-dir)")]
    Replaced(String),
}

/// What has come of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// It was answered.
    Answered(HeartbeatAnswer),
    /// It was not, and the next is to come no sooner than this.
    Unanswered(Duration),
}

/// What is answered to one request for a lease.
enum Answer {
    /// Work, and when the request was sent that brought it.
    Work(Work, Duration),
    Nothing,
    /// There was a grant, which was lost on its way and has run out since.
    Lost,
}

/// The line. Clones share it.
#[derive(Clone)]
pub struct Link {
    client: AgentClient,
    introduction: Arc<Introduction>,
    /// Cancelled when nothing more is to be waited for.
    stop: CancellationToken,
    /// Heartbeats sent so far.
    beats: Arc<AtomicU64>,
    /// The machine, as the last of them told of it.
    sample: Arc<Mutex<Option<MachineSample>>>,
    /// Its slots, now.
    slots: Arc<AtomicU32>,
    /// Whether the orchestrator knows it, as far as it has told.
    is_known: Arc<AtomicBool>,
}

impl Link {
    /// A line of an agent with so many slots, that ends with `stop`.
    #[must_use]
    pub fn new(client: AgentClient, introduction: Introduction, slots: u32, stop: CancellationToken) -> Self {
        Self {
            client,
            introduction: Arc::new(introduction),
            stop,
            beats: Arc::default(),
            sample: Arc::default(),
            slots: Arc::new(slots.into()),
            is_known: Arc::default(),
        }
    }

    /// The agent works on so many batches at once from now on; the next heartbeat says so.
    pub fn has_slots(&self, slots: u32) {
        self.slots.store(slots, Ordering::Relaxed);
    }

    /// How many slots the agent has, now.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// Whether the orchestrator knows the agent: not while that makes itself known, at its start or after it was shut out.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// The machine by its last sample, if there was one.
    #[must_use]
    pub fn sample(&self) -> Option<MachineSample> {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the agent known, however long that takes, and learns the intervals to keep.
    pub async fn register(&self) -> Result<RegisterAnswer, LinkEnded> {
        let Introduction { identity, name, machine, blenders, abilities } = &*self.introduction;
        let request = RegisterRequest {
            agent_id: identity.agent_id,
            incarnation: identity.incarnation,
            name: name.clone(),
            slots: self.slots.load(Ordering::Relaxed),
            machine: machine.clone(),
            blenders: blenders.clone(),
            abilities: abilities.clone(),
            token_sha256: None,
        };
        self.is_known.store(false, Ordering::Relaxed);
        loop {
            match until_answered(self.client.patience(), &self.stop, || self.client.register(&request)).await {
                Ok(answer) => {
                    self.is_known.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(ended) => self.refused(ended).await?,
            }
        }
    }

    /// Waits for work, for as long as it takes. Returns with it when the request that brought it was sent, by `now`.
    pub async fn next_work(
        &self,
        poll: Duration,
        offer: impl Fn() -> Offer,
        now: impl Fn() -> Duration,
    ) -> Result<(Work, Duration), LinkEnded> {
        let mut request_id = RequestId::generate();
        loop {
            match self.ask(request_id, LeaseTiming::Now, poll, offer(), &now).await? {
                Answer::Work(work, asked) => return Ok((work, asked)),
                Answer::Nothing => {}
                // It is asked for anew.
                Answer::Lost => request_id = RequestId::generate(),
            }
        }
    }

    /// Asks for work ahead, until that is answered: mostly there is none. Returns with it when it was asked for, by `now`.
    pub async fn work_ahead(
        &self,
        offer: Offer,
        now: impl Fn() -> Duration,
    ) -> Result<Option<(LeaseGrant, Duration)>, LinkEnded> {
        let answer = self.ask(RequestId::generate(), LeaseTiming::Ahead, Duration::ZERO, offer, &now).await?;
        Ok(match answer {
            Answer::Work(Work::Batch(grant), asked) => Some((*grant, asked)),
            Answer::Work(Work::Inspection { .. }, _) | Answer::Nothing | Answer::Lost => None,
        })
    }

    /// One request for a lease, until it is answered.
    async fn ask(
        &self,
        request_id: RequestId,
        timing: LeaseTiming,
        poll: Duration,
        offer: Offer,
        now: &impl Fn() -> Duration,
    ) -> Result<Answer, LinkEnded> {
        let Identity { agent_id, incarnation } = self.introduction.identity;
        let Offer { warm, memory_bytes, cached, devices } = offer;
        let memory_available_bytes = memory_bytes.min(self.introduction.machine.memory_bytes);
        let request =
            LeaseRequest { agent_id, incarnation, request_id, timing, memory_available_bytes, warm, cached, devices };
        let mut asked = Duration::ZERO;
        let call = || {
            asked = now();
            self.client.lease(&request, poll)
        };
        match until_answered(self.client.patience(), &self.stop, call).await {
            Ok(Some(work)) => Ok(Answer::Work(work, asked)),
            Ok(None) => Ok(Answer::Nothing),
            Err(GaveUp::Refused(error)) if error.refusal() == Some(ProblemKind::LeaseEnded) => Ok(Answer::Lost),
            Err(ended) => self.refused(ended).await.map(|()| Answer::Nothing),
        }
    }

    /// One heartbeat, tried once: the next one is due soon enough.
    pub async fn heartbeat(
        &self,
        sample: MachineSample,
        leases: Vec<HeldLease>,
        timeout: Duration,
    ) -> Result<Beat, LinkEnded> {
        let Identity { agent_id, incarnation } = self.introduction.identity;
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
        let sequence = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        let slots = self.slots.load(Ordering::Relaxed);
        let request = HeartbeatRequest { agent_id, incarnation, sequence, slots, sample, leases };
        match self.client.heartbeat(&request, timeout).await {
            Ok(answer) => Ok(Beat::Answered(answer)),
            Err(error @ CallError::Refused { .. }) => {
                self.refused(GaveUp::Refused(error)).await.map(|()| Beat::Unanswered(Duration::ZERO))
            }
            Err(error) => {
                tracing::warn!(%error, "heartbeat not answered");
                let asked = if let CallError::Busy { retry_after, .. } = error { retry_after } else { None };
                Ok(Beat::Unanswered(asked.unwrap_or_default()))
            }
        }
    }

    /// Says that the agent ends. Tried once: if it is not heard, its leases run out.
    pub async fn leave(&self) {
        let Identity { agent_id, incarnation } = self.introduction.identity;
        if let Err(error) = self.client.leave(&LeaveRequest { agent_id, incarnation }).await {
            tracing::warn!(%error, "the orchestrator has not heard that this agent leaves");
        }
    }

    /// What follows from a refusal that any of these calls can get. Afterwards the call may be tried again.
    async fn refused(&self, ended: GaveUp) -> Result<(), LinkEnded> {
        let error = match ended {
            GaveUp::Stopped => return Err(LinkEnded::Stopped),
            GaveUp::Refused(error) => error,
        };
        match error.refusal() {
            Some(ProblemKind::StaleIncarnation) => Err(LinkEnded::Replaced(error.to_string())),
            Some(ProblemKind::UnknownAgent | ProblemKind::Unauthenticated) => {
                // The orchestrator has lost its memory, or is another one; or this agent is to show who it is.
                tracing::info!("the orchestrator does not know this agent: registering");
                Box::pin(self.register()).await.map(drop)
            }
            _ => {
                tracing::error!(%error, "the orchestrator refuses this agent");
                tokio::select! {
                    () = self.stop.cancelled() => Err(LinkEnded::Stopped),
                    () = tokio::time::sleep(AFTER_REFUSAL) => Ok(()),
                }
            }
        }
    }
}
