//! Jobs: lists, one, what can be done to one, its frames and its attempts.

use axum::extract::State;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::JobId;
use haywain_shared::job::{AttemptList, JobPage, JobReport, JobState};
use haywain_shared::limits::MAX_PRIORITY;
use haywain_shared::problem::Problem;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{limit, must_exist};
use crate::access::Caller;
use crate::api::App;
use crate::api::problem::{Failed, Json, Path, Query};
use crate::store::{JobCommand, JobFilter, StoreError};

/// Which jobs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobQuery {
    /// Only those in this state.
    state: Option<JobState>,
    /// Only those older than this one: the last of the page before.
    before: Option<JobId>,
    /// At most this many: 100 unless it is given, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Whose attempts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AttemptQuery {
    /// Only those at this frame.
    frame: Option<FrameNumber>,
}

/// Which frames are to be rendered anew.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rerender {
    /// Their numbers. Those of them that are not done are passed over.
    #[schema(min_items = 1)]
    frames: Vec<FrameRange>,
}

/// How urgent a job is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Priority {
    /// Jobs of a higher one are served first.
    #[schema(minimum = -1000, maximum = 1000)]
    priority: i32,
}

async fn report(app: &App, caller: &Caller, job: JobId) -> Result<Json<JobReport>, Failed> {
    let mut report = app.store.job(job).await?.ok_or(StoreError::UnknownJob(job))?;
    app.tell_folder(caller, &mut report);
    Ok(Json(report))
}

async fn control(app: &App, caller: &Caller, job: JobId, command: JobCommand) -> Result<Json<JobReport>, Failed> {
    tracing::info!(%job, ?command, "job controlled");
    app.store.control_job(job, command).await?;
    report(app, caller, job).await
}

/// Jobs, youngest first
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery), responses(
    (status = 200, description = "A page of jobs", body = JobPage),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<JobQuery>,
) -> Result<Json<JobPage>, Failed> {
    let sight = caller.sight();
    let filter = JobFilter { sight, state: query.state, before: query.before, limit: limit(query.limit)? };
    Ok(Json(JobPage { jobs: app.store.jobs(filter).await? }))
}

/// One job, whole
#[utoipa::path(get, path = "/api/v1/jobs/{job}", tag = "jobs", params(("job" = JobId, Path, description = "The job")), responses(
    (status = 200, description = "The job", body = JobReport),
    (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<JobId>,
) -> Result<Json<JobReport>, Failed> {
    report(&app, &caller, job).await
}

/// Declares a handler for a move that needs nothing but the job.
macro_rules! moves {
    ($($(#[$doc:meta])* $name:ident, $path:literal, $command:expr;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "jobs", params(("job" = JobId, Path, description = "The job")), responses(
            (status = 200, description = "The job, as it stands now", body = JobReport),
            (status = 400, description = "That is no id", body = Problem, content_type = "application/problem+json"),
            (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
            (status = 409, description = "The job is not in a state in which that can be done", body = Problem,
                content_type = "application/problem+json"),
        ))]
        pub(super) async fn $name(State(app): State<App>, caller: Caller, Path(job): Path<JobId>) -> Result<Json<JobReport>, Failed> {
            control(&app, &caller, job, $command).await
        }
    )*};
}

moves! {
    /// Ends a job: Blenders that work on it stop within one heartbeat
    cancel, "/api/v1/jobs/{job}/cancel", JobCommand::Cancel;
    /// Leases nothing more of a job; what is leased goes on
    pause, "/api/v1/jobs/{job}/pause", JobCommand::Pause;
    /// Leases a paused job again
    resume, "/api/v1/jobs/{job}/resume", JobCommand::Resume;
    /// Tries all failed frames again, with their attempts forgiven
    retry, "/api/v1/jobs/{job}/retry", JobCommand::RetryFailed;
}

/// Renders chosen done frames anew, in a new generation
#[utoipa::path(post, path = "/api/v1/jobs/{job}/rerender", tag = "jobs", params(("job" = JobId, Path, description = "The job")),
    request_body = Rerender, responses(
    (status = 200, description = "The job, as it stands now", body = JobReport),
    (status = 400, description = "The id or the body is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "None of these frames is done", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is JSON of another kind", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn rerender(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<JobId>,
    Json(wanted): Json<Rerender>,
) -> Result<Json<JobReport>, Failed> {
    control(&app, &caller, job, JobCommand::Rerender(wanted.frames)).await
}

/// Changes how urgent a job is
#[utoipa::path(post, path = "/api/v1/jobs/{job}/priority", tag = "jobs", params(("job" = JobId, Path, description = "The job")),
    request_body = Priority, responses(
    (status = 200, description = "The job, as it stands now", body = JobReport),
    (status = 400, description = "The id or the body is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The job has ended", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is JSON of another kind", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn priority(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<JobId>,
    Json(wanted): Json<Priority>,
) -> Result<Json<JobReport>, Failed> {
    if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&wanted.priority) {
        return Err(Failed::invalid(format!("priority must be from -{MAX_PRIORITY} to {MAX_PRIORITY}")));
    }
    control(&app, &caller, job, JobCommand::SetPriority(wanted.priority)).await
}

/// Every attempt at a job's frames that has ended, with its log if it failed
#[utoipa::path(get, path = "/api/v1/jobs/{job}/attempts", tag = "jobs",
    params(("job" = JobId, Path, description = "The job"), AttemptQuery), responses(
    (status = 200, description = "The attempts, oldest first: the first 10,000", body = AttemptList),
    (status = 400, description = "The id or a parameter is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn attempts(
    State(app): State<App>,
    Path(job): Path<JobId>,
    Query(query): Query<AttemptQuery>,
) -> Result<Json<AttemptList>, Failed> {
    let attempts = app.store.attempts(job, query.frame).await?;
    if attempts.is_empty() {
        must_exist(&app, job).await?;
    }
    Ok(Json(AttemptList { attempts }))
}
