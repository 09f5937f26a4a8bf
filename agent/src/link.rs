//! The agent's line to its orchestrator: who it says it is, and what it does about each answer to a registration, a lease
//! request and a heartbeat.

use std::sync::Arc;
use std::time::Duration;

use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::ids::RequestId;
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{
    BlenderFacts, HeartbeatRequest, HeldLease, LeaseGrant, LeaseRequest, LeaseVerdict, MachineFacts, MachineSample,
    RegisterAnswer, RegisterRequest,
};
use haywain_shared::retry::{GaveUp, Patience, until_answered};
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
    /// Its slots.
    pub slots: u32,
    /// Its machine.
    pub machine: MachineFacts,
    /// Its Blenders.
    pub blenders: Vec<BlenderFacts>,
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

/// The line. Clones share it.
#[derive(Debug, Clone)]
pub struct Link {
    client: AgentClient,
    introduction: Arc<Introduction>,
    stop: CancellationToken,
}

impl Link {
    /// A line that ends with `stop`.
    #[must_use]
    pub fn new(client: AgentClient, introduction: Introduction, stop: CancellationToken) -> Self {
        Self { client, introduction: Arc::new(introduction), stop }
    }

    /// The client, for calls that need no identity.
    #[must_use]
    pub const fn client(&self) -> &AgentClient {
        &self.client
    }

    /// Makes the agent known, however long that takes, and learns the intervals to keep.
    pub async fn register(&self) -> Result<RegisterAnswer, LinkEnded> {
        let Introduction { identity, name, slots, machine, blenders } = &*self.introduction;
        let request = RegisterRequest {
            agent_id: identity.agent_id,
            incarnation: identity.incarnation,
            name: name.clone(),
            slots: *slots,
            machine: machine.clone(),
            blenders: blenders.clone(),
        };
        loop {
            match until_answered(Patience::ORCHESTRATOR, &self.stop, || self.client.register(&request)).await {
                Ok(answer) => return Ok(answer),
                Err(ended) => self.refused(ended).await?,
            }
        }
    }

    /// Waits for a batch, for as long as it takes.
    pub async fn next_lease(&self, poll: Duration) -> Result<LeaseGrant, LinkEnded> {
        let Identity { agent_id, incarnation } = self.introduction.identity;
        let mut request = LeaseRequest { agent_id, incarnation, request_id: RequestId::generate() };
        loop {
            let call = || self.client.lease(&request, poll);
            match until_answered(Patience::ORCHESTRATOR, &self.stop, call).await {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => {}
                Err(GaveUp::Refused(error)) if error.refusal() == Some(ProblemKind::LeaseEnded) => {
                    // The grant was lost on its way and has run out since: it is asked for anew.
                    request.request_id = RequestId::generate();
                }
                Err(ended) => self.refused(ended).await?,
            }
        }
    }

    /// One heartbeat, tried once: the next one is due soon enough. `None` when it was not answered.
    pub async fn heartbeat(
        &self,
        sample: MachineSample,
        leases: Vec<HeldLease>,
        timeout: Duration,
    ) -> Result<Option<Vec<LeaseVerdict>>, LinkEnded> {
        let Identity { agent_id, incarnation } = self.introduction.identity;
        let request = HeartbeatRequest { agent_id, incarnation, slots: self.introduction.slots, sample, leases };
        match self.client.heartbeat(&request, timeout).await {
            Ok(answer) => Ok(Some(answer.leases)),
            Err(error @ CallError::Refused { .. }) => self.refused(GaveUp::Refused(error)).await.map(|()| None),
            Err(error) => {
                tracing::warn!(%error, "heartbeat not answered");
                Ok(None)
            }
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
            Some(ProblemKind::UnknownAgent) => {
                // The orchestrator has lost its memory, or is another one.
                tracing::info!("the orchestrator does not know this agent: registering");
                Box::pin(self.register()).await.map(drop)
            }
            _ => {
                tracing::error!(%error, "the orchestrator refuses this agent; is it of the same version?");
                tokio::select! {
                    () = self.stop.cancelled() => Err(LinkEnded::Stopped),
                    () = tokio::time::sleep(AFTER_REFUSAL) => Ok(()),
                }
            }
        }
    }
}
