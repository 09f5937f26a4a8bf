//! How slow a body may come: never silent for long, and on the whole no slower than a poor line. One that comes byte by byte is
//! broken off, so that nobody holds a place for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// How long nothing may come.
const SILENCE: Duration = Duration::from_mins(1);
/// What every body has, however slow.
const GRACE: Duration = Duration::from_secs(30);
/// The slowest, on the whole, in bytes a second.
const SLOWEST: u64 = 1024;

/// Until when the next piece must come, of a body that began at `start` and of which so much is here.
fn deadline(start: Instant, now: Instant, received_bytes: u64) -> Instant {
    let on_the_whole = start + GRACE + Duration::from_secs(received_bytes / SLOWEST);
    on_the_whole.min(now + SILENCE)
}

/// A body whose pace is kept up.
pub(super) struct Paced {
    body: Body,
    start: Instant,
    received_bytes: u64,
    late: Pin<Box<Sleep>>,
}

impl Paced {
    /// A body whose first byte is awaited from now on.
    pub(super) fn new(body: Body) -> Self {
        let start = Instant::now();
        let late = Box::pin(tokio::time::sleep_until(deadline(start, start, 0)));
        Self { body, start, received_bytes: 0, late }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let come = Pin::new(&mut self.body).poll_frame(cx);
        match &come {
            Poll::Ready(Some(Ok(frame))) => {
                self.received_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                let next = deadline(self.start, Instant::now(), self.received_bytes);
                self.late.as_mut().reset(next);
                come
            }
            Poll::Ready(_) => come,
            Poll::Pending => match self.late.as_mut().poll(cx) {
                Poll::Ready(()) => {
                    Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("it comes too slowly")))))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[test]
    fn a_body_is_never_silent_for_long_and_on_the_whole_not_too_slow() {
        let start = Instant::now();
        let cases = [
            (0, 0, 30),
            // A byte at a time gains nothing.
            (29, 29, 30),
            (29, 2048, 32),
            // A large one that has come fast may not rest on it.
            (10, 1 << 30, 70),
            // A slow line of 2 KiB/s has all the time that it needs.
            (100_000, 200_000 * 1024, 100_060),
        ];
        for (now_s, received, expected_s) in cases {
            let found = deadline(start, start + Duration::from_secs(now_s), received) - start;
            assert_eq!(found, Duration::from_secs(expected_s), "{received} bytes after {now_s} s");
        }
    }

    /// How long a body lasts whose pieces of this size come each second.
    async fn lasts(piece_bytes: usize, pieces: usize) -> (u64, bool) {
        let start = Instant::now();
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; piece_bytes]))
        });
        let paced = Body::new(Paced::new(Body::from_stream(pieces)));
        let whole = axum::body::to_bytes(paced, usize::MAX).await.is_ok();
        (start.elapsed().as_secs(), whole)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_byte_by_byte_is_broken_off() {
        assert_eq!(lasts(1, 100_000).await, (30, false));
        assert_eq!(lasts(2048, 1000).await, (1000, true));
    }
}
