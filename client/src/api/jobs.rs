//! Jobs: submit, look at, and what can be done to one.

use haywain_shared::client::CallError;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::JobId;
use haywain_shared::job::{AttemptList, JobPage, JobReport, JobState};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, CALL_TIMEOUT};

/// What can be done to a job without saying more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobMove {
    /// End it.
    Cancel,
    /// Lease nothing more of it.
    Pause,
    /// Lease it again.
    Resume,
    /// Try its failed frames again.
    Retry,
}

impl JobMove {
    const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    job_id: JobId,
}

impl Api {
    /// `POST /render`. Repeating it with its key is the same job.
    pub async fn render(&self, body: &Value, key: &str) -> Result<JobId, CallError> {
        let call = "submit the job";
        let request = self.request(&self.http.calls, Method::POST, "/render").header("Idempotency-Key", key);
        let response = self.accepted(call, request.timeout(CALL_TIMEOUT).json(body)).await?;
        super::json::<Accepted>(call, response).await.map(|accepted| accepted.job_id)
    }

    /// The whole job.
    pub async fn job(&self, job: JobId) -> Result<JobReport, CallError> {
        self.get("look at the job", &format!("/api/v1/jobs/{job}")).await
    }

    /// A page of jobs, youngest first.
    pub async fn jobs(&self, state: Option<JobState>, before: Option<JobId>, limit: u32) -> Result<JobPage, CallError> {
        let mut path = format!("/api/v1/jobs?limit={limit}");
        if let Some(Value::String(word)) = state.and_then(|state| serde_json::to_value(state).ok()) {
            path = format!("{path}&state={word}");
        }
        if let Some(before) = before {
            path = format!("{path}&before={before}");
        }
        self.get("list jobs", &path).await
    }

    /// Every attempt at its frames, or at one of them.
    pub async fn attempts(&self, job: JobId, frame: Option<FrameNumber>) -> Result<AttemptList, CallError> {
        let query = frame.map(|frame| format!("?frame={frame}")).unwrap_or_default();
        self.get("read the attempts", &format!("/api/v1/jobs/{job}/attempts{query}")).await
    }

    /// Does something to a job.
    pub async fn move_job(&self, job: JobId, wanted: JobMove) -> Result<JobReport, CallError> {
        self.control(job, wanted.word(), &Value::Null).await
    }

    /// Renders done frames anew.
    pub async fn rerender(&self, job: JobId, frames: &[FrameRange]) -> Result<JobReport, CallError> {
        self.control(job, "rerender", &json!({ "frames": frames })).await
    }

    /// Changes how urgent a job is.
    pub async fn set_priority(&self, job: JobId, priority: i32) -> Result<JobReport, CallError> {
        self.control(job, "priority", &json!({ "priority": priority })).await
    }

    /// Removes an ended job with its frames.
    pub async fn delete_job(&self, job: JobId) -> Result<(), CallError> {
        let request =
            self.request(&self.http.calls, Method::DELETE, &format!("/api/v1/jobs/{job}")).timeout(CALL_TIMEOUT);
        self.accepted("delete the job", request).await.map(drop)
    }

    async fn control(&self, job: JobId, word: &'static str, body: &Value) -> Result<JobReport, CallError> {
        let response = self.post(word, &format!("/api/v1/jobs/{job}/{word}"), body).await?;
        super::json(word, response).await
    }
}
