//! What an agent fetches: a scene's manifest and its files.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::{Manifest, SceneId};

use crate::api::App;
use crate::api::problem::{Failed, Json, Path};

pub(super) async fn manifest(State(app): State<App>, Path(scene): Path<SceneId>) -> Result<Json<Manifest>, Failed> {
    Ok(Json(app.store.scene(scene).await?))
}

pub(super) async fn blob(State(app): State<App>, Path(blob): Path<Sha256Digest>) -> Result<Response, Failed> {
    let (size_bytes, pieces) = app.blobs.read(blob).await?;
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, size_bytes.to_string())];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
