//! Watches a job to its end, fetching its frames meanwhile if that is wanted. An orchestrator that is away is waited for;
//! Ctrl-C leaves the job running.

use std::path::Path;
use std::time::Duration;

use haywain_shared::client::CallError;
use haywain_shared::ids::JobId;
use haywain_shared::job::{FrameCounts, JobReport, JobState};
use serde_json::{Value, json};

use crate::context::Context;
use crate::download::{Downloader, Fate, FetchError, FileReport};
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Form, FramesBar, say, short};
use crate::status;

/// How often the job is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches a job.
pub async fn watch(context: &Context, job: JobId, out: Option<&Path>) -> Outcome {
    let downloader = out.map(|folder| Downloader::open(&context.api, job, folder, 0)).transpose();
    let mut watcher = Watcher {
        context,
        job,
        downloader: downloader.map_err(|error| Failure::error(error.to_string()))?,
        bar: FramesBar::start(context.show),
        shown: None,
        is_away: false,
        is_known: false,
    };
    let ended = tokio::select! {
        biased;
        () = context.stop.cancelled() => Err(Failure::interrupted(format!(
            "stopped watching; the job goes on. Come back to it with: haywain watch {}", short(&job)
        ))),
        ended = watcher.until_the_end() => ended,
    };
    watcher.bar.clear();
    watcher.last_words(&ended?)
}

struct Watcher<'a> {
    context: &'a Context,
    job: JobId,
    downloader: Option<Downloader>,
    bar: FramesBar,
    /// What was said last.
    shown: Option<(JobState, FrameCounts)>,
    /// Whether the orchestrator has been said to be away.
    is_away: bool,
    /// Whether it has ever answered.
    is_known: bool,
}

impl Watcher<'_> {
    async fn until_the_end(&mut self) -> Outcome<JobReport> {
        loop {
            match self.look().await {
                Ok(report) => {
                    self.is_known = true;
                    if std::mem::take(&mut self.is_away) {
                        self.tell("reachable", "the orchestrator is back", json!({}));
                    }
                    if Exit::of_job(report.state).is_some() {
                        return Ok(report);
                    }
                }
                Err(FetchError::Call(error @ (CallError::Unreachable { .. } | CallError::Busy { .. })))
                    if self.is_known =>
                {
                    if !std::mem::replace(&mut self.is_away, true) {
                        let words = format!("{error}\nThe job goes on without us; waiting for the orchestrator…");
                        self.tell("unreachable", &words, json!({ "reason": error.to_string() }));
                    }
                    self.bar.say("the orchestrator is away, waiting…");
                }
                Err(FetchError::Call(error)) => return Err(error.into()),
                Err(error @ FetchError::Disk { .. }) => return Err(Failure::error(error.to_string())),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// One look. The job is looked at before its frames are: an ended one has no more to come.
    async fn look(&mut self) -> Result<JobReport, FetchError> {
        let report = self.context.api.job(self.job).await?;
        self.show(&report);
        if let Some(downloader) = &mut self.downloader {
            let (context, bar) = (self.context, &self.bar);
            downloader.fetch_new(&mut |file| bar.aside(|| show_file(context, &file))).await?;
        }
        self.bar.show(&report, self.downloader.as_ref().map(Downloader::fetched));
        Ok(report)
    }

    fn show(&mut self, report: &JobReport) {
        let now = (report.state, report.counts);
        if self.shown == Some(now) {
            return;
        }
        let is_new_state = self.shown.is_none_or(|(state, _)| state != report.state);
        self.shown = Some(now);
        match self.context.show.form {
            Form::Json => {
                let _ = say(&progress_line(report).to_string());
            }
            // Who looks at the bar sees it.
            Form::Text if is_new_state && !self.context.show.live => self.context.show.note(&status::in_a_line(report)),
            Form::Text => {}
        }
    }

    fn tell(&self, event: &str, words: &str, mut members: Value) {
        match self.context.show.form {
            Form::Text => self.bar.aside(|| self.context.show.note(words)),
            Form::Json => {
                members["event"] = event.into();
                let _ = say(&members.to_string());
            }
        }
    }

    fn last_words(&self, report: &JobReport) -> Outcome {
        let exit = Exit::of_job(report.state).unwrap_or(Exit::Error);
        let failed = self.downloader.as_ref().map_or(0, |downloader| downloader.failed().len());
        let exit = if failed > 0 && exit == Exit::Done { Exit::Error } else { exit };
        match self.context.show.form {
            Form::Json => say(&json!({ "event": "ended", "exitCode": exit.code(), "job": report }).to_string())?,
            Form::Text => {
                let mut words = status::at_the_end(report);
                match &self.downloader {
                    Some(downloader) => {
                        words = format!("{words}\nFrames are in {}", downloader.folder().display());
                    }
                    None if report.counts.done > 0 => {
                        words =
                            format!("{words}\nFetch its frames with: haywain download {} --out DIR", short(&self.job));
                    }
                    None => {}
                }
                say(&words)?;
            }
        }
        if failed > 0 {
            self.context.show.note(&format!("{failed} files could not be put there, as said above"));
        }
        Ok(exit)
    }
}

/// A line for programs about how a job stands.
fn progress_line(report: &JobReport) -> Value {
    json!({
        "event": "progress",
        "jobId": report.job_id,
        "state": report.state,
        "counts": report.counts,
        "framesPerSecond": report.frames_per_second,
        "etaMs": report.eta_ms,
    })
}

/// Tells of a file, where there is something to tell.
pub fn show_file(context: &Context, file: &FileReport) {
    let path = file.path.display();
    let (word, reason) = match &file.fate {
        Fate::Fetched => ("fetched", None),
        Fate::Kept => ("kept", None),
        Fate::Failed(reason) => ("failed", Some(reason)),
    };
    match context.show.form {
        Form::Json => {
            let line = json!({
                "event": "file", "frame": file.frame, "path": path.to_string(), "fate": word, "reason": reason,
            });
            let _ = say(&line.to_string());
        }
        Form::Text => {
            if let Some(reason) = reason {
                context.show.note(&format!("{path}: {reason}"));
            }
        }
    }
}
