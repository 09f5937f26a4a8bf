//! The frames of a job: which are done, in the order that they were recorded in, and their files.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use haywain_shared::job::{FramePage, RecordedFrame};
use haywain_shared::path::RelativePath;
use haywain_shared::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{limit, must_exist};
use crate::api::App;
use crate::api::problem::{Failed, Json, Path, Query};
use crate::api::served::{self, Stored, Wanted, content_type_of};
use crate::store::KeptFrame;

/// Which frames are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FrameQuery {
    /// Only those that were recorded after this cursor, which the page before has given; all of them unless it is given.
    since: Option<u64>,
    /// At most this many: 100 unless it is given, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The done frames of a job, with their files
///
/// In the order that they were recorded in, so that a client which goes on from the cursor of its last page gets every frame
/// once, and a frame that was rendered anew once more.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), FrameQuery), responses(
    (status = 200, description = "A page of frames", body = FramePage),
    (status = 400, description = "The id or a parameter is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    Path(job): Path<JobId>,
    Query(query): Query<FrameQuery>,
) -> Result<Json<FramePage>, Failed> {
    let since = query.since.unwrap_or(0);
    let frames = app.store.frames(job, since, limit(query.limit)?).await?;
    if frames.is_empty() {
        must_exist(&app, job).await?;
    }
    let frames: Vec<_> = frames.into_iter().map(|kept| kept.report).collect();
    let cursor = frames.last().map_or(since, |frame| frame.place);
    Ok(Json(FramePage { frames, cursor }))
}

/// One done frame
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames/{frame}", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), ("frame" = FrameNumber, Path, description = "The frame")), responses(
    (status = 200, description = "The frame, with its files", body = RecordedFrame),
    (status = 400, description = "The id or the number is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job, or the frame is not done", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn one(
    State(app): State<App>,
    Path((job, frame)): Path<(JobId, FrameNumber)>,
) -> Result<Json<RecordedFrame>, Failed> {
    Ok(Json(done(&app, job, frame).await?.report))
}

/// A file of a frame, by its name
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames/{frame}/files/{name}", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), ("frame" = FrameNumber, Path, description = "The frame"),
        ("name" = RelativePath, Path, description = "The file's name, slashes and all")), responses(
    (status = 200, description = "The file", content_type = "application/octet-stream",
        headers(("ETag" = String, description = "Its SHA-256"), ("Content-Digest" = String, description = "RFC 9530"))),
    (status = 206, description = "The range that was asked for", content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 400, description = "The id, the number or the name is wrong", body = Problem,
        content_type = "application/problem+json"),
    (status = 404, description = "There is no such job or file, or the frame is not done", body = Problem,
        content_type = "application/problem+json"),
    (status = 416, description = "It has no such range"),
))]
pub(super) async fn file(
    State(app): State<App>,
    Path((job, frame, name)): Path<(JobId, FrameNumber, RelativePath)>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let kept = done(&app, job, frame).await?;
    let position = kept.report.files.iter().position(|file| file.name == name);
    let position = position.ok_or_else(|| Failed::not_found(format!("frame {frame} has no file {name}")))?;
    serve(&app, &kept, position, &headers).await
}

/// A frame's picture: the first of its files
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames/{frame}/image", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), ("frame" = FrameNumber, Path, description = "The frame")), responses(
    (status = 200, description = "The picture", content_type = "image/*"),
    (status = 206, description = "The range that was asked for", content_type = "image/*"),
    (status = 304, description = "The client has it"),
    (status = 400, description = "The id or the number is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job, or the frame is not done", body = Problem,
        content_type = "application/problem+json"),
    (status = 416, description = "It has no such range"),
))]
pub(super) async fn image(
    State(app): State<App>,
    Path((job, frame)): Path<(JobId, FrameNumber)>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let kept = done(&app, job, frame).await?;
    serve(&app, &kept, 0, &headers).await
}

/// A small JPEG of a frame
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames/{frame}/thumbnail", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), ("frame" = FrameNumber, Path, description = "The frame")), responses(
    (status = 200, description = "The thumbnail: its longer side has 320 pixels", content_type = "image/jpeg"),
    (status = 304, description = "The client has it"),
    (status = 400, description = "The id or the number is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job, the frame is not done, or its picture is of a kind that none could be \
        made of", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn thumbnail(
    State(app): State<App>,
    Path((job, frame)): Path<(JobId, FrameNumber)>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let kept = done(&app, job, frame).await?;
    let key = kept.thumbnail_key.ok_or_else(|| Failed::not_found(format!("frame {frame} has no thumbnail")))?;
    let picture = app.blobs.read_small(&key).await?;
    let stored = Stored {
        sha256: haywain_shared::digest::Sha256Digest::of(&picture),
        size_bytes: picture.len() as u64,
        content_type: "image/jpeg",
    };
    // Too small for ranges to be worth anything.
    match served::wanted(&headers, &stored) {
        Wanted::Nothing => Ok(served::answer(&stored, &Wanted::Nothing, None::<served::NoBytes>)),
        _ => Ok(served::answer(&stored, &Wanted::Whole, Some(served::all_at_once(picture)))),
    }
}

/// The frame, if it is done.
async fn done(app: &App, job: JobId, frame: FrameNumber) -> Result<KeptFrame, Failed> {
    if let Some(kept) = app.store.frame(job, frame).await? {
        return Ok(kept);
    }
    must_exist(app, job).await?;
    Err(Failed::not_found(format!("frame {frame} of job {job} is not done")))
}

async fn serve(app: &App, kept: &KeptFrame, position: usize, headers: &HeaderMap) -> Result<Response, Failed> {
    let (Some(file), Some(key)) = (kept.report.files.get(position), kept.blob_keys.get(position)) else {
        return Err(Failed::not_found(format!("frame {} has no files", kept.report.frame)));
    };
    let stored =
        Stored { sha256: file.sha256, size_bytes: file.size_bytes, content_type: content_type_of(file.name.as_str()) };
    let wanted = served::wanted(headers, &stored);
    let bytes = match &wanted {
        Wanted::Whole => Some(app.blobs.read_output(key, 0..file.size_bytes).await?),
        Wanted::Part(part) => Some(app.blobs.read_output(key, part.clone()).await?),
        Wanted::Nothing | Wanted::Impossible => None,
    };
    Ok(served::answer(&stored, &wanted, bytes))
}
