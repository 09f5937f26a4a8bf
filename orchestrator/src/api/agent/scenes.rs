//! What an agent fetches: a scene's manifest and its files; and what it has found in it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::inspection::Inspection;
use haywain_shared::protocol::InspectionFailureReport;
use haywain_shared::scene::{Manifest, SceneId};

use super::FromAgent;
use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::api::v1::blobs;

pub(super) async fn manifest(State(app): State<App>, Path(scene): Path<SceneId>) -> Result<Json<Manifest>, Failed> {
    Ok(Json(app.store.scene(scene).await?))
}

pub(super) async fn inspected(
    State(app): State<App>,
    Path(scene): Path<SceneId>,
    Json(inspection): Json<Inspection>,
) -> Result<StatusCode, Failed> {
    tracing::info!(%scene, saved_by = inspection.saved_by, opened_by = inspection.opened_by, "scene inspected");
    app.store.keep_inspection(scene, inspection).await?;
    app.desk.settle(scene);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn not_inspected(
    State(app): State<App>,
    Path(scene): Path<SceneId>,
    FromAgent(report): FromAgent<InspectionFailureReport>,
) -> StatusCode {
    let InspectionFailureReport { agent_id: agent, failure } = report;
    tracing::warn!(%scene, %agent, cause = %failure.cause, reason = failure.message, "scene not inspected");
    app.desk.fail(scene, agent, failure);
    StatusCode::NO_CONTENT
}

pub(super) async fn blob(
    State(app): State<App>,
    Path(blob): Path<Sha256Digest>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    blobs::serve(&app, blob, &headers).await
}
