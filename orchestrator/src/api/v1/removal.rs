//! Removing a job, with all that it made.

use axum::extract::State;
use axum::http::StatusCode;
use haywain_shared::ids::JobId;
use haywain_shared::problem::Problem;

use crate::api::App;
use crate::api::problem::{Failed, Path};

/// Removes an ended job and its frames
#[utoipa::path(delete, path = "/api/v1/jobs/{job}", tag = "jobs", params(("job" = JobId, Path, description = "The job")), responses(
    (status = 204, description = "It is gone; its files follow"),
    (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The job has not ended: cancel it first", body = Problem,
        content_type = "application/problem+json"),
))]
pub(super) async fn remove(State(app): State<App>, Path(job): Path<JobId>) -> Result<StatusCode, Failed> {
    app.store.remove_job(job).await?;
    tracing::info!(%job, "job removed");
    Ok(StatusCode::NO_CONTENT)
}
