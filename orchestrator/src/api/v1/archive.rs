//! All frames of a job as one zip, made while it is sent: nothing is held in memory but what is on its way. Pictures are
//! stored as they are, as they would not get smaller.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufWriter, Write};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;
use haywain_shared::ids::JobId;
use haywain_shared::path::RelativePath;
use haywain_shared::problem::Problem;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use utoipa::IntoParams;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::api::App;
use crate::api::problem::{Failed, Path, Query};
use crate::store::KeptFrame;

/// Where a client goes on that wants what is recorded after this archive: give it as `since`.
const CURSOR: HeaderName = HeaderName::from_static("haywain-cursor");
/// How much is sent at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that may wait for a slow client.
const PIECES_AHEAD: usize = 4;
/// Frames that are looked up at once.
const FRAMES_AT_ONCE: u32 = 100;

/// Which frames are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ArchiveQuery {
    /// Only those that were recorded after this cursor; all of them unless it is given.
    since: Option<u64>,
}

/// All done frames of a job in one zip
///
/// It holds what is recorded when it is asked for. The header `Haywain-Cursor` tells where the next one is to begin.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/frames.zip", tag = "frames",
    params(("job" = JobId, Path, description = "The job"), ArchiveQuery), responses(
    (status = 200, description = "The archive", content_type = "application/zip",
        headers(("Haywain-Cursor" = u64, description = "What comes after this archive was recorded after this cursor"))),
    (status = 400, description = "The id or a parameter is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn archive(
    State(app): State<App>,
    Path(job): Path<JobId>,
    Query(query): Query<ArchiveQuery>,
) -> Result<Response, Failed> {
    let label = app.store.job_label(job).await?;
    let folder = app.blobs.folder_of(job, label.name.as_deref());
    let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (pieces, sent) = mpsc::channel(PIECES_AHEAD);
    let (tasks, runtime) = (app.tasks.clone(), Handle::current());
    let since = query.since.unwrap_or(0);
    let packing = Packing { app, job, since, until: label.recorded, runtime };
    tasks.spawn_blocking(move || {
        if let Err(error) = packing.pack(Pieces { to: pieces.clone() }) {
            tracing::warn!(%job, %error, "an archive was not sent to its end");
            // An error says that the client is gone.
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let body = Body::from_stream(futures_util::stream::unfold(sent, async |mut sent| {
        let piece = sent.recv().await?;
        Some((piece, sent))
    }));
    let named = format!("attachment; filename=\"{job}.zip\"; filename*=UTF-8''{}.zip", percent(&folder));
    let mut response = ([(CONTENT_TYPE, "application/zip")], body).into_response();
    response.headers_mut().insert(CURSOR, label.recorded.max(since).into());
    if let Ok(named) = HeaderValue::try_from(named) {
        response.headers_mut().insert(CONTENT_DISPOSITION, named);
    }
    Ok(response)
}

/// A name as `filename*` has it (RFC 8187).
fn percent(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What goes into an archive: the frames of a job that were recorded after `since`, up to `until`.
struct Packing {
    app: App,
    job: JobId,
    since: u64,
    until: u64,
    /// Where what is read is waited for: this runs on a thread of its own.
    runtime: Handle,
}

type Archive = ZipWriter<StreamWriter<BufWriter<Pieces>>>;

impl Packing {
    fn pack(&self, to: Pieces) -> io::Result<()> {
        let mut archive = ZipWriter::new_stream(BufWriter::with_capacity(PIECE_BYTES, to));
        let mut seen = HashSet::new();
        let mut since = self.since;
        while since < self.until {
            let page = self.app.store.frames(self.job, since, FRAMES_AT_ONCE);
            let page = self.runtime.block_on(page).map_err(io::Error::other)?;
            let Some(last) = page.last() else { break };
            since = last.report.place;
            for kept in page.iter().filter(|kept| kept.report.place <= self.until) {
                self.add(&mut archive, kept, &mut seen)?;
            }
        }
        archive.finish()?.into_inner().flush()
    }

    fn add(&self, archive: &mut Archive, kept: &KeptFrame, seen: &mut HashSet<u64>) -> io::Result<()> {
        for (file, (name, key)) in kept.report.files.iter().zip(kept.outputs()) {
            let large = file.size_bytes >= u64::from(u32::MAX);
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(dos_time(kept.report.recorded_at))
                .large_file(large);
            archive.start_file(unlike_others(&name, kept, seen), options)?;
            let read = self.app.blobs.read_output(&key, 0..file.size_bytes);
            let mut bytes = self.runtime.block_on(read).map_err(io::Error::other)?;
            while let Some(piece) = self.runtime.block_on(bytes.try_next()).map_err(io::Error::other)? {
                if self.app.stop.is_cancelled() {
                    return Err(io::Error::other("the orchestrator stops"));
                }
                archive.write_all(&piece)?;
            }
        }
        Ok(())
    }
}

/// A file's name in the archive: its own, unless another frame has a file of that name.
fn unlike_others(name: &RelativePath, kept: &KeptFrame, seen: &mut HashSet<u64>) -> String {
    let mut hasher = DefaultHasher::new();
    name.as_str().to_lowercase().hash(&mut hasher);
    if seen.insert(hasher.finish()) { name.to_string() } else { name.marked(&format!("frame{}", kept.report.frame)) }
}

/// The time as zip has it: local times without a zone, from 1980 on. It is given in UTC.
fn dos_time(at: Timestamp) -> DateTime {
    let at = Offset::UTC.to_datetime(at);
    let part = |number: i8| u8::try_from(number).unwrap_or(0);
    DateTime::from_date_and_time(
        u16::try_from(at.year()).unwrap_or(0),
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    )
    .unwrap_or_default()
}

/// What is written, on its way to the client.
struct Pieces {
    to: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.to
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
