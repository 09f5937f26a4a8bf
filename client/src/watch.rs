//! Watches a job to its end, fetching its frames meanwhile if that is wanted. What happens to it is told by the orchestrator's
//! events; after each the job is looked at, so that nothing depends on an event's having come. An orchestrator that is away is
//! waited for; Ctrl-C leaves the job running.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use haywain_shared::client::CallError;
use haywain_shared::ids::JobId;
use haywain_shared::job::{FrameCounts, JobReport, JobState};
use haywain_shared::retry::{Patience, Waits};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::api::NewsStream;
use crate::context::Context;
use crate::download::{Downloader, Fate, FetchError, FileReport};
use crate::exit::{Exit, Failure, Outcome};
use crate::show::{Form, FramesBar, say, short};
use crate::status;

/// How often the job is looked at though no event says so: how far frames are and how long it will take changes without
/// one.
const GLANCE: Duration = Duration::from_secs(10);
/// For how long events that come in a row are taken together.
const BREATH: Duration = Duration::from_millis(200);

/// Whether the orchestrator has answered before: one that never has may be a wrong address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It has.
    Before,
    /// It has not.
    Never,
}

/// Watches a job.
pub async fn watch(context: &Context, job: JobId, out: Option<&Path>, reached: Reached) -> Outcome {
    let downloader = out.map(|folder| Downloader::open(&context.api, job, folder, 0)).transpose();
    let mut watcher = Watcher {
        context,
        job,
        downloader: downloader.map_err(|error| Failure::error(error.to_string()))?,
        bar: FramesBar::start(context.show),
        shown: None,
        seen: None,
        line: if reached == Reached::Before { Line::There } else { Line::Untried },
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
    shown: Option<Shown>,
    /// The last event that has come.
    seen: Option<u64>,
    line: Line,
}

/// What is said of a job while it is watched.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    state: JobState,
    counts: FrameCounts,
    waits_for: Vec<String>,
}

/// How the line to the orchestrator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It has never answered.
    Untried,
    /// It answers.
    There,
    /// It did, and does not now: that has been said.
    Away,
}

/// What following a job comes to.
enum Followed {
    /// It has ended.
    Ended(Box<JobReport>),
    /// The line was cut.
    Cut,
}

impl Watcher<'_> {
    async fn until_the_end(&mut self) -> Outcome<JobReport> {
        let mut waits = Patience::ORCHESTRATOR.waits();
        loop {
            let wait = match self.follow(&mut waits).await {
                Ok(Followed::Ended(report)) => return Ok(*report),
                // Whether anybody is away, the next call will tell: lines are cut for other reasons too.
                Ok(Followed::Cut) => waits.after(None),
                Err(FetchError::Call(error @ (CallError::Unreachable { .. } | CallError::Busy { .. })))
                    if self.line != Line::Untried =>
                {
                    self.lost(&error);
                    waits.after(Some(&error))
                }
                Err(FetchError::Call(error)) => return Err(error.into()),
                Err(error @ FetchError::Disk { .. }) => return Err(Failure::error(error.to_string())),
            };
            self.wait(wait).await;
        }
    }

    /// Follows the job by one line of events. It is looked at once the line is there: what happened before is seen by that.
    async fn follow(&mut self, waits: &mut Waits) -> Result<Followed, FetchError> {
        let mut news = self.context.api.news(self.seen).await?;
        loop {
            let report = self.look().await?;
            self.found();
            if Exit::of_job(report.state).is_some() {
                return Ok(Followed::Ended(Box::new(report)));
            }
            if !self.until_it_is_time(&mut news).await {
                return Ok(Followed::Cut);
            }
            // Not before: a line that is cut each time that it is made would be made many times a second.
            waits.begin_anew();
        }
    }

    /// Waits until something has happened to the job, or it is to be looked at anyhow; whether the line still stands.
    async fn until_it_is_time(&mut self, news: &mut NewsStream) -> bool {
        let mut until = Instant::now() + GLANCE;
        loop {
            match timeout_at(until, news.next()).await {
                Ok(Some(Ok(event))) => {
                    self.seen = Some(event.id);
                    if event.job_id == Some(self.job) {
                        until = until.min(Instant::now() + BREATH);
                    }
                }
                Ok(Some(Err(_)) | None) => return false,
                Err(_) => return true,
            }
        }
    }

    fn found(&mut self) {
        if std::mem::replace(&mut self.line, Line::There) == Line::Away {
            self.tell("reachable", "the orchestrator is back", json!({}));
        }
    }

    fn lost(&mut self, error: &CallError) {
        if std::mem::replace(&mut self.line, Line::Away) == Line::There {
            let words = format!("{error}\nThe job goes on without us; trying again until the orchestrator is back");
            self.tell("unreachable", &words, json!({ "reason": error.to_string() }));
        }
    }

    /// Waits before the next try. Who looks on sees for how long.
    async fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.line == Line::Away {
                let seconds = left.as_millis().div_ceil(1000);
                let when = if seconds == 0 { "now".to_owned() } else { format!("in {seconds} s") };
                self.bar.say(&format!("orchestrator away, trying again {when}"));
            }
            if left.is_zero() {
                return;
            }
            sleep(left.min(Duration::from_secs(1))).await;
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
        let now = Shown { state: report.state, counts: report.counts, waits_for: report.waits_for.clone() };
        if self.shown.as_ref() == Some(&now) {
            return;
        }
        let is_news = self.shown.as_ref().is_none_or(|last| {
            last.state != now.state || (last.waits_for != now.waits_for && !now.waits_for.is_empty())
        });
        self.shown = Some(now);
        match self.context.show.form {
            Form::Json => {
                let _ = say(&progress_line(report).to_string());
            }
            // Who looks at the bar sees it.
            Form::Text if is_news && !self.context.show.live => self.context.show.note(&status::in_a_line(report)),
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
        "waitsFor": report.waits_for,
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
