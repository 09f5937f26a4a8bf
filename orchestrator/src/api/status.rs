//! `GET /status/{jobId}`: how a job stands, in the tutorial's plain words or, for those who ask, the whole of it.

use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use haywain_shared::cause::Cause;
use haywain_shared::frames::runs;
use haywain_shared::ids::JobId;
use haywain_shared::job::{JobReport, JobState};
use haywain_shared::problem::{Problem, ProblemKind};

use super::App;
use super::reply::{self, Wanted};
use crate::access::Caller;

/// How long a client should wait before it asks again, in seconds.
const RETRY_SECONDS: &str = "5";

/// How a job stands: in plain words, or whole for those who prefer JSON
#[utoipa::path(get, path = "/status/{job}", tag = "jobs", params(("job" = JobId, Path, description = "The job")), responses(
    (status = 200, description = "Job completed", content((JobReport = "application/json"), (String = "text/html"))),
    (status = 202, description = "Job still running", content((JobReport = "application/json"), (String = "text/html")),
        headers(("Location" = String, description = "Where its status is"), ("Retry-After" = u32, description = "Seconds"))),
    (status = 404, description = "Job not found", content((Problem = "application/problem+json"), (String = "text/html"))),
    (status = 410, description = "Job cancelled", content((JobReport = "application/json"), (String = "text/html"))),
    (status = 500, description = "Job failed", content((JobReport = "application/json"), (String = "text/html"))),
))]
pub(super) async fn status(
    State(app): State<App>,
    caller: Caller,
    job: Result<axum::extract::Path<JobId>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let report = match job {
        Ok(axum::extract::Path(job)) => app.store.job(job).await,
        // What is no id is nobody's id.
        Err(_) => Ok(None),
    };
    match report {
        Ok(Some(mut report)) => {
            app.tell_folder(&caller, &mut report);
            answer(&headers, &report)
        }
        Ok(None) => not_found(&headers),
        Err(error) => reply::failed(&headers, error.into()),
    }
}

/// The answer for a job that is not there, or not for this caller.
pub(super) fn not_found(headers: &HeaderMap) -> Response {
    reply::error(headers, ProblemKind::NotFound, StatusCode::NOT_FOUND, "Job not found")
}

fn answer(headers: &HeaderMap, report: &JobReport) -> Response {
    let (status, text) = match report.state {
        JobState::Pending | JobState::Running | JobState::Paused => {
            (StatusCode::ACCEPTED, "Job still running".to_owned())
        }
        JobState::Cancelled => (StatusCode::GONE, "Job cancelled".to_owned()),
        JobState::Completed => (StatusCode::OK, "Job completed".to_owned()),
        JobState::Failed => (StatusCode::INTERNAL_SERVER_ERROR, failure(report)),
    };
    let mut response = match reply::wanted(headers) {
        Wanted::Plain => reply::plain(status, &text),
        Wanted::Json => reply::json(status, report),
    };
    if status == StatusCode::ACCEPTED {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        if let Ok(location) = HeaderValue::try_from(format!("/status/{}", report.job_id)) {
            headers.insert(LOCATION, location);
        }
    }
    response
}

/// Why a job failed: the scene's fault, or the frames by cause.
fn failure(report: &JobReport) -> String {
    let list = |frames: &[haywain_shared::frames::FrameRange]| {
        frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let failed = list(&report.frames.failed);
    if let Some(fault) = &report.scene_fault {
        return format!("Job failed: frames {failed}: {}: {}", fault.cause, fault.message);
    }
    let by_cause = Cause::ALL.into_iter().filter_map(|cause| {
        let of_cause = || report.failures.iter().filter(move |failure| failure.cause == cause);
        let message = &of_cause().next()?.message;
        Some(format!("frames {}: {cause}: {message}", list(&runs(of_cause().map(|failure| failure.frame)))))
    });
    let reasons: Vec<_> = by_cause.collect();
    if reasons.is_empty() {
        format!("Job failed: frames {failed}")
    } else {
        format!("Job failed: {}", reasons.join("; "))
    }
}
