//! `PUT /leases/{lease}/frames/{frame}`: a frame comes back. Its files are streamed into the blobs, checked, and recorded
//! by one commit; until then they mean nothing.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{
    FrameUpload, MAX_THUMBNAIL_BYTES, OutputFile, UPLOAD_META_PART, UploadAnswer, UploadOutcome,
};
use haywain_shared::scene::BlobRef;

use super::parcel::{Parcel, Part};
use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::store::{Delivered, RenderedFrame, StoredFile};

/// The most files that one frame may have.
const MAX_FILES: usize = 1000;
/// The longest description of a frame: room for so many files with names as long as they may be.
const MAX_META_BYTES: usize = 2 * 1024 * 1024;
/// The longest render, a year: a bound on sums.
const MAX_RENDER_MS: u64 = 366 * 24 * 60 * 60 * 1000;

pub(super) async fn put_frame(
    State(app): State<App>,
    Path((lease, frame)): Path<(LeaseId, FrameNumber)>,
    request: Request,
) -> Result<Json<UploadAnswer>, Failed> {
    let parts = Parcel::open(request).await?;
    // In a task of its own: an agent that goes away ends the body, not the work, so that files which are stored and about
    // to be recorded are never taken for abandoned, and abandoned ones are always removed.
    let tasks = app.tasks.clone();
    tasks.spawn(receive(app, lease, frame, parts)).await.map_err(Failed::panicked)?
}

async fn receive(
    app: App,
    lease: LeaseId,
    frame: FrameNumber,
    mut parts: Parcel,
) -> Result<Json<UploadAnswer>, Failed> {
    let answer = take_in(&app, lease, frame, &mut parts).await;
    parts.end().await;
    answer.map(|outcome| Json(UploadAnswer { outcome }))
}

async fn take_in(app: &App, lease: LeaseId, frame: FrameNumber, parts: &mut Parcel) -> Result<UploadOutcome, Failed> {
    let upload = read_meta(parts).await?;
    if let Some(outcome) = app.store.foresee(lease, upload.job_id, frame, upload.generation).await? {
        return Ok(outcome);
    }
    let mut stored = Vec::with_capacity(upload.files.len());
    let received = receive_all(app, &upload, parts, &mut stored).await;
    let mut keys: Vec<_> = stored.iter().map(|file| file.blob_key.clone()).collect();
    let thumbnail_key = match received {
        Ok(thumbnail_key) => thumbnail_key,
        Err(failed) => {
            app.blobs.discard(keys).await;
            return Err(failed);
        }
    };
    keys.extend(thumbnail_key.clone());
    let rendered = RenderedFrame {
        lease,
        job: upload.job_id,
        frame,
        generation: upload.generation,
        render_ms: upload.render_ms,
        peak_memory_bytes: upload.peak_memory_bytes,
        files: stored,
        thumbnail_key,
    };
    let delivered = show_and_record(app, rendered).await;
    if !was_recorded(&delivered) {
        app.blobs.discard(keys).await;
    }
    let Delivered { outcome, first_after } = delivered?;
    if outcome == UploadOutcome::Recorded {
        app.measures.recorded(Duration::from_millis(upload.render_ms), first_after);
    }
    tracing::info!(job = %upload.job_id, %frame, %lease, render_ms = upload.render_ms, ?outcome, "frame delivered");
    Ok(outcome)
}

/// Shows a frame in its job's folder and records it: a frame that is done is always there. If it is not to be recorded after
/// all, what was there before is shown again, be it another frame's: those of a few scenes have names in common.
async fn show_and_record(app: &App, rendered: RenderedFrame) -> Result<Delivered, Failed> {
    let RenderedFrame { lease, job, frame, generation, .. } = rendered;
    let names: Vec<_> = rendered.files.iter().map(|file| file.name.clone()).collect();
    let _turn = app.blobs.turn(job, frame, &names).await;
    if let Some(outcome) = app.store.foresee(lease, job, frame, generation).await? {
        return Ok(outcome.into());
    }
    let folder = app.blobs.folder_of(job, app.store.job_label(job).await?.name.as_deref());
    let outputs = rendered.files.iter().map(|file| (file.name.clone(), file.blob_key.clone())).collect();
    app.blobs.show(folder.clone(), outputs).await?;
    let delivered = app.store.record(rendered).await;
    if !was_recorded(&delivered) {
        app.blobs.hide(folder.clone(), names.clone()).await?;
        app.blobs.show(folder, app.store.files_named(job, names.clone()).await?).await?;
    }
    Ok(delivered?)
}

fn was_recorded<E>(delivered: &Result<Delivered, E>) -> bool {
    delivered.as_ref().is_ok_and(|delivered| delivered.outcome == UploadOutcome::Recorded)
}

async fn read_meta(parts: &mut Parcel) -> Result<FrameUpload, Failed> {
    let part = parts.next().await?;
    let part = part
        .filter(|part| part.name() == Some(UPLOAD_META_PART))
        .ok_or_else(|| Failed::invalid(format!("the first part must be {UPLOAD_META_PART:?}")))?;
    let bytes = part.whole(MAX_META_BYTES).await?.ok_or_else(|| {
        let text = format!("the part {UPLOAD_META_PART:?} has more than {MAX_META_BYTES} bytes");
        Failed::new(ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, text)
    })?;
    let upload: FrameUpload = serde_json::from_slice(&bytes).map_err(|error| Failed::invalid(error.to_string()))?;
    if upload.files.is_empty() || upload.files.len() > MAX_FILES {
        return Err(Failed::invalid(format!("a frame has from 1 to {MAX_FILES} files, not {}", upload.files.len())));
    }
    let names: HashSet<_> = upload.files.iter().map(|file| file.name.as_str().to_lowercase()).collect();
    if names.len() < upload.files.len() {
        return Err(Failed::invalid("two files have the same name, but for capitals and small letters".to_owned()));
    }
    if let Some(thumbnail) = upload.thumbnail.filter(|thumbnail| thumbnail.size_bytes > MAX_THUMBNAIL_BYTES) {
        let text = format!("a thumbnail has at most {MAX_THUMBNAIL_BYTES} bytes, not {}", thumbnail.size_bytes);
        return Err(Failed::invalid(text));
    }
    if upload.render_ms > MAX_RENDER_MS {
        return Err(Failed::invalid(format!("renderMs is at most {MAX_RENDER_MS}, not {}", upload.render_ms)));
    }
    Ok(upload)
}

/// Stores the files one after the other, and the thumbnail, whose key is returned. What is stored by the time of an error is
/// in `stored`, for the caller to discard.
async fn receive_all(
    app: &App,
    upload: &FrameUpload,
    parts: &mut Parcel,
    stored: &mut Vec<StoredFile>,
) -> Result<Option<String>, Failed> {
    for expected in &upload.files {
        let part = parts.next().await?.ok_or_else(|| {
            Failed::invalid(format!("{} files were announced and {} came", upload.files.len(), stored.len()))
        })?;
        stored.push(receive_file(app, upload, expected, part).await?);
    }
    let thumbnail = match upload.thumbnail {
        Some(expected) => Some(receive_thumbnail(expected, parts).await?),
        None => None,
    };
    if parts.next().await?.is_some() {
        return Err(Failed::invalid(format!("more files came than the {} that were announced", stored.len())));
    }
    match thumbnail {
        Some(picture) => Ok(Some(app.blobs.keep_thumbnail(upload.job_id, picture).await?)),
        None => Ok(None),
    }
}

async fn receive_thumbnail(expected: BlobRef, parts: &mut Parcel) -> Result<Bytes, Failed> {
    let part = parts.next().await?;
    let mut part = part.ok_or_else(|| Failed::invalid("a thumbnail was announced and did not come".to_owned()))?;
    let mut picture = Vec::new();
    while let Some(piece) = part.piece().await? {
        picture.extend_from_slice(&piece);
        if picture.len() as u64 > expected.size_bytes {
            break;
        }
    }
    if picture.len() as u64 != expected.size_bytes || Sha256Digest::of(&picture) != expected.sha256 {
        let text = "the thumbnail did not arrive as it was sent".to_owned();
        return Err(Failed::new(ProblemKind::DigestMismatch, StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    Ok(picture.into())
}

async fn receive_file(
    app: &App,
    upload: &FrameUpload,
    expected: &OutputFile,
    mut part: Part<'_>,
) -> Result<StoredFile, Failed> {
    let mut file = app.blobs.begin_frame_file(upload.job_id, expected.clone()).await?;
    while let Some(piece) = part.piece().await? {
        file.write(piece).await?;
    }
    Ok(file.finish().await?)
}
