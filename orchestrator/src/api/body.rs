//! Reading a small body whole, up to a limit.

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;

/// How much of a body that is too large is read and thrown away. A client that is still sending when it is answered and cut
/// off may never see the answer.
pub(super) const DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// The client went away, or broke the rules of HTTP.
    Broken(axum::Error),
}

/// The whole body, if it has at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Unread> {
    let mut pieces = body.into_data_stream();
    let mut read = Vec::new();
    let mut total = 0_usize;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Unread::Broken)?;
        total += piece.len();
        if total <= limit {
            read.extend_from_slice(&piece);
        } else if total > limit + DRAINED_BYTES {
            break;
        }
    }
    if total > limit { Err(Unread::TooLarge) } else { Ok(read.into()) }
}
