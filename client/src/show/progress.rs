//! Progress bars, on standard error, for somebody who looks on; where nobody does they are silent. Each keeps to one line of 80
//! columns: what comes last in it is what can be missed.

use std::time::Duration;

use console::truncate_str;
use haywain_shared::job::{JobReport, JobState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::terminal::Narrower;
use super::{Show, words};

/// How often what turns is drawn.
const TICK: Duration = Duration::from_millis(120);
/// The most columns that a job's name takes.
const NAME_COLUMNS: usize = 16;

fn bar(show: Show, length: Option<u64>, template: &str) -> ProgressBar {
    let target = if show.live {
        ProgressDrawTarget::term_like_with_hz(Box::new(Narrower::stderr()), 10)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(length, target);
    bar.set_style(style(template));
    if show.live {
        bar.enable_steady_tick(TICK);
    }
    bar
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸ ").with_key("moved", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}", moved(state.pos(), state.len().unwrap_or(0), state.per_sec()));
    })
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

    /// Says something else of what is done.
    pub fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Runs `print` with the spinner out of the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
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

/// While they move.
const MOVING: &str = "{prefix:7} {bar:24.cyan} {moved}";
/// While something else is to be said.
const STANDING: &str = "{prefix:7} {bar:24.cyan} {wide_msg}";

impl Bytes {
    /// Begins.
    #[must_use]
    pub fn start(show: Show, what: &str, total: u64) -> Self {
        let bar = bar(show, Some(total), MOVING);
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

    /// A word in place of the numbers.
    pub fn say(&self, text: &str) {
        self.0.set_style(style(STANDING));
        self.0.set_message(text.to_owned());
    }

    /// The numbers again.
    pub fn go_on(&self) {
        self.0.set_style(style(MOVING));
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
        Self(bar(show, Some(0), "{prefix} {bar:16.green} {pos}/{len}  {wide_msg}"))
    }

    /// Shows how the job stands, and how many files have been fetched, if any are.
    pub fn show(&self, job: &JobReport, fetched: Option<u64>) {
        let name = job.name.clone().unwrap_or_else(|| words::short(&job.job_id));
        self.0.set_prefix(truncate_str(&name, NAME_COLUMNS, "…").into_owned());
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
    let (counts, is_paused) = (&job.counts, job.state == JobState::Paused);
    let agents: std::collections::BTreeSet<_> = job.batches.iter().map(|batch| batch.agent_id).collect();
    let running = match (counts.leased, agents.len()) {
        (0, _) if counts.pending > 0 && !is_paused => {
            job.waits_for.first().cloned().unwrap_or_else(|| "waiting for an agent".to_owned())
        }
        (0, _) => String::new(),
        (frames, 1) => format!("{frames} running on 1 agent"),
        (frames, agents) => format!("{frames} running on {agents} agents"),
    };
    let parts = [
        is_paused.then(|| "paused".to_owned()),
        (counts.failed > 0).then(|| format!("{} failed", counts.failed)),
        job.eta_ms.filter(|_| !is_paused).map(|eta| format!("{} left", words::duration(Duration::from_millis(eta)))),
        job.frames_per_second.map(words::speed),
        Some(running).filter(|running| !running.is_empty()),
        fetched.map(|files| format!("{files} fetched")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How far bytes are, how fast, and how long it will take.
fn moved(done: u64, total: u64, per_second: f64) -> String {
    let far = format!("{} of {}", words::bytes(done), words::bytes(total));
    if per_second < 1.0 || done >= total {
        return far;
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds are shown")]
    let left = Duration::try_from_secs_f64((total - done) as f64 / per_second).unwrap_or(Duration::MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is above 1")]
    let speed = words::bytes(per_second as u64);
    format!("{far}, {speed}/s, {} left", words::duration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_on_their_way_have_their_units_and_never_an_idle_guess() {
        for (done, total, per_second, text) in [
            (0, 3_000_000_000, 0.0, "0 B of 3.0 GB"),
            (400_000_000, 3_000_000_000, 26_000_000.0, "400 MB of 3.0 GB, 26 MB/s, 1m 40s left"),
            (7, 7, 100.0, "7 B of 7 B"),
        ] {
            assert_eq!(moved(done, total, per_second), text);
        }
    }
}
