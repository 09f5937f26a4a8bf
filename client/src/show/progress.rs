//! Progress bars, on standard error, for somebody who looks on; where nobody does they are silent.

use std::time::Duration;

use haywain_shared::job::JobReport;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Show, words};

/// How often what turns is drawn.
const TICK: Duration = Duration::from_millis(120);

fn bar(show: Show, length: Option<u64>, template: &str) -> ProgressBar {
    let target = if show.live { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━╸ "));
    if show.live {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// Something whose length nobody knows.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Begins, and says what is done.
    #[must_use]
    pub fn start(show: Show, what: &str) -> Self {
        let bar = bar(show, None, "{spinner} {msg} {elapsed}");
        bar.set_message(what.to_owned());
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Bytes on their way.
#[derive(Debug, Clone)]
pub struct Bytes(ProgressBar);

impl Bytes {
    /// Begins.
    #[must_use]
    pub fn start(show: Show, what: &str, total: u64) -> Self {
        let bar =
            bar(show, Some(total), "{prefix:9} {bar:30.cyan} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}");
        bar.set_prefix(what.to_owned());
        Self(bar)
    }

    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So many are to be done again.
    pub fn take_back(&self, bytes: u64) {
        self.0.dec(bytes);
    }

    /// A word beside the bar.
    pub fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Runs `print` with the bar out of the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A job's frames.
#[derive(Debug)]
pub struct FramesBar(ProgressBar);

impl FramesBar {
    /// Begins.
    #[must_use]
    pub fn start(show: Show) -> Self {
        Self(bar(show, Some(0), "{spinner} {prefix} {bar:30.green} {pos}/{len} frames  {wide_msg}"))
    }

    /// Shows how the job stands, and how many files have been fetched, if any are.
    pub fn show(&self, job: &JobReport, fetched: Option<u64>) {
        self.0.set_prefix(job.name.clone().unwrap_or_else(|| words::short(&job.job_id)));
        self.0.set_length(job.counts.total);
        self.0.set_position(job.counts.done);
        self.0.set_message(line(job, fetched));
    }

    /// A word in place of the numbers.
    pub fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Runs `print` with the bar out of the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// How a job stands, in a line.
fn line(job: &JobReport, fetched: Option<u64>) -> String {
    let agents: std::collections::BTreeSet<_> = job.batches.iter().map(|batch| batch.agent_id).collect();
    let parts = [
        Some(format!("{} running", job.counts.leased)),
        (job.counts.failed > 0).then(|| format!("{} failed", job.counts.failed)),
        job.frames_per_second
            .map(|speed| if speed < 0.1 { format!("{:.1}/min", speed * 60.0) } else { format!("{speed:.1}/s") }),
        job.eta_ms.map(|eta| format!("{} left", words::duration(Duration::from_millis(eta)))),
        Some(format!("{} {}", agents.len(), if agents.len() == 1 { "agent" } else { "agents" })),
        fetched.map(|files| format!("{files} fetched")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
