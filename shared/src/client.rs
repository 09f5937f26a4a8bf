//! The typed client of the agent's protocol: one method for each call, each tried once (see [`crate::retry`] for patience).
//! It tells apart what a caller must: no answer, a busy orchestrator, a refusal, and nonsense.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Sha256Digest;
use crate::frames::FrameNumber;
use crate::ids::LeaseId;
use crate::inspection::Inspection;
use crate::problem::{Problem, ProblemKind};
use crate::protocol::{
    FailureReport, FrameUpload, HeartbeatAnswer, HeartbeatRequest, InspectionFailureReport, LeaseRequest, LeaveRequest,
    PREFIX, RegisterAnswer, RegisterRequest, ReleaseRequest, UploadAnswer, Work,
};
use crate::retry::Patience;
use crate::scene::{Manifest, SceneId};
use crate::token::Token;
use crate::transport::{Body, Call, Limit, Reply, Transport};

/// How long a short call may take, all in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest line, in bytes a second, that an upload is given time for.
const SLOWEST_UPLOAD: u64 = 16 * 1024;
/// How much longer than the orchestrator's own limit a long poll is waited for.
const POLL_MARGIN: Duration = Duration::from_secs(15);

/// What HTTP says for "nothing".
const NO_CONTENT: u16 = 204;
/// What HTTP says for a part of what there is.
const PARTIAL_CONTENT: u16 = 206;
/// What HTTP says for "too often".
const TOO_MANY_REQUESTS: u16 = 429;

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
}

/// Bytes of a file on their way.
pub struct ComingBytes {
    /// Where in the file they begin.
    pub first_byte: u64,
    /// The bytes, as they come.
    pub pieces: BoxStream<'static, Result<Bytes, CallError>>,
}

/// What says who an agent is.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Its own token, drawn by itself.
    pub own: Token,
    /// The one by which it is let in the first time.
    pub enrolment: Option<Token>,
}

/// A line to one orchestrator. Clones share it.
#[derive(Clone)]
pub struct AgentClient {
    transport: Arc<dyn Transport>,
    patience: Patience,
    keys: Option<Keys>,
}

impl AgentClient {
    /// A client whose calls are carried by `transport`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self::with_patience(transport, Patience::ORCHESTRATOR)
    }

    /// The same, for callers who are to repeat their calls in another way.
    #[must_use]
    pub fn with_patience(transport: Arc<dyn Transport>, patience: Patience) -> Self {
        Self { transport, patience, keys: None }
    }

    /// The same, for an agent that says who it is.
    #[must_use]
    pub fn with_keys(self, keys: Keys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// How its calls are to be repeated.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        self.patience
    }

    /// Makes the agent known: by its own token, and where that is not known yet, by its enrolment.
    pub async fn register(&self, request: &RegisterRequest) -> Result<RegisterAnswer, CallError> {
        let call = "register";
        let own = self.keys.as_ref().map(|keys| keys.own.clone());
        let request = RegisterRequest { token_sha256: own.as_ref().map(Token::digest), ..request.clone() };
        let enrolment = self.keys.as_ref().and_then(|keys| keys.enrolment.clone());
        match (self.register_by(call, &request, own).await, enrolment) {
            (Err(error), Some(_)) if error.refusal() != Some(ProblemKind::Unauthenticated) => Err(error),
            (Err(_), Some(enrolment)) => self.register_by(call, &request, Some(enrolment)).await,
            (answer, _) => answer,
        }
    }

    async fn register_by(
        &self,
        call: &'static str,
        request: &RegisterRequest,
        token: Option<Token>,
    ) -> Result<RegisterAnswer, CallError> {
        let body = Body::Json(to_json(call, request)?);
        json(call, self.send_by(token, call, "/register", body, Limit::Whole(CALL_TIMEOUT)).await?).await
    }

    /// Asks for work; `None` when the poll ended with nothing to do.
    pub async fn lease(&self, request: &LeaseRequest, poll: Duration) -> Result<Option<Work>, CallError> {
        let call = "lease";
        let reply = self.post(call, "/lease", request, poll + POLL_MARGIN).await?;
        if reply.status == NO_CONTENT {
            return Ok(None);
        }
        json(call, reply).await.map(Some)
    }

    /// Says that the agent lives, and what it holds.
    pub async fn heartbeat(&self, request: &HeartbeatRequest, timeout: Duration) -> Result<HeartbeatAnswer, CallError> {
        let call = "heartbeat";
        json(call, self.post(call, "/heartbeat", request, timeout).await?).await
    }

    /// Delivers a frame whose files are `files`, in the order of `upload`; its thumbnail, if it has one, is the last.
    pub async fn put_frame(
        &self,
        lease: LeaseId,
        frame: FrameNumber,
        upload: &FrameUpload,
        files: Vec<PathBuf>,
    ) -> Result<UploadAnswer, CallError> {
        let call = "put frame";
        let thumbnail_bytes = upload.thumbnail.map_or(0, |thumbnail| thumbnail.size_bytes);
        let size_bytes: u64 = upload.files.iter().map(|file| file.size_bytes).sum::<u64>() + thumbnail_bytes;
        let limit = Limit::Whole(CALL_TIMEOUT + Duration::from_secs(size_bytes / SLOWEST_UPLOAD));
        let meta = String::from_utf8_lossy(&to_json(call, upload)?).into_owned();
        let path = format!("/leases/{lease}/frames/{frame}");
        json(call, self.send(call, &path, Body::Files { meta, files }, limit).await?).await
    }

    /// Reports an attempt that ended without a frame.
    pub async fn fail(&self, lease: LeaseId, report: &FailureReport) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/failures");
        self.post("report failure", &path, report, CALL_TIMEOUT).await.map(drop)
    }

    /// Gives frames back.
    pub async fn release(&self, lease: LeaseId, request: &ReleaseRequest) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/release");
        self.post("release", &path, request, CALL_TIMEOUT).await.map(drop)
    }

    /// Says that the agent is done with a lease: whatever it still held goes back.
    pub async fn complete(&self, lease: LeaseId) -> Result<(), CallError> {
        let path = format!("/leases/{lease}/complete");
        self.post("complete", &path, &(), CALL_TIMEOUT).await.map(drop)
    }

    /// Says that the agent ends: whatever it still held goes back.
    pub async fn leave(&self, request: &LeaveRequest) -> Result<(), CallError> {
        self.post("leave", "/leave", request, CALL_TIMEOUT).await.map(drop)
    }

    /// What a scene is made of.
    pub async fn scene(&self, scene: SceneId) -> Result<Manifest, CallError> {
        let call = "fetch scene";
        json(call, self.send(call, &format!("/scenes/{scene}"), Body::Get, Limit::Whole(CALL_TIMEOUT)).await?).await
    }

    /// Says what is in a scene.
    pub async fn inspected(&self, scene: SceneId, inspection: &Inspection) -> Result<(), CallError> {
        self.post("report inspection", &format!("/scenes/{scene}/inspection"), inspection, CALL_TIMEOUT).await.map(drop)
    }

    /// Says why nobody here can tell what is in a scene.
    pub async fn not_inspected(&self, scene: SceneId, report: &InspectionFailureReport) -> Result<(), CallError> {
        let path = format!("/scenes/{scene}/inspection-failure");
        self.post("report a failed inspection", &path, report, CALL_TIMEOUT).await.map(drop)
    }

    /// The bytes of a file from `first_byte` on, as they come; all of them, from an orchestrator that knows no parts.
    /// The caller checks the digest.
    pub async fn blob(&self, blob: Sha256Digest, first_byte: u64) -> Result<ComingBytes, CallError> {
        let call = "fetch blob";
        let body = if first_byte == 0 { Body::Get } else { Body::GetFrom(first_byte) };
        let reply = self.send(call, &format!("/blobs/{blob}"), body, Limit::Idle).await?;
        let first_byte = match reply.status {
            PARTIAL_CONTENT => reply.first_byte.ok_or_else(|| {
                let reason = "a part that does not say where it begins".to_owned();
                CallError::Unreadable { call, reason }
            })?,
            _ => 0,
        };
        let pieces = reply.body.map_err(move |reason| CallError::Unreachable { call, reason }).boxed();
        Ok(ComingBytes { first_byte, pieces })
    }

    async fn post(
        &self,
        call: &'static str,
        path: &str,
        body: &(impl Serialize + Sync + ?Sized),
        timeout: Duration,
    ) -> Result<Reply, CallError> {
        self.send(call, path, Body::Json(to_json(call, body)?), Limit::Whole(timeout)).await
    }

    /// Sends with the agent's own token.
    async fn send(&self, call: &'static str, path: &str, body: Body, limit: Limit) -> Result<Reply, CallError> {
        self.send_by(self.keys.as_ref().map(|keys| keys.own.clone()), call, path, body, limit).await
    }

    /// Sends, and sorts what is no success.
    async fn send_by(
        &self,
        token: Option<Token>,
        call: &'static str,
        path: &str,
        body: Body,
        limit: Limit,
    ) -> Result<Reply, CallError> {
        let request = Call { path: format!("{PREFIX}{path}"), body, limit, token };
        let reply = self.transport.carry(request).await.map_err(|reason| CallError::Unreachable { call, reason })?;
        match reply.status {
            200..=299 => Ok(reply),
            status @ (TOO_MANY_REQUESTS | 500..=599) => {
                Err(CallError::Busy { call, status, retry_after: reply.retry_after })
            }
            _ => {
                let problem: Problem = json(call, reply).await?;
                Err(CallError::Refused { call, problem })
            }
        }
    }
}

fn to_json(call: &'static str, value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|error| CallError::Unreadable { call, reason: error.to_string() })
}

async fn json<T: DeserializeOwned>(call: &'static str, reply: Reply) -> Result<T, CallError> {
    let status = reply.status;
    let pieces: Vec<Bytes> =
        reply.body.try_collect().await.map_err(|reason| CallError::Unreachable { call, reason })?;
    serde_json::from_slice(&pieces.concat())
        .map_err(|error| CallError::Unreadable { call, reason: format!("HTTP {status}, {error}") })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::stream;

    use super::*;
    use crate::ids::{AgentId, Incarnation};
    use crate::protocol::MachineFacts;
    use crate::token::Role;

    /// Answers by status and body, and keeps which token was shown.
    struct Scripted {
        answers: Mutex<Vec<(u16, &'static str)>>,
        shown: Mutex<Vec<Option<Sha256Digest>>>,
    }

    #[async_trait]
    impl Transport for Scripted {
        async fn carry(&self, call: Call) -> Result<Reply, String> {
            self.shown.lock().unwrap().push(call.token.map(|token| token.digest()));
            let (status, body) = self.answers.lock().unwrap().remove(0);
            let body = stream::iter([Ok(Bytes::from_static(body.as_bytes()))]).boxed();
            Ok(Reply { status, retry_after: Some(Duration::from_secs(7)), first_byte: None, body })
        }
    }

    const REGISTERED: &str = r#"{"leaseTtlMs": 1, "heartbeatMs": 1, "pollMs": 1}"#;
    const NOT_LET_IN: &str = r#"{"type": "urn:haywain:unauthenticated", "status": 401, "detail": "who?"}"#;
    const SHUT_OUT: &str = r#"{"type": "urn:haywain:forbidden", "status": 403, "detail": "no"}"#;

    async fn register(
        answers: &[(u16, &'static str)],
        keys: Option<Keys>,
    ) -> (Result<RegisterAnswer, CallError>, Vec<Option<Sha256Digest>>) {
        let scripted = Arc::new(Scripted { answers: Mutex::new(answers.to_vec()), shown: Mutex::default() });
        let client = AgentClient { keys, ..AgentClient::new(Arc::clone(&scripted) as Arc<dyn Transport>) };
        let machine = MachineFacts {
            os: String::new(),
            arch: String::new(),
            logical_cores: 1,
            memory_bytes: 1,
            gpus: Vec::new(),
        };
        let request = RegisterRequest {
            agent_id: AgentId::generate(),
            incarnation: Incarnation(1),
            name: "barn".to_owned(),
            slots: 1,
            machine,
            blenders: Vec::new(),
            abilities: crate::protocol::Abilities::default(),
            token_sha256: None,
        };
        let answer = client.register(&request).await;
        let shown = scripted.shown.lock().unwrap().clone();
        (answer, shown)
    }

    #[tokio::test]
    async fn an_agent_shows_its_own_token_first_and_its_enrolment_where_that_is_not_known() {
        let (own, enrolment) = (Token::draw(Role::Agent).unwrap(), Token::draw(Role::Enrol).unwrap());
        let [own_digest, enrolments] = [&own, &enrolment].map(|token| Some(token.digest()));
        let keys = |enrolment| Some(Keys { own: own.clone(), enrolment });
        let (answer, shown) = register(&[(200, REGISTERED)], keys(Some(enrolment.clone()))).await;
        assert!(answer.is_ok() && shown == [own_digest]);
        let answers = [(401, NOT_LET_IN), (200, REGISTERED)];
        let (answer, shown) = register(&answers, keys(Some(enrolment.clone()))).await;
        assert!(answer.is_ok() && shown == [own_digest, enrolments]);
        let (answer, shown) = register(&[(401, NOT_LET_IN)], keys(None)).await;
        assert!(answer.unwrap_err().refusal() == Some(ProblemKind::Unauthenticated) && shown == [own_digest]);
        let (answer, shown) = register(&[(403, SHUT_OUT)], keys(Some(enrolment))).await;
        assert!(answer.unwrap_err().refusal() == Some(ProblemKind::Forbidden) && shown == [own_digest]);
        let (answer, shown) = register(&[(200, REGISTERED)], None).await;
        assert!(answer.is_ok() && shown == [None]);
    }

    #[tokio::test]
    async fn what_is_too_much_is_to_be_called_again_when_the_orchestrator_says() {
        for status in [429, 503] {
            match register(&[(status, "")], None).await.0 {
                Err(CallError::Busy { retry_after, .. }) => assert_eq!(retry_after, Some(Duration::from_secs(7))),
                other => panic!("{other:?}"),
            }
        }
    }
}
