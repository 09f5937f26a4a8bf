//! Receiving a large file: into a staged file, piece by piece, for as long as it comes.

use axum::body::BodyDataStream;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use haywain_shared::problem::ProblemKind;

use super::App;
use super::body::DRAINED_BYTES;
use super::problem::Failed;
use crate::blobs::{BlobError, Staged};

/// The largest file. It bounds what a broken client can fill the disk with, nothing else.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 40;

/// Why a file did not come whole.
#[derive(Debug)]
pub(super) enum Cut {
    /// More came than there should.
    TooLong,
    /// Its line was cut, or was too slow.
    Broken(String),
    /// The orchestrator is to stop, or somebody else goes on with it.
    Stopped,
    /// It could not be written.
    Unwritten(BlobError),
}

impl From<Cut> for Failed {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::TooLong => Self::new(
                ProblemKind::TooLarge,
                StatusCode::PAYLOAD_TOO_LARGE,
                "more bytes came than were announced, or than a file may have".to_owned(),
            ),
            Cut::Broken(reason) => Self::invalid(format!("the body broke off ({reason}); what came of it is kept")),
            Cut::Stopped => Self::new(
                ProblemKind::Unavailable,
                StatusCode::SERVICE_UNAVAILABLE,
                "the upload was interrupted here; what came of it is kept, go on with it".to_owned(),
            ),
            Cut::Unwritten(error) => error.into(),
        }
    }
}

/// Takes what comes, until the staged file has `limit_bytes`, or the body ends.
pub(super) async fn receive(
    app: &App,
    pieces: &mut BodyDataStream,
    staged: &mut Staged,
    limit_bytes: u64,
) -> Result<(), Cut> {
    let cut = staged.cut();
    loop {
        let piece = tokio::select! {
            () = app.stop.cancelled() => return Err(Cut::Stopped),
            () = cut.cancelled() => return Err(Cut::Stopped),
            piece = pieces.next() => piece,
        };
        match piece {
            Some(Ok(piece)) => {
                if staged.size_bytes() + piece.len() as u64 > limit_bytes {
                    return Err(Cut::TooLong);
                }
                staged.write(piece).await.map_err(Cut::Unwritten)?;
            }
            None => return Ok(()),
            Some(Err(error)) => return Err(Cut::Broken(error.to_string())),
        }
    }
}

/// How many bytes the body has, if the client says.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a file that is too large before it comes.
pub(super) fn check_length(headers: &HeaderMap) -> Result<(), Failed> {
    match length(headers) {
        Some(length) if length > MAX_FILE_BYTES => {
            let text = format!("the file has {length} bytes; {MAX_FILE_BYTES} are the most that are taken");
            Err(Failed::new(ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        _ => Ok(()),
    }
}

/// Reads some of what is left of a body that is not wanted: a client that is still sending when it is answered and cut off
/// may never see the answer. One that waits to be told to go on is not told.
pub(super) async fn drain(headers: &HeaderMap, pieces: &mut BodyDataStream) {
    if headers.contains_key(EXPECT) {
        return;
    }
    pass_over(pieces, DRAINED_BYTES).await;
}

/// Reads what is left of a body, up to about so many bytes, and throws it away.
pub(super) async fn pass_over(pieces: &mut BodyDataStream, limit_bytes: usize) {
    let mut passed = 0;
    while passed < limit_bytes {
        match pieces.next().await {
            Some(Ok(piece)) => passed += piece.len(),
            // Whoever sent it is gone, and needs no answer.
            Some(Err(_)) | None => return,
        }
    }
}
