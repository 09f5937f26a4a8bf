//! What an agent fetches: a scene's manifest and its files.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::{Manifest, SceneId};

use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::api::v1::blobs;

pub(super) async fn manifest(State(app): State<App>, Path(scene): Path<SceneId>) -> Result<Json<Manifest>, Failed> {
    Ok(Json(app.store.scene(scene).await?))
}

pub(super) async fn blob(
    State(app): State<App>,
    Path(blob): Path<Sha256Digest>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    blobs::serve(&app, blob, &headers).await
}
