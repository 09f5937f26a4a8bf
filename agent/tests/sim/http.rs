//! Between the agent's calls and axum's requests: what hyper and reqwest do otherwise.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as AxumBody;
use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};
use axum::http::{Method, Request, Response};
use bytes::Bytes;
use futures_util::stream;
use haywain_shared::protocol::UPLOAD_META_PART;
use haywain_shared::transport::{Body, Call, first_byte_of_range};
use tokio_util::sync::CancellationToken;

use crate::time::Calendar;

const BOUNDARY: &str = "haywain-simulation";

/// What becomes of an upload on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    /// The connection breaks in its middle.
    Cut,
    /// A byte of the last file is another one.
    Flipped,
}

/// A request as it leaves: its bytes are read once, as they are then.
#[derive(Clone)]
pub(crate) struct Outgoing {
    method: Method,
    path: String,
    content_type: Option<String>,
    first_byte: Option<u64>,
    /// What is sent, in pieces with a pause before each.
    pieces: Vec<Bytes>,
}

impl Outgoing {
    pub(crate) fn read(call: Call) -> Result<Self, String> {
        let json = "application/json".to_owned();
        let first_byte = match call.body {
            Body::GetFrom(first_byte) => Some(first_byte),
            Body::Get | Body::Json(_) | Body::Files { .. } => None,
        };
        let (method, content_type, pieces) = match call.body {
            Body::Get | Body::GetFrom(_) => (Method::GET, None, Vec::new()),
            Body::Json(json_text) => (Method::POST, Some(json), vec![json_text.into()]),
            Body::Files { meta, files } => {
                (Method::PUT, Some(format!("multipart/form-data; boundary={BOUNDARY}")), form(&meta, files)?)
            }
        };
        Ok(Self { method, path: call.path, content_type, first_byte, pieces })
    }

    /// As axum takes it. Its pieces come each `pause_ms` after the one before, as long as both sides live.
    pub(crate) fn into_request(
        self,
        calendar: Arc<Calendar>,
        pause_ms: u64,
        damage: Damage,
        (sender, receiver): (CancellationToken, CancellationToken),
    ) -> Request<AxumBody> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(content_type) = self.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(first_byte) = self.first_byte {
            request = request.header(RANGE, format!("bytes={first_byte}-"));
        }
        let mut pieces: Vec<Result<Bytes, String>> = self.pieces.into_iter().map(Ok).collect();
        let last = pieces.len().saturating_sub(2);
        match damage {
            Damage::None => {}
            Damage::Cut => {
                pieces.truncate(last);
                pieces.push(Err("the connection broke".to_owned()));
            }
            Damage::Flipped => {
                if let Some(Ok(piece)) = pieces.get_mut(last) {
                    let mut bytes = piece.to_vec();
                    *bytes.last_mut().unwrap() ^= 1;
                    *piece = bytes.into();
                }
            }
        }
        let slowly = pieces.len() > 1;
        let body = stream::unfold(pieces.into_iter(), move |mut pieces| {
            let (calendar, sender, receiver) = (Arc::clone(&calendar), sender.clone(), receiver.clone());
            async move {
                let piece = pieces.next()?;
                if slowly {
                    calendar.pass(pause_ms).await;
                    if receiver.is_cancelled() {
                        return std::future::pending().await;
                    }
                    if sender.is_cancelled() {
                        return Some((Err("the sender is gone".to_owned()), Vec::new().into_iter()));
                    }
                }
                Some((piece, pieces))
            }
        });
        request.body(AxumBody::from_stream(body)).unwrap()
    }
}

fn form(meta: &str, files: Vec<PathBuf>) -> Result<Vec<Bytes>, String> {
    let part = |name: &str, more: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n")
    };
    let mut pieces: Vec<Bytes> = vec![format!("{}{meta}\r\n", part(UPLOAD_META_PART, "")).into()];
    let mut between = "";
    for file in files {
        let content = std::fs::read(&file).map_err(|error| format!("reading {}: {error}", file.display()))?;
        let half = content.len() / 2;
        let head = part("file", "; filename=\"frame.png\"\r\nContent-Type: image/png");
        pieces.push(format!("{between}{head}").into());
        between = "\r\n";
        pieces.push(Bytes::copy_from_slice(&content[..half]));
        pieces.push(Bytes::copy_from_slice(&content[half..]));
    }
    pieces.push(format!("\r\n--{BOUNDARY}--\r\n").into());
    Ok(pieces)
}

/// An answer with all of its body.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) first_byte: Option<u64>,
    pub(crate) body: Bytes,
    /// When the orchestrator gave it.
    pub(crate) given_ms: u64,
}

impl Answer {
    pub(crate) async fn read(response: Response<AxumBody>, calendar: &Calendar) -> Self {
        // Before the body: what it says was true then.
        let given_ms = calendar.now_ms();
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER);
        let retry_after = header.and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let range = response.headers().get(CONTENT_RANGE);
        let first_byte = range.and_then(|value| first_byte_of_range(value.to_str().ok()?));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Self { status, retry_after, first_byte, body, given_ms }
    }
}
