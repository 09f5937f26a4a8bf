//! Agents: which there are, and what their owner wants of them.

use axum::extract::State;
use axum::http::StatusCode;
use haywain_shared::ids::AgentId;
use haywain_shared::job::AgentReport;
use haywain_shared::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::store::AgentCommand;

/// A list of agents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentList {
    /// The agents, by name.
    agents: Vec<AgentReport>,
}

/// The agents that are known
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents", responses(
    (status = 200, description = "The agents, by name", body = AgentList),
))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<AgentList>, Failed> {
    Ok(Json(AgentList { agents: app.store.agents().await? }))
}

/// Declares a handler for something that is wanted of an agent.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident, $path:literal, $command:expr;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "agents", params(("agent" = AgentId, Path, description = "The agent")), responses(
            (status = 204, description = "So be it"),
            (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
            (status = 404, description = "There is no such agent", body = Problem, content_type = "application/problem+json"),
            (status = 409, description = "The agent is not in a state in which that can be done", body = Problem,
                content_type = "application/problem+json"),
        ))]
        pub(super) async fn $name(State(app): State<App>, Path(agent): Path<AgentId>) -> Result<StatusCode, Failed> {
            tracing::info!(%agent, command = ?$command, "agent controlled");
            app.store.control_agent(agent, $command).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    )*};
}

commands! {
    /// Lets an agent finish the frames in work, give back the rest, and lease nothing more
    drain, "/api/v1/agents/{agent}/drain", AgentCommand::Drain;
    /// Lets an agent work again, also one that was set aside
    resume, "/api/v1/agents/{agent}/resume", AgentCommand::Resume;
    /// Gives an agent no work until it is resumed
    set_aside, "/api/v1/agents/{agent}/set-aside", AgentCommand::SetAside;
    /// Forgets an agent that is gone
    forget, "/api/v1/agents/{agent}/forget", AgentCommand::Forget;
}
