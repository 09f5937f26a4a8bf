//! Agents: which there are, and what is wanted of them.

use haywain_shared::client::CallError;
use haywain_shared::ids::AgentId;
use haywain_shared::job::AgentReport;
use serde::Deserialize;
use serde_json::Value;

use super::Api;

/// What can be wanted of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentMove {
    /// Finish what it has and take no more.
    Drain,
    /// Take work again.
    Undrain,
}

impl AgentMove {
    /// The word for it, as in its path.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Undrain => "resume",
        }
    }
}

#[derive(Deserialize)]
struct AgentList {
    agents: Vec<AgentReport>,
}

impl Api {
    /// The agents, by name.
    pub async fn agents(&self) -> Result<Vec<AgentReport>, CallError> {
        self.get::<AgentList>("list agents", "/api/v1/agents").await.map(|list| list.agents)
    }

    /// Tells the orchestrator what is wanted of an agent.
    pub async fn move_agent(&self, agent: AgentId, wanted: AgentMove) -> Result<(), CallError> {
        let word = wanted.word();
        self.post(word, &format!("/api/v1/agents/{agent}/{word}"), &Value::Null).await.map(drop)
    }
}
