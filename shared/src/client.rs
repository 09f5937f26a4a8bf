//! The typed HTTP client of the agent's protocol: one method for each call, each tried once (see [`crate::retry`] for
//! patience). It tells apart what a caller must: no answer, a busy orchestrator, a refusal, and nonsense.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use reqwest::header::RETRY_AFTER;
use reqwest::multipart::Form;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::digest::Sha256Digest;
use crate::frames::FrameNumber;
use crate::ids::LeaseId;
use crate::problem::{Problem, ProblemKind};
use crate::protocol::{
    FailureReport, HeartbeatAnswer, HeartbeatRequest, LeaseGrant, LeaseRequest, PREFIX, RegisterAnswer,
    RegisterRequest, ReleaseRequest, UploadAnswer,
};
use crate::scene::{Manifest, SceneId};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a short call may take, all in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a download may stand still. It has no limit of its own: a slow line is no error.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// The slowest line, in bytes a second, that an upload is given time for.
const SLOWEST_UPLOAD: u64 = 16 * 1024;
/// How much longer than the orchestrator's own limit a long poll is waited for.
const POLL_MARGIN: Duration = Duration::from_secs(15);

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answered, or the connection broke.
    #[error("{call}: the orchestrator cannot be reached: {reason}")]
    Unreachable {
        /// The call.
        call: &'static str,
        /// What the network said, all causes in a row.
        reason: String,
    },
    /// It answered that it can't now: 429 or 5xx.
    #[error("{call}: the orchestrator is busy (HTTP {status})")]
    Busy {
        /// The call.
        call: &'static str,
        /// The status code.
        status: u16,
        /// When it asks to be called again.
        retry_after: Option<Duration>,
    },
    /// It answered that it won't: any other 4xx.
    #[error("{call}: refused (HTTP {}): {}", problem.status, problem.detail)]
    Refused {
        /// The call.
        call: &'static str,
        /// Why.
        problem: Problem,
    },
    /// Something answered, in words that are not the protocol's: a proxy, or another version.
    #[error("{call}: an answer that is not Haywain's: {reason}. Is this the orchestrator's address?")]
    Unreadable {
        /// The call.
        call: &'static str,
        /// What could not be understood.
        reason: String,
    },
}

impl CallError {
    /// The kind of problem, when the call was refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<ProblemKind> {
        match self {
            Self::Refused { problem, .. } => Some(problem.kind),
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Unreadable { .. } => None,
        }
    }

    fn unreachable(call: &'static str, error: &reqwest::Error) -> Self {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::Unreachable { call, reason }
    }
}

/// A connection to one orchestrator.
#[derive(Debug, Clone)]
pub struct AgentClient {
    http: reqwest::Client,
    /// The same, with a limit on silence. That limit also runs while a request is still being sent, so that it suits
    /// downloads and nothing else.
    downloads: reqwest::Client,
    base: String,
}

impl AgentClient {
    /// A client for the orchestrator at `url`. Opens no connection yet.
    pub fn new(url: &Url) -> Result<Self, reqwest::Error> {
        // Installed once for the process; an error says that somebody has installed one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("haywain-agent/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
        };
        let downloads = builder().read_timeout(IDLE_TIMEOUT).build()?;
        Ok(Self { http: builder().build()?, downloads, base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Makes the agent known.
    pub async fn register(&self, request: &RegisterRequest) -> Result<RegisterAnswer, CallError> {
        read_json("register", self.post("/register", request, CALL_TIMEOUT)).await
    }

    /// Asks for a batch; `None` when the poll ended with nothing to do.
    pub async fn lease(&self, request: &LeaseRequest, poll: Duration) -> Result<Option<LeaseGrant>, CallError> {
        let call = "lease";
        let response = send(call, self.post("/lease", request, poll + POLL_MARGIN)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        json(call, response).await.map(Some)
    }

    /// Says that the agent lives, and what it holds.
    pub async fn heartbeat(&self, request: &HeartbeatRequest, timeout: Duration) -> Result<HeartbeatAnswer, CallError> {
        read_json("heartbeat", self.post("/heartbeat", request, timeout)).await
    }

    /// Delivers a frame: `form` has the meta part first, then the files, `size_bytes` of them together.
    pub async fn put_frame(
        &self,
        lease: LeaseId,
        frame: FrameNumber,
        form: Form,
        size_bytes: u64,
    ) -> Result<UploadAnswer, CallError> {
        let url = format!("{}{PREFIX}/leases/{lease}/frames/{frame}", self.base);
        let timeout = CALL_TIMEOUT + Duration::from_secs(size_bytes / SLOWEST_UPLOAD);
        read_json("put frame", self.http.put(url).multipart(form).timeout(timeout)).await
    }

    /// Reports an attempt that ended without a frame.
    pub async fn fail(&self, lease: LeaseId, report: &FailureReport) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/failures");
        send("report failure", self.post(&path, report, CALL_TIMEOUT)).await.map(drop)
    }

    /// Gives frames back.
    pub async fn release(&self, lease: LeaseId, request: &ReleaseRequest) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/release");
        send("release", self.post(&path, request, CALL_TIMEOUT)).await.map(drop)
    }

    /// Says that the agent is done with a lease: whatever it still held goes back.
    pub async fn complete(&self, lease: LeaseId) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/complete");
        send("complete", self.post(&path, &(), CALL_TIMEOUT)).await.map(drop)
    }

    /// What a scene is made of.
    pub async fn scene(&self, scene: SceneId) -> Result<Manifest, CallError> {
        let url = format!("{}{PREFIX}/scenes/{scene}", self.base);
        read_json("fetch scene", self.http.get(url).timeout(CALL_TIMEOUT)).await
    }

    /// The bytes of a file, as they come. The caller checks the digest.
    pub async fn blob(
        &self,
        blob: Sha256Digest,
    ) -> Result<impl Stream<Item = Result<Bytes, CallError>> + use<>, CallError> {
        let call = "fetch blob";
        let url = format!("{}{PREFIX}/blobs/{blob}", self.base);
        let response = send(call, self.downloads.get(url)).await?;
        Ok(response.bytes_stream().map_err(move |error| CallError::unreachable(call, &error)))
    }

    fn post(&self, path: &str, body: &(impl Serialize + ?Sized), timeout: Duration) -> RequestBuilder {
        self.http.request(Method::POST, format!("{}{PREFIX}{path}", self.base)).json(body).timeout(timeout)
    }
}

async fn read_json<T: DeserializeOwned>(call: &'static str, request: RequestBuilder) -> Result<T, CallError> {
    json(call, send(call, request).await?).await
}

/// Sends, and sorts what is no success.
async fn send(call: &'static str, request: RequestBuilder) -> Result<Response, CallError> {
    let response = request.send().await.map_err(|error| CallError::unreachable(call, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        return Err(CallError::Busy { call, status: status.as_u16(), retry_after });
    }
    let problem: Problem = json(call, response).await?;
    Err(CallError::Refused { call, problem })
}

async fn json<T: DeserializeOwned>(call: &'static str, response: Response) -> Result<T, CallError> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| CallError::unreachable(call, &error))?;
    serde_json::from_slice(&body)
        .map_err(|error| CallError::Unreadable { call, reason: format!("HTTP {status}, {error}") })
}
