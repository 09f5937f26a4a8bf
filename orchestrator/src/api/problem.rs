//! From errors to problem documents (RFC 9457).

use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use haywain_shared::problem::{PROBLEM_JSON, Problem, ProblemKind};

use crate::blobs::{BlobError, UploadError};
use crate::intake::IntakeError;
use crate::scenes::SceneError;
use crate::store::StoreError;

/// When a caller whose request could not be done now is to try again, in seconds.
const RETRY_SECONDS: &str = "1";

/// An error, as it is answered.
#[derive(Debug)]
pub(super) struct Failed(pub(super) Problem);

impl Failed {
    pub(super) fn new(kind: ProblemKind, status: StatusCode, detail: String) -> Self {
        Self(Problem { kind, status: status.as_u16(), detail })
    }

    /// A task that was to answer has panicked.
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
    pub(super) fn panicked(error: tokio::task::JoinError) -> Self {
        Self::new(ProblemKind::Other, StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// The system did not do what it is asked to.
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
    pub(super) fn of_the_system(error: std::io::Error) -> Self {
        Self::new(ProblemKind::Other, StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::new(ProblemKind::NotFound, StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn invalid(detail: String) -> Self {
        Self::new(ProblemKind::InvalidInput, StatusCode::BAD_REQUEST, detail)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(status = problem.status, detail = problem.detail, "a request failed");
        }
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if problem.kind == ProblemKind::Unavailable {
            response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static(RETRY_SECONDS));
        }
        response
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let (kind, status) = match &error {
            StoreError::UnknownAgent(_) => (ProblemKind::UnknownAgent, StatusCode::NOT_FOUND),
            StoreError::StaleIncarnation(_) => (ProblemKind::StaleIncarnation, StatusCode::CONFLICT),
            StoreError::UnknownLease(_) => (ProblemKind::UnknownLease, StatusCode::NOT_FOUND),
            StoreError::LeaseEnded(_) => (ProblemKind::LeaseEnded, StatusCode::CONFLICT),
            StoreError::EnrolmentOver | StoreError::EnrolledAlready(_) | StoreError::ShutOut(_) => {
                (ProblemKind::Forbidden, StatusCode::FORBIDDEN)
            }
            StoreError::UnknownScene(_) | StoreError::UnknownJob(_) | StoreError::UnknownToken(_) => {
                (ProblemKind::NotFound, StatusCode::NOT_FOUND)
            }
            StoreError::IllegalMove(_) | StoreError::NameTaken(_) => (ProblemKind::IllegalMove, StatusCode::CONFLICT),
            StoreError::KeyReused => (ProblemKind::KeyReused, StatusCode::UNPROCESSABLE_ENTITY),
            StoreError::NotInLease { .. }
            | StoreError::SceneIncomplete { .. }
            | StoreError::SceneLacksFiles { .. }
            | StoreError::WouldRenderWrong { .. }
            | StoreError::OtherSize { .. } => (ProblemKind::InvalidInput, StatusCode::BAD_REQUEST),
            StoreError::Inconsistent(_) => (ProblemKind::Other, StatusCode::INTERNAL_SERVER_ERROR),
            StoreError::BlobGoing(_) | StoreError::Unavailable(_) => {
                (ProblemKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        Self::new(kind, status, error.to_string())
    }
}

impl From<BlobError> for Failed {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Unknown(_) => Self::new(ProblemKind::NotFound, StatusCode::NOT_FOUND, error.to_string()),
            BlobError::Storage { .. } | BlobError::File { .. } => {
                Self::new(ProblemKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}

impl From<IntakeError> for Failed {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) => error.into(),
            IntakeError::Blob(error) => error.into(),
            IntakeError::Going(_) => {
                Self::new(ProblemKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}

impl From<SceneError> for Failed {
    fn from(error: SceneError) -> Self {
        match error {
            SceneError::Intake(error) => error.into(),
            error => Self::invalid(error.to_string()),
        }
    }
}

impl From<UploadError> for Failed {
    fn from(error: UploadError) -> Self {
        let kind = match error {
            UploadError::Mismatch { .. } | UploadError::TooLong { .. } => ProblemKind::DigestMismatch,
            UploadError::NotTheImage { .. } => ProblemKind::InvalidOutput,
            UploadError::Blob(error) => return error.into(),
        };
        Self::new(kind, StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<MultipartRejection> for Failed {
    fn from(rejection: MultipartRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<PathRejection> for Failed {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<QueryRejection> for Failed {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<JsonRejection> for Failed {
    fn from(rejection: JsonRejection) -> Self {
        let kind = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
            _ => ProblemKind::InvalidInput,
        };
        Self::new(kind, rejection.status(), rejection.body_text())
    }
}

/// JSON in and out, with refusals as problem documents.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Failed))]
pub(super) struct Json<T>(pub(super) T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Parts of the path, with refusals as problem documents.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failed))]
pub(super) struct Path<T>(pub(super) T);

/// Parameters, with refusals as problem documents.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Failed))]
pub(super) struct Query<T>(pub(super) T);
