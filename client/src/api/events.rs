//! What has changed, as it changes: the orchestrator's server-sent events.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use haywain_shared::client::CallError;
use haywain_shared::ids::JobId;
use reqwest::Method;
use serde::Deserialize;
use sse_stream::{Error, Sse, SseByteStream};

use super::{Api, unreachable};

/// The header that says which event was seen last.
const LAST_EVENT_ID: &str = "last-event-id";

/// That something has happened, and to which job. What it was is the orchestrator's to know: a newer one may have more words
/// for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Its number: later ones have higher ones.
    pub id: u64,
    /// The job.
    pub job_id: Option<JobId>,
}

/// News, as they come.
pub type NewsStream = BoxStream<'static, Result<News, CallError>>;

impl Api {
    /// What happens after the event with the number `seen`, or from now on. The orchestrator says something every few seconds,
    /// so that a line that has died in silence is noticed: it ends with an error, as one that is cut does.
    pub async fn news(&self, seen: Option<u64>) -> Result<NewsStream, CallError> {
        let call = "follow the events";
        let mut request = self.request(&self.http.downloads, Method::GET, "/api/v1/events");
        if let Some(seen) = seen {
            request = request.header(LAST_EVENT_ID, seen);
        }
        let response = self.accepted(call, request).await?;
        let pieces = response.bytes_stream().map_err(move |error| unreachable(call, &error));
        Ok(SseByteStream::new(pieces).filter_map(async move |sent| read(call, sent)).boxed())
    }
}

/// `None` for what carries no news.
fn read(call: &'static str, sent: Result<Sse, Error>) -> Option<Result<News, CallError>> {
    let unreadable = |reason: String| CallError::Unreadable { call, reason };
    match sent {
        Ok(sent) => Some(serde_json::from_str(&sent.data?).map_err(|error| unreadable(error.to_string()))),
        Err(Error::Body(error)) => Some(Err(match error.downcast() {
            Ok(error) => *error,
            Err(error) => unreadable(error.to_string()),
        })),
        Err(error) => Some(Err(unreadable(error.to_string()))),
    }
}
