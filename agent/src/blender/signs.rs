//! Signs of life of a Blender: what it prints, how far it says it is, what it uses of the processors. From them follows when
//! a process that is waited for has taken too long, or does nothing any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haywain_shared::cause::Cause;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::time::Instant;

use super::log::LogTail;
use super::progress;
use super::session::Failure;
use crate::machine::{Activity, WaitsFor};

/// A process that uses at least one part in this many of one processor is at work.
const AT_WORK_SHARE: u128 = 10;

/// Compilers of GPU kernels are known to take minutes: after this long one hangs.
const LONGEST_COMPILE: Duration = Duration::from_hours(1);

/// What is longer than this without an end of line counts as several lines: a script that never ends one would fill the agent's memory.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// What the process has printed, and when it last gave a sign of life.
pub(super) struct Heard {
    pub(super) tail: LogTail,
    pub(super) fraction: Option<f32>,
    pub(super) last_sign: Instant,
    kernels: Kernels,
}

/// What GPUs compute with is compiled when it is first wanted, by compilers that say nothing, and that can take minutes.
#[derive(Debug, Clone, Copy, Default)]
struct Kernels {
    /// Since when they are being compiled, if they are.
    compiling_since: Option<Instant>,
    /// How long that has taken before, for the frame in work.
    took: Duration,
}

impl Kernels {
    /// How long it has taken for the frame in work.
    fn took(&self, now: Instant) -> Duration {
        self.took + self.compiling_since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    fn note(&mut self, compiles: bool, now: Instant) {
        match (compiles, self.compiling_since) {
            (true, None) => self.compiling_since = Some(now),
            (false, Some(_)) => *self = Self { compiling_since: None, took: self.took(now) },
            _ => {}
        }
    }
}

/// How long the driver's next word is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// A moment, and the limit that it comes from.
    pub(super) until: Option<(Instant, Duration)>,
    /// The longest time without a sign of life.
    pub(super) stall: Option<Duration>,
}

/// The processor time that a process had used at some moment.
pub(super) struct CpuUse {
    sampled: Instant,
    time_ms: u64,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { tail: LogTail::default(), fraction: None, last_sign: Instant::now(), kernels: Kernels::default() }
    }

    /// Another frame begins.
    pub(super) fn begin_frame(&mut self) {
        self.fraction = None;
        self.kernels = Kernels::default();
    }

    pub(super) fn note_progress(&mut self, text: &str) {
        if let Some(compiles) = progress::compiles(text) {
            self.kernels.note(compiles, Instant::now());
        }
        if let Some(fraction) = progress::fraction(text) {
            self.fraction = Some(fraction);
        }
    }
}

impl CpuUse {
    pub(super) fn new(activity: Activity) -> Self {
        Self { sampled: Instant::now(), time_ms: activity.cpu_time_ms }
    }

    /// Whether a process has been at work since the last sample. Quiet is no proof: a block of samples can take long, so
    /// its use of processors counts, and so does waiting for its turn on a machine that is busy.
    fn is_at_work(&mut self, activity: Activity, now: Instant) -> bool {
        let elapsed_ms = now.duration_since(self.sampled).as_millis();
        let used_ms = u128::from(activity.cpu_time_ms.saturating_sub(self.time_ms));
        *self = Self { sampled: now, time_ms: activity.cpu_time_ms };
        used_ms * AT_WORK_SHARE >= elapsed_ms || activity.waits_for == WaitsFor::Machine
    }
}

impl Waiting {
    /// Why a process is not to be waited for any longer, if it is not.
    pub(super) fn over(self, heard: &mut Heard, cpu: &mut CpuUse, activity: Activity) -> Option<Failure> {
        let now = Instant::now();
        // Compiling counts neither as standing still nor as rendering, unless it seems to have no end.
        let compiled = heard.kernels.took(now).min(LONGEST_COMPILE);
        if heard.kernels.compiling_since.is_some() && compiled < LONGEST_COMPILE {
            heard.last_sign = now;
        }
        if let Some((_, limit)) = self.until.filter(|(until, _)| now >= *until + compiled) {
            let message = format!("the frame took longer than its limit of {} s", limit.as_secs());
            return Some(Failure::new(Cause::TimedOut, message));
        }
        if cpu.is_at_work(activity, now) {
            heard.last_sign = now;
        }
        let stall = self.stall.filter(|stall| now.duration_since(heard.last_sign) >= *stall)?;
        let seconds = stall.as_secs();
        let message = format!("Blender did nothing for {seconds} s: no progress, no output, no processor time");
        Some(Failure::new(Cause::Stalled, message))
    }
}

/// Reads a process's log until it ends: a pipe that nobody empties would stop a render.
pub(super) async fn listen(log: impl AsyncRead + Unpin, heard: Arc<Mutex<Heard>>) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut log).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        tracing::debug!(target: "blender", "{text}");
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last_sign = Instant::now();
        heard.note_progress(text);
        heard.tail.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_an_end_is_kept_in_pieces() {
        let heard = Arc::new(Mutex::new(Heard::new()));
        let log = [vec![b'x'; 3 << 20], b"\nend".to_vec()].concat();
        listen(log.as_slice(), Arc::clone(&heard)).await;
        let text = heard.lock().unwrap().tail.text();
        assert_eq!(text.lines().count() as u64, (3 << 20) / MAX_LINE_BYTES + 2);
        assert!(text.ends_with("x\n\nend\n"), "{}", &text[text.len() - 9..]);
    }

    const LOADING: &str =
        "Fra:1 Mem:9.6M | Scene, ViewLayer | Loading render kernels (may take a few minutes the first time)";
    const LOADED: &str = "Fra:1 Mem:9.6M | Scene, ViewLayer | Sample 0/64";
    const IDLE: Activity = Activity { cpu_time_ms: 0, waits_for: WaitsFor::Anything };

    #[tokio::test(start_paused = true)]
    async fn compiling_counts_towards_neither_limit() {
        /// Minutes, what is heard after them, and so on; why it is over then, if it is.
        type Case = (&'static [(u64, &'static str)], Option<Cause>);
        let minutes = |minutes| Duration::from_mins(minutes);
        #[rustfmt::skip]
        let cases: [Case; 7] = [
            (&[(0, LOADED), (4, "")], None),
            (&[(0, LOADED), (5, "")], Some(Cause::Stalled)),
            (&[(0, LOADING), (30, "")], None),
            (&[(0, LOADING), (30, LOADED), (4, "")], None),
            (&[(0, LOADING), (30, LOADED), (4, LOADED), (4, LOADED), (4, "")], Some(Cause::TimedOut)),
            (&[(0, LOADING), (30, LOADED), (5, "")], Some(Cause::Stalled)),
            // This compiler hangs.
            (&[(0, LOADING), (59, ""), (5, "")], Some(Cause::Stalled)),
        ];
        for (said, cause) in cases {
            let mut heard = Heard::new();
            let waiting = Waiting { until: Some((Instant::now() + minutes(10), minutes(10))), stall: Some(minutes(5)) };
            let mut found = None;
            for (after, line) in said {
                tokio::time::advance(minutes(*after)).await;
                // The processes of this table use no processor.
                let mut cpu = CpuUse { sampled: Instant::now() - minutes(1), time_ms: 0 };
                found = waiting.over(&mut heard, &mut cpu, IDLE).map(|failure| failure.cause).or(found);
                if !line.is_empty() {
                    heard.last_sign = Instant::now();
                    heard.note_progress(line);
                }
            }
            assert_eq!(found, cause, "{said:?}");
        }
    }
}
