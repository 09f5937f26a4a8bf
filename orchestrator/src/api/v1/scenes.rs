//! Scenes: registered by their manifests, or taken in whole from one file.

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::path::RelativePath;
use haywain_shared::problem::{Problem, ProblemKind};
use haywain_shared::scene::{Manifest, SceneId, ScenePage, SceneReport};
use serde::Deserialize;
use utoipa::IntoParams;

use super::limit;
use crate::access::Caller;
use crate::api::App;
use crate::api::body::{self, Unread};
use crate::api::problem::{Failed, Json, Path, Query};
use crate::api::receiving::{self, Cut, MAX_FILE_BYTES};
use crate::scenes;
use crate::store::{KeptScene, Novelty, SceneFilter};

/// The largest manifest: room for a hundred thousand long paths.
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// Which scenes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SceneQuery {
    /// Only those that come after this one: the last of the page before.
    before: Option<SceneId>,
    /// At most this many: 100 unless it is given, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What is in the file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FileQuery {
    /// In a zip file, the .blend to render. Not needed when there is only one, or only one at the top.
    entry: Option<RelativePath>,
}

/// Registers a scene, and says which of its blobs are still to be sent
#[utoipa::path(post, path = "/api/v1/scenes", tag = "scenes", request_body = Manifest, responses(
    (status = 200, description = "It was known", body = SceneReport),
    (status = 201, description = "It is known now", body = SceneReport),
    (status = 400, description = "The manifest is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The manifest is too large", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn register(State(app): State<App>, caller: Caller, request_body: Body) -> Result<Response, Failed> {
    let read = body::read(request_body, MAX_MANIFEST_BYTES).await.map_err(|unread| match unread {
        Unread::TooLarge => {
            let text = format!("the manifest is larger than {MAX_MANIFEST_BYTES} bytes");
            Failed::new(ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, text)
        }
        Unread::Broken(error) => Failed::invalid(format!("the body broke off ({error})")),
    })?;
    let manifest: Manifest = serde_json::from_slice(&read)
        .map_err(|error| Failed::invalid(format!("the body is no manifest of a scene: {error}")))?;
    manifest.check().map_err(|fault| Failed::invalid(fault.to_string()))?;
    Ok(kept(app.store.keep_scene(manifest, caller.sight()).await?))
}

fn kept(scene: KeptScene) -> Response {
    let status = match scene.novelty {
        Novelty::New => StatusCode::CREATED,
        Novelty::Known => StatusCode::OK,
    };
    (status, Json(scene.report)).into_response()
}

/// Scenes, the latest touched first
#[utoipa::path(get, path = "/api/v1/scenes", tag = "scenes", params(SceneQuery), responses(
    (status = 200, description = "A page of scenes", body = ScenePage),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SceneQuery>,
) -> Result<Json<ScenePage>, Failed> {
    let filter = SceneFilter { sight: caller.sight(), before: query.before, limit: limit(query.limit)? };
    Ok(Json(ScenePage { scenes: app.store.scenes(filter).await? }))
}

/// One scene, whole
#[utoipa::path(get, path = "/api/v1/scenes/{scene}", tag = "scenes",
    params(("scene" = SceneId, Path, description = "The scene")), responses(
    (status = 200, description = "The scene", body = SceneReport),
    (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such scene", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(scene): Path<SceneId>,
) -> Result<Json<SceneReport>, Failed> {
    Ok(Json(app.store.scene_report(scene, caller.sight()).await?))
}

/// Makes a scene of one file: a .blend, or a project folder in a zip file
#[utoipa::path(put, path = "/api/v1/scenes/files/{name}", tag = "scenes",
    params(("name" = String, Path, description = "The file's name"), FileQuery),
    request_body(content = String, content_type = "application/octet-stream"), responses(
    (status = 200, description = "It was known", body = SceneReport),
    (status = 201, description = "It is known now, and complete", body = SceneReport),
    (status = 400, description = "It is no scene, and why", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "It is too large", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "It can't be taken now; try again", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn put_file(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<FileQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    // In a task of its own: what is unpacked when the client goes away is still to be put where it belongs.
    let tasks = app.tasks.clone();
    let work = async move {
        let mut pieces = body.into_data_stream();
        let answer = take_in(&app, &caller, name, query.entry, &headers, &mut pieces).await;
        receiving::drain(&headers, &mut pieces).await;
        answer
    };
    tasks.spawn(work).await.map_err(Failed::panicked)?
}

async fn take_in(
    app: &App,
    caller: &Caller,
    name: String,
    entry: Option<RelativePath>,
    headers: &HeaderMap,
    pieces: &mut BodyDataStream,
) -> Result<Response, Failed> {
    receiving::check_length(headers)?;
    let name = RelativePath::new(name).map_err(|fault| Failed::invalid(format!("the file's name: {fault}")))?;
    let mut staged = app.blobs.staging().begin_unnamed().await?;
    if let Err(cut) = receiving::receive(app, pieces, &mut staged, MAX_FILE_BYTES).await {
        staged.discard().await;
        return Err(match cut {
            Cut::Broken(reason) => Failed::invalid(format!("the body broke off ({reason}); nothing of it is kept")),
            cut => cut.into(),
        });
    }
    let whole = staged.finish().await?;
    let scene = scenes::take_in_upload(name, entry, whole, &app.blobs, &*app.store, caller.sight()).await?;
    tracing::info!(scene = %scene.report.scene_id, files = scene.report.manifest.files.len(), "scene taken in");
    Ok(kept(scene))
}
