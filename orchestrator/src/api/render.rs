//! `POST /render`: a job goes in.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use haywain_shared::ids::JobId;
use haywain_shared::problem::ProblemKind;
use serde::Serialize;

use super::body::{self, Unread};
use super::{App, reply};
use crate::queue::submission::{self, Submission};
use crate::store::{NewJob, StoreError};

/// The largest body.
const MAX_BODY_BYTES: usize = 64 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    job_id: JobId,
}

pub(super) async fn submit(State(app): State<App>, headers: HeaderMap, request_body: Body) -> Response {
    let read = match body::read(request_body, MAX_BODY_BYTES).await {
        Ok(read) => read,
        Err(Unread::TooLarge) => {
            let text = format!("Invalid input: the body is larger than {MAX_BODY_BYTES} bytes");
            return reply::error(&headers, ProblemKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, &text);
        }
        Err(Unread::Broken(error)) => {
            return invalid(&headers, &format!("Invalid input: the body broke off ({error})"));
        }
    };
    let submission = match submission::read(&read, app.max_frames) {
        Ok(submission) => submission,
        Err(error) => return invalid(&headers, &error.to_string()),
    };
    let Some(scene) = submission.scene.or(app.default_scene) else {
        return invalid(
            &headers,
            "Invalid input: there is no default scene here, and the job names none: \
             name one with \"scene\", or start the orchestrator with --scene FILE",
        );
    };
    let Submission { frames, batch_size, name, scene: _ } = submission;
    let job = NewJob { id: JobId::generate(), name, scene, frames, batch_size };
    let job_id = job.id;
    match app.store.submit(job).await {
        Ok(()) => {
            tracing::info!(job = %job_id, %frames, "job accepted");
            accepted(job_id)
        }
        Err(StoreError::UnknownScene(scene)) => {
            invalid(&headers, &format!("Invalid input: scene {scene} is not on this orchestrator"))
        }
        Err(error) => reply::failed(&headers, error.into()),
    }
}

fn invalid(headers: &HeaderMap, text: &str) -> Response {
    reply::error(headers, ProblemKind::InvalidInput, StatusCode::BAD_REQUEST, text)
}

fn accepted(job_id: JobId) -> Response {
    let mut response = reply::json(StatusCode::ACCEPTED, &Accepted { job_id });
    if let Ok(location) = HeaderValue::try_from(format!("/status/{job_id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
