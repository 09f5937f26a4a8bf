//! Problem documents (RFC 9457): how an error is told to a program. The kind is what a program decides by; the detail is
//! what a person reads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, as a program tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum ProblemKind {
    /// 400: the request says something that can't be.
    #[serde(rename = "urn:haywain:invalid-input")]
    InvalidInput,
    /// 401: a token is needed, or the one that was shown is not good any more.
    #[serde(rename = "urn:haywain:unauthenticated")]
    Unauthenticated,
    /// 403: the token is good, and not for this.
    #[serde(rename = "urn:haywain:forbidden")]
    Forbidden,
    /// 429: too often, or too much at once; the header `Retry-After` says when to try again.
    #[serde(rename = "urn:haywain:too-many-requests")]
    TooManyRequests,
    /// 404: nothing has this path, or this id.
    #[serde(rename = "urn:haywain:not-found")]
    NotFound,
    /// 405: the path is there, the method is not.
    #[serde(rename = "urn:haywain:method-not-allowed")]
    MethodNotAllowed,
    /// 413: the body is larger than it may be.
    #[serde(rename = "urn:haywain:too-large")]
    TooLarge,
    /// 404: the orchestrator does not know this agent; it should register.
    #[serde(rename = "urn:haywain:unknown-agent")]
    UnknownAgent,
    /// 404: the orchestrator has never granted this lease.
    #[serde(rename = "urn:haywain:unknown-lease")]
    UnknownLease,
    /// 409: a later life of this agent has registered, and this one should end.
    #[serde(rename = "urn:haywain:stale-incarnation")]
    StaleIncarnation,
    /// 409: the lease that this request id got has ended; ask again under a new one.
    #[serde(rename = "urn:haywain:lease-ended")]
    LeaseEnded,
    /// 409: the job, or the agent, is not in a state in which that can be done.
    #[serde(rename = "urn:haywain:illegal-move")]
    IllegalMove,
    /// 422: the Idempotency-Key was used for another submission.
    #[serde(rename = "urn:haywain:key-reused")]
    KeyReused,
    /// 422: a file did not arrive as it was sent; send it again.
    #[serde(rename = "urn:haywain:digest-mismatch")]
    DigestMismatch,
    /// 409: so much of the blob is held as the header `Upload-Offset` says; go on from there.
    #[serde(rename = "urn:haywain:offset-mismatch")]
    OffsetMismatch,
    /// 422: a file is no whole image of the size that was said.
    #[serde(rename = "urn:haywain:invalid-output")]
    InvalidOutput,
    /// 503: the orchestrator cannot do it now (its disk is full, say); trying again later is right.
    #[serde(rename = "urn:haywain:unavailable")]
    Unavailable,
    /// Any kind that a later version knows and this one does not.
    #[serde(other, rename = "about:blank")]
    Other,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The HTTP status code.
    pub status: u16,
    /// What failed, on what, and what to do: one or two sentences.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_s_kind_is_understood_as_other() {
        let problem: Problem =
            serde_json::from_str(r#"{"type": "urn:haywain:moon-phase", "status": 418, "detail": "waxing"}"#).unwrap();
        assert_eq!(problem.kind, ProblemKind::Other);
    }
}
