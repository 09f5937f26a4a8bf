//! Inspections that somebody asks for without a job: what is in a scene, and what speaks against rendering it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use haywain_shared::ids::AgentId;
use haywain_shared::inspection::InspectionStanding;
use haywain_shared::job::AgentState;
use haywain_shared::problem::{Problem, ProblemKind};
use haywain_shared::scene::SceneId;

use crate::access::Caller;
use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::desk::{FailedTry, Standing};
use crate::store::Sight;

/// When somebody who waits is to ask again, in seconds.
const RETRY_SECONDS: &str = "1";

/// Asks what is in a scene
///
/// An agent opens it, before any batch, and says. Who waits asks again until the answer is 200; what nobody has asked for five
/// minutes is not asked any more. What an agent has found is kept with the scene.
#[utoipa::path(post, path = "/api/v1/scenes/{scene}/inspection", tag = "scenes",
    params(("scene" = SceneId, Path, description = "The scene")), responses(
    (status = 200, description = "It is known, or known why nobody can say", body = InspectionStanding),
    (status = 202, description = "It has been asked for: ask again", body = InspectionStanding,
        headers(("Retry-After" = u32, description = "In how many seconds"))),
    (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such scene", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Files of it have not come yet", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(scene): Path<SceneId>,
) -> Result<Response, Failed> {
    let sight = caller.sight();
    if sight != Sight::All {
        // Nobody joins the wish of another for a scene that is not theirs.
        app.store.scene_report(scene, sight).await?;
    }
    let agents = app.store.agents().await?;
    let states = agents.iter().map(|agent| (agent.agent_id, agent.state)).collect();
    // Who asks again and again does not make the whole scene be read each time.
    let standing = if let Some(standing) = app.desk.ask_again(scene, &states) {
        standing
    } else {
        let report = app.store.scene_report(scene, sight).await?;
        if let Some(inspection) = report.inspection {
            let known = InspectionStanding::Known { inspection: Box::new(inspection) };
            return Ok((StatusCode::OK, Json(known)).into_response());
        }
        if !report.missing_blobs.is_empty() {
            let text = format!(
                "scene {scene} is not complete: {} of its files have not come yet; upload them, then ask again",
                report.missing_blobs.len()
            );
            return Err(Failed::new(ProblemKind::IllegalMove, StatusCode::CONFLICT, text));
        }
        app.store.touch_scene(scene).await?;
        app.desk.ask(scene, &states)
    };
    let name_of = |wanted: AgentId| {
        let found = agents.iter().find(|agent| agent.agent_id == wanted);
        found.map_or_else(|| wanted.to_string(), |agent| agent.name.clone())
    };
    let agent = match standing {
        Standing::Failed(FailedTry { agent, failure }) => {
            let failed = InspectionStanding::Failed { agent: name_of(agent), failure };
            return Ok((StatusCode::OK, Json(failed)).into_response());
        }
        Standing::With(agent) => Some(name_of(agent)),
        Standing::Waiting => None,
    };
    let online = agents.iter().filter(|agent| agent.state == AgentState::Online);
    let agents_online = u32::try_from(online.count()).unwrap_or(u32::MAX);
    let asked = InspectionStanding::Asked { agent, agents_online };
    Ok((StatusCode::ACCEPTED, [(RETRY_AFTER, RETRY_SECONDS)], Json(asked)).into_response())
}
