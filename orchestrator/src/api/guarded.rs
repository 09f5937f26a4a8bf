//! A body that passes the gate, in or out: it is counted, ends when its caller is shut out, and keeps the call's place for as long as
//! anybody has it. So what a handler's task goes on to do with a request whose answer was given up is bounded like the request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use metrics::Counter;

use crate::access::limits::Place;

/// What is said of somebody who is shut out.
pub(super) const SHUT_OUT: &str = "the token was revoked, or has expired";

/// Comes true when somebody is to be shut out.
pub(super) type ShutOut = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A guarded body.
pub(super) struct Guarded {
    body: Body,
    counter: Counter,
    /// Gone when it has come true.
    shut_out: Option<ShutOut>,
    _place: Option<Arc<Place>>,
}

impl Guarded {
    /// A body of somebody who may be `shut_out`.
    pub(super) fn new(body: Body, counter: Counter, shut_out: ShutOut, place: Option<Arc<Place>>) -> Self {
        Self { body, counter, shut_out: Some(shut_out), _place: place }
    }

    fn is_shut_out(&mut self, cx: &mut Context<'_>) -> bool {
        if self.shut_out.as_mut().is_some_and(|shut_out| shut_out.as_mut().poll(cx).is_ready()) {
            self.shut_out = None;
        }
        self.shut_out.is_none()
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_shut_out(cx) {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(SHUT_OUT)))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.counter.increment(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
