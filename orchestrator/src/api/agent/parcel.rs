//! The body of a frame, in its parts. What has come of it and was not handed out yet is bounded, whatever its sender says of a
//! part: `multer` itself keeps all that comes until a part's head, or the first boundary, has an end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest as _, Request};
use axum::http::StatusCode;
use haywain_shared::problem::ProblemKind;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::MAX_FRAME_BYTES;
use crate::api::problem::Failed;
use crate::api::receiving;

/// How much may come between two things that are handed out: room for the head of a part, and for a piece of the network's.
const MAX_UNSEEN_BYTES: usize = 1024 * 1024;

/// A body in parts.
pub(super) struct Parcel {
    parts: Multipart,
    line: Line,
}

impl Parcel {
    /// Opens the body of a request.
    pub(super) async fn open(request: Request) -> Result<Self, Failed> {
        let (head, body) = request.into_parts();
        let line = Line::new(body);
        let parts = Multipart::from_request(Request::from_parts(head, Body::new(line.clone())), &()).await?;
        Ok(Self { parts, line })
    }

    /// The next part. What is left of the one before is passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'_>>, Failed> {
        let Self { parts, line } = self;
        let field = parts.next_field().await.map_err(|error| line.broken(&error))?;
        line.handed_out();
        Ok(field.map(|field| Part { field, line }))
    }

    /// Reads what is left and throws it away: an answer in mid-upload would be lost on a client that is still sending.
    pub(super) async fn end(self) {
        let Self { parts, line } = self;
        drop(parts);
        let body = std::mem::take(&mut line.lock().body);
        receiving::pass_over(&mut body.into_data_stream(), MAX_FRAME_BYTES).await;
    }
}

/// One part of a body.
pub(super) struct Part<'a> {
    field: Field<'a>,
    line: &'a Line,
}

impl Part<'_> {
    /// What it is called.
    pub(super) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// The next piece of it.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failed> {
        let piece = self.field.chunk().await.map_err(|error| self.line.broken(&error))?;
        self.line.handed_out();
        Ok(piece)
    }

    /// All of it, if that is not more than `limit_bytes`.
    pub(super) async fn whole(mut self, limit_bytes: usize) -> Result<Option<Vec<u8>>, Failed> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit_bytes {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole))
    }
}

/// A body that brings something only when what it brought before was no whole thing to hand out.
#[derive(Clone)]
struct Line(Arc<Mutex<State>>);

struct State {
    body: Body,
    unseen_bytes: usize,
    /// Whether whoever reads is to look at what it has first.
    has_news: bool,
    /// Whether it ended before its end: the line was cut, or nothing came for too long.
    is_cut: bool,
}

impl Line {
    fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(State { body, unseen_bytes: 0, has_news: false, is_cut: false })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come was of use; there may be more in it.
    fn handed_out(&self) {
        let mut state = self.lock();
        state.unseen_bytes = 0;
        state.has_news = true;
    }

    fn broken(&self, error: &MultipartError) -> Failed {
        let (unseen_bytes, is_cut) = {
            let state = self.lock();
            (state.unseen_bytes, state.is_cut)
        };
        if is_cut {
            // A machine that was asleep in mid-upload hears of it. That says nothing against what it sends.
            let text = format!("the frame did not come whole: {}", error.body_text());
            return Failed::new(ProblemKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, text);
        }
        if unseen_bytes > MAX_UNSEEN_BYTES {
            let text = format!("what stands before a part has more than {MAX_UNSEEN_BYTES} bytes");
            return Failed::new(ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failed::new(ProblemKind::TooLarge, error.status(), error.body_text()),
            _ => Failed::invalid(error.body_text()),
        }
    }
}

impl HttpBody for Line {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.lock();
        if std::mem::take(&mut state.has_news) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.unseen_bytes > MAX_UNSEEN_BYTES {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("a part has no beginning")))));
        }
        let come = Pin::new(&mut state.body).poll_frame(cx);
        match &come {
            Poll::Ready(Some(Ok(frame))) => {
                state.unseen_bytes += frame.data_ref().map_or(0, Bytes::len);
                state.has_news = true;
            }
            Poll::Ready(Some(Err(_))) => state.is_cut = true,
            Poll::Ready(None) | Poll::Pending => {}
        }
        come
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_that_is_cut_says_nothing_against_the_frame() {
        let begun = part(b"abc").slice(..50);
        for ended in [Some(Err(std::io::Error::other("it comes too slowly"))), None] {
            let is_cut = ended.is_some();
            let pieces = [Ok(begun.clone())].into_iter().chain(ended);
            let request = Request::put("/").header("Content-Type", "multipart/form-data; boundary=b");
            let mut parcel =
                Parcel::open(request.body(Body::from_stream(stream::iter(pieces))).unwrap()).await.unwrap();
            let failed = match parcel.next().await {
                Ok(part) => part.unwrap().whole(100).await.err().unwrap(),
                Err(failed) => failed,
            };
            // What says itself that it is whole, and is not, is no frame at all.
            let expected = if is_cut { (503, ProblemKind::Unavailable) } else { (400, ProblemKind::InvalidInput) };
            assert_eq!((failed.0.status, failed.0.kind), expected, "{failed:?}");
        }
    }

    /// A body of these pieces, and how many bytes were taken of it.
    async fn opened(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> (Parcel, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let pieces = pieces.map(move |piece| {
            counted.fetch_add(piece.len(), Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        let request = Request::put("/").header("Content-Type", "multipart/form-data; boundary=b");
        let request = request.body(Body::from_stream(stream::iter(pieces))).unwrap();
        (Parcel::open(request).await.unwrap(), taken)
    }

    fn part(content: &[u8]) -> Bytes {
        [&b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n"[..], content, b"\r\n"].concat().into()
    }

    #[tokio::test]
    async fn what_has_no_end_is_not_kept() {
        let endless = || std::iter::repeat_n(Bytes::from(vec![b'x'; 64 * 1024]), 1000);
        let bound = MAX_UNSEEN_BYTES + 2 * 64 * 1024;
        let head = Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\"");
        // Before the first boundary, and in the head of a part.
        for start in [Bytes::from_static(b"x"), head.clone()] {
            let (mut parcel, taken) = opened(std::iter::once(start).chain(endless())).await;
            let failed = parcel.next().await.err().unwrap();
            assert_eq!((failed.0.status, failed.0.kind), (413, ProblemKind::TooLarge));
            assert!(taken.load(Ordering::Relaxed) <= bound);
            parcel.end().await;
            assert!(taken.load(Ordering::Relaxed) > 1000 * 64 * 1024, "the answer would be lost");
        }
        let (mut parcel, taken) = opened([part(b""), head].into_iter().chain(endless())).await;
        assert_eq!(parcel.next().await.unwrap().unwrap().whole(5).await.unwrap(), Some(Vec::new()));
        assert!(parcel.next().await.is_err() && taken.load(Ordering::Relaxed) <= bound);
    }

    #[tokio::test]
    async fn a_part_is_read_whole_up_to_a_limit() {
        let long = Bytes::from(vec![b'x'; 64 * 1024]);
        let start = Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n");
        let (mut parcel, taken) = opened(std::iter::once(start).chain(std::iter::repeat_n(long, 1000))).await;
        assert_eq!(parcel.next().await.unwrap().unwrap().whole(100_000).await.unwrap(), None);
        assert!(taken.load(Ordering::Relaxed) < 300_000);
    }

    #[tokio::test]
    async fn many_parts_come_one_by_one_however_they_are_cut() {
        let body = [(0..300).map(|_| part(b"abc")).collect::<Vec<_>>().concat(), b"--b--\r\n".to_vec()].concat();
        for size in [1, 7, 1000, 1_000_000] {
            let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
            let (mut parcel, taken) = opened(pieces.into_iter()).await;
            let mut parts = 0;
            while let Some(part) = parcel.next().await.unwrap() {
                assert_eq!((part.name(), part.field.file_name()), (Some("x"), None));
                assert_eq!(part.whole(3).await.unwrap().unwrap(), b"abc");
                parts += 1;
                let ahead = taken.load(Ordering::Relaxed) - parts * 54;
                assert!(ahead <= 2 * size + 200, "{ahead} bytes ahead at {parts} in pieces of {size}");
            }
            assert_eq!(parts, 300);
        }
    }
}
