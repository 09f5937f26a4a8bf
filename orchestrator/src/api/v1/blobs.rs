//! Blobs: the files of scenes, called by their digests. A client that was cut off asks how much is held, and sends the rest.

use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::header::CONTENT_RANGE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::problem::{Problem, ProblemKind};

use crate::access::Caller;
use crate::api::App;
use crate::api::problem::{Failed, Path};
use crate::api::receiving::{self, Cut, MAX_FILE_BYTES};
use crate::api::served::{self, NoBytes, Stored, Wanted};
use crate::blobs::{BlobError, Staged};
use crate::intake::{self, Arrival};
use crate::store::{BlobStanding, Sight, Thing};

/// How much of a blob is held that was cut off. It is where its sender goes on.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Whether a blob is here, and if not, how much of it is
#[utoipa::path(head, path = "/api/v1/blobs/{blob}", tag = "scenes",
    params(("blob" = Sha256Digest, Path, description = "The SHA-256 digest of its content")), responses(
    (status = 200, description = "It is here", headers(("Content-Length" = u64, description = "Its size in bytes"))),
    (status = 400, description = "That is no digest"),
    (status = 404, description = "It is not here",
        headers(("Upload-Offset" = u64, description = "How many of its bytes are held: the place to go on from"))),
))]
pub(super) async fn head(
    State(app): State<App>,
    caller: Caller,
    Path(blob): Path<Sha256Digest>,
) -> Result<Response, Failed> {
    let sight = caller.sight();
    if let BlobStanding::Stored { size_bytes } = app.store.blob(blob).await?
        && app.store.sees(sight, Thing::Blob(blob)).await?
    {
        app.store.touch_blob(blob).await?;
        return Ok(served::answer(&stored(blob, size_bytes), &Wanted::Whole, None::<NoBytes>));
    }
    let held_bytes = app.blobs.staging().held(berth_of(blob, sight)).await;
    Ok(at_offset(StatusCode::NOT_FOUND.into_response(), held_bytes))
}

/// A blob's bytes, or some of them
#[utoipa::path(get, path = "/api/v1/blobs/{blob}", tag = "scenes",
    params(("blob" = Sha256Digest, Path, description = "The SHA-256 digest of its content"),
        ("Range" = Option<String>, Header, description = "One range of bytes (RFC 9110)")), responses(
    (status = 200, description = "The bytes", body = String, content_type = "application/octet-stream", headers(
        ("ETag" = String, description = "The digest"),
        ("Repr-Digest" = String, description = "The digest of the whole blob (RFC 9530)"))),
    (status = 206, description = "The bytes that were asked for", body = String, content_type = "application/octet-stream"),
    (status = 304, description = "The client has it"),
    (status = 400, description = "That is no digest", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "It is not here", body = Problem, content_type = "application/problem+json"),
    (status = 416, description = "It has no such bytes"),
))]
pub(super) async fn get(
    State(app): State<App>,
    Path(blob): Path<Sha256Digest>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    serve(&app, blob, &headers).await
}

/// A blob, as it is asked for.
pub(in crate::api) async fn serve(app: &App, blob: Sha256Digest, headers: &HeaderMap) -> Result<Response, Failed> {
    let size_bytes = app.blobs.size_of(blob).await?;
    let stored = stored(blob, size_bytes);
    let wanted = served::wanted(headers, &stored);
    let range = match &wanted {
        Wanted::Whole => Some(0..size_bytes),
        Wanted::Part(range) => Some(range.clone()),
        Wanted::Nothing | Wanted::Impossible => None,
    };
    let pieces = match range {
        Some(range) => Some(app.blobs.read(blob, range).await?),
        None => None,
    };
    Ok(served::answer(&stored, &wanted, pieces))
}

const fn stored(blob: Sha256Digest, size_bytes: u64) -> Stored {
    Stored { sha256: blob, size_bytes, content_type: "application/octet-stream" }
}

/// Sends a blob, or the rest of one
#[utoipa::path(put, path = "/api/v1/blobs/{blob}", tag = "scenes",
    params(("blob" = Sha256Digest, Path, description = "The SHA-256 digest of its content"),
        ("Content-Range" = Option<String>, Header,
            description = "`bytes FIRST-LAST/TOTAL`: the body is what comes after the first FIRST bytes, to the end")),
    request_body(content = String, content_type = "application/octet-stream"), responses(
    (status = 200, description = "It was here already"),
    (status = 201, description = "It is here now, whole and durable"),
    (status = 400, description = "The digest or the Content-Range is wrong, or the body broke off", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "That is not how much of it is held", body = Problem,
        content_type = "application/problem+json",
        headers(("Upload-Offset" = u64, description = "How many of its bytes are held: the place to go on from"))),
    (status = 413, description = "It is too large, or longer than announced", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "What came has another digest: nothing of it is kept", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "It can't be taken now; try again", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(blob): Path<Sha256Digest>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    // In a task of its own: a client that goes away ends the body, not the work, and what has come is kept.
    let tasks = app.tasks.clone();
    let work = async move {
        let mut pieces = body.into_data_stream();
        let answer = take_in(&app, caller.sight(), blob, &headers, &mut pieces).await;
        receiving::drain(&headers, &mut pieces).await;
        answer
    };
    tasks.spawn(work).await.map_err(Failed::panicked)?
}

async fn take_in(
    app: &App,
    sight: Sight,
    blob: Sha256Digest,
    headers: &HeaderMap,
    pieces: &mut BodyDataStream,
) -> Result<Response, Failed> {
    receiving::check_length(headers)?;
    let part = Part::of(headers).map_err(Failed::invalid)?;
    // Who has not sent it before sends all of it, also when it is here: else its digest would be as good as its content.
    if app.store.sees(sight, Thing::Blob(blob)).await? {
        match app.store.blob(blob).await? {
            BlobStanding::Missing => {}
            BlobStanding::Going => return Err(intake::IntakeError::Going(blob).into()),
            BlobStanding::Stored { .. } => {
                app.store.touch_blob(blob).await?;
                return Ok(StatusCode::OK.into_response());
            }
        }
    }
    let berth = berth_of(blob, sight);
    let staging = app.blobs.staging();
    let mut staged = match part {
        Part::Whole { total_bytes } => staging.begin(berth, total_bytes).await?,
        Part::Rest { first, .. } => match staging.resume(berth, first).await? {
            Ok(staged) => staged,
            Err(other) => {
                let text = format!("{} bytes of the blob are held, not {first}: go on from there", other.held_bytes);
                let failed = Failed::new(ProblemKind::OffsetMismatch, StatusCode::CONFLICT, text);
                return Ok(at_offset(failed.into_response(), other.held_bytes));
            }
        },
    };
    let total_bytes = part.total_bytes();
    let received = receiving::receive(app, pieces, &mut staged, total_bytes.unwrap_or(MAX_FILE_BYTES)).await;
    if let Err(cut) = received {
        give_up(staged, &cut).await;
        return Err(cut.into());
    }
    if let Some(total_bytes) = total_bytes.filter(|total| *total != staged.size_bytes()) {
        let text = format!("the body ended after {} of {total_bytes} bytes; they are kept", staged.size_bytes());
        staged.keep().await;
        return Err(Failed::invalid(text));
    }
    let whole = staged.finish().await?;
    if whole.digest() != blob {
        let text =
            format!("what came has the digest {}, not {blob}: nothing of it is kept, send it again", whole.digest());
        whole.discard();
        return Err(Failed::new(ProblemKind::DigestMismatch, StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let size_bytes = whole.size_bytes();
    let arrival = intake::keep(&*app.store, &app.blobs, whole, sight).await?;
    tracing::info!(%blob, size_bytes, ?arrival, "blob received");
    Ok(match arrival {
        Arrival::New => StatusCode::CREATED.into_response(),
        Arrival::Known => StatusCode::OK.into_response(),
    })
}

/// What an upload is called while it comes in. Only whoever has begun it can go on with it: the last byte of a file that
/// another has sent would else be as good as all of it.
fn berth_of(blob: Sha256Digest, sight: Sight) -> Sha256Digest {
    match sight {
        Sight::Token(token) => Sha256Digest::of(&[&token.as_bytes()[..], blob.as_bytes()].concat()),
        Sight::All | Sight::Nobodys | Sight::Agent(_) => blob,
    }
}

/// What came is kept for whoever goes on, unless it can't be any of the blob.
async fn give_up(staged: Staged, cut: &Cut) {
    match cut {
        Cut::TooLong => staged.discard().await,
        Cut::Broken(_) | Cut::Stopped | Cut::Unwritten(_) => staged.keep().await,
    }
}

/// Which part of a blob a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole { total_bytes: Option<u64> },
    Rest { first: u64, total_bytes: u64 },
}

impl Part {
    /// What `Content-Range` and `Content-Length` say.
    fn of(headers: &HeaderMap) -> Result<Self, String> {
        let length = receiving::length(headers);
        let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(Self::Whole { total_bytes: length }) };
        let text = value.to_str().unwrap_or_default();
        let (first, last, total_bytes) = content_range(text)
            .ok_or_else(|| format!("Content-Range: {text:?} is not of the form bytes FIRST-LAST/TOTAL"))?;
        if last < first || last.checked_add(1) != Some(total_bytes) {
            return Err(format!("Content-Range: {text:?} does not go to the end of the blob"));
        }
        if length.is_some_and(|length| length != total_bytes - first) {
            return Err(format!("Content-Range: {text:?} has another length than the body"));
        }
        Ok(Self::Rest { first, total_bytes })
    }

    const fn total_bytes(self) -> Option<u64> {
        match self {
            Self::Whole { total_bytes } => total_bytes,
            Self::Rest { total_bytes, .. } => Some(total_bytes),
        }
    }
}

fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    Some((number(first)?, number(last)?, number(total)?))
}

fn at_offset(mut response: Response, held_bytes: u64) -> Response {
    response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(held_bytes));
    response
}

impl From<BlobError> for Cut {
    fn from(error: BlobError) -> Self {
        Self::Unwritten(error)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_LENGTH;

    use super::*;

    #[test]
    fn the_body_is_the_whole_or_the_rest() {
        let of = |range: Option<&str>, length: Option<&str>| {
            let mut headers = HeaderMap::new();
            let pairs = [(CONTENT_RANGE, range), (CONTENT_LENGTH, length)];
            for (name, value) in pairs.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            Part::of(&headers)
        };
        assert_eq!(of(None, None), Ok(Part::Whole { total_bytes: None }));
        assert_eq!(of(None, Some("7")), Ok(Part::Whole { total_bytes: Some(7) }));
        let rest = Part::Rest { first: 3, total_bytes: 10 };
        assert_eq!((of(Some("bytes 3-9/10"), Some("7")), of(Some("bytes 3-9/10"), None)), (Ok(rest), Ok(rest)));
        assert_eq!(of(Some("bytes 0-0/1"), Some("1")), Ok(Part::Rest { first: 0, total_bytes: 1 }));
        for range in [
            "bytes 3-8/10",
            "bytes 9-3/10",
            "bytes 3-9/*",
            "bytes */10",
            "bytes=3-9/10",
            "3-9/10",
            "bytes +3-9/10",
            "",
            "bytes 3-18446744073709551615/0",
            "bytes 99999999999999999999-9/10",
            "bytes 2-9/10",
        ] {
            assert!(of(Some(range), Some("7")).is_err(), "{range}");
        }
    }
}
