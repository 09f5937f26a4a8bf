//! `GET /api/v1/events`: what has changed, as it changes, as server-sent events (WHATWG HTML, 9.2). A watcher that comes back
//! with the number of the last event that it saw misses none of those that are still kept.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use futures_util::{Stream, stream};
use haywain_shared::job::Event;
use haywain_shared::problem::Problem;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::access::Caller;
use crate::api::App;
use crate::api::problem::{Failed, Query};
use crate::store::{Sight, Store};

/// The header by which a browser says which event it saw last.
const LAST_EVENT_ID: &str = "last-event-id";
/// Events read at once.
const PAGE: u32 = 100;
/// How often a line without meaning is sent, so that nothing between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Start {
    /// After the event with this number; from now on unless it is given, or a Last-Event-ID header.
    after: Option<u64>,
}

/// What has changed, as server-sent events: each has its number as id, and an Event as data
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Start), responses(
    (status = 200, description = "A stream of events", body = Event, content_type = "text/event-stream"),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn stream(
    State(app): State<App>,
    caller: Caller,
    Query(start): Query<Start>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>> + use<>>, Failed> {
    let seen = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()?.parse().ok());
    let after = match seen.or(start.after) {
        Some(after) => after,
        None => app.store.latest_event().await?,
    };
    let watcher = Watcher {
        news: app.store.events_made(),
        store: app.store,
        stop: app.stop,
        sight: caller.sight(),
        after,
        read: VecDeque::new(),
    };
    let events = stream::unfold(watcher, |mut watcher| async {
        let event = watcher.next().await?;
        let sent = Sent::default().id(event.id.to_string()).json_data(&event).unwrap_or_default();
        Some((Ok(sent), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Somebody who watches.
struct Watcher {
    store: Arc<dyn Store>,
    news: watch::Receiver<()>,
    stop: CancellationToken,
    /// Whose events it may see.
    sight: Sight,
    /// The last event that was looked at, in sight or not.
    after: u64,
    /// Read, and not sent yet.
    read: VecDeque<Event>,
}

impl Watcher {
    /// The next event; `None` when the orchestrator stops, or can't read them.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some(event);
            }
            self.news.borrow_and_update();
            let heard = self.store.events(self.after, PAGE, self.sight).await;
            let heard = heard.inspect_err(|error| tracing::error!(%error, "reading events")).ok()?;
            self.after = heard.through;
            self.read = heard.events.into();
            if !self.read.is_empty() {
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.news.changed() => changed.ok()?,
            }
        }
    }
}
