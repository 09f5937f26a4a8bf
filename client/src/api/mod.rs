//! The line to the orchestrator: HTTP calls of `/api/v1` and `POST /render`, each tried once, with their answers sorted as
//! [`CallError`] has it. It knows no files and prints nothing.

mod about;
mod agents;
mod events;
mod frames;
mod jobs;
mod scenes;

use std::path::Path;
use std::time::Duration;

use haywain_shared::client::CallError;
use haywain_shared::problem::{Problem, ProblemKind};
use haywain_shared::token::Token;
use haywain_shared::transport::{HttpClients, NoLine, retry_after};
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use about::{About, You};
pub use agents::AgentMove;
pub use events::{News, NewsStream};
pub use jobs::JobMove;
pub use scenes::{BlobStanding, Piece, Sent};

/// How long a short call may take, all in all.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// A line to one orchestrator. Clones share it.
#[derive(Debug, Clone)]
pub struct Api {
    http: HttpClients,
    base: String,
    token: Option<Token>,
}

impl Api {
    /// To the orchestrator at `server`. Opens no connection yet.
    pub fn new(server: &Url, token: Option<Token>, ca: Option<&Path>) -> Result<Self, NoLine> {
        let http = HttpClients::new(concat!("haywain/", env!("CARGO_PKG_VERSION")), ca)?;
        let base = server.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http, base, token })
    }

    /// The orchestrator's address, for people.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    fn request(&self, client: &reqwest::Client, method: Method, path: &str) -> RequestBuilder {
        let request = client.request(method, format!("{}{path}", self.base)).header(ACCEPT, "application/json");
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// A short call that answers JSON.
    async fn get<T: DeserializeOwned>(&self, call: &'static str, path: &str) -> Result<T, CallError> {
        let request = self.request(&self.http.calls, Method::GET, path).timeout(CALL_TIMEOUT);
        json(call, self.accepted(call, request).await?).await
    }

    /// A short call with a JSON body.
    async fn post(
        &self,
        call: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Response, CallError> {
        let request = self.request(&self.http.calls, Method::POST, path).timeout(CALL_TIMEOUT).json(body);
        self.accepted(call, request).await
    }

    /// Sends, and sorts what is no success.
    async fn accepted(&self, call: &'static str, request: RequestBuilder) -> Result<Response, CallError> {
        sorted(call, self.send(call, request).await?).await
    }

    async fn send(&self, call: &'static str, request: RequestBuilder) -> Result<Response, CallError> {
        request.send().await.map_err(|error| unreachable(call, &error))
    }
}

/// Sorts an answer: a success, or which failure.
async fn sorted(call: &'static str, response: Response) -> Result<Response, CallError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(CallError::Busy { call, status: status.as_u16(), retry_after: retry_after(response.headers()) });
    }
    let text = response.text().await.unwrap_or_default();
    let problem = serde_json::from_str(&text).unwrap_or_else(|_| Problem {
        kind: ProblemKind::Other,
        status: status.as_u16(),
        detail: in_other_words(status, &text),
    });
    Err(CallError::Refused { call, problem })
}

/// What a proxy says, or whatever else answers at this address.
fn in_other_words(status: StatusCode, text: &str) -> String {
    let text = text.trim();
    let said = if text.is_empty() || text.starts_with('<') {
        String::new()
    } else {
        format!(" ({})", text.chars().take(200).collect::<String>())
    };
    format!("{status}, and no answer of Haywain's{said}. Is --server the orchestrator's address?")
}

async fn json<T: DeserializeOwned>(call: &'static str, response: Response) -> Result<T, CallError> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| unreachable(call, &error))?;
    serde_json::from_slice(&body)
        .map_err(|error| CallError::Unreadable { call, reason: format!("HTTP {status}, {error}") })
}

/// The address and the last of the causes: those before say in other words that a call has failed.
fn unreachable(call: &'static str, error: &reqwest::Error) -> CallError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let at = error.url().map(|url| format!(" at {}", url.origin().ascii_serialization())).unwrap_or_default();
    CallError::Unreachable { call, reason: format!("{cause}{at}") }
}
