//! Signs of life of a Blender: what it prints, how far it says it is, what it uses of the processors. From them follows when
//! a process that is waited for has taken too long, or does nothing any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haywain_shared::cause::Cause;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::time::Instant;

use super::log::LogTail;
use super::progress;
use super::session::Failure;
use crate::machine::{Activity, WaitsFor};

/// A process that uses at least one part in this many of one processor is at work.
const AT_WORK_SHARE: u128 = 10;

/// What the process has printed, and when it last gave a sign of life.
pub(super) struct Heard {
    pub(super) tail: LogTail,
    pub(super) fraction: Option<f32>,
    pub(super) last_sign: Instant,
    /// Whether kernels are being made ready: what a GPU computes with is compiled once, and that takes minutes.
    pub(super) kernels: Kernels,
}

/// What Blender is at, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    /// They are ready, or of no matter.
    Ready,
    /// It makes them ready since then.
    Compiling(Instant),
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
        Self { tail: LogTail::default(), fraction: None, last_sign: Instant::now(), kernels: Kernels::Ready }
    }

    pub(super) fn note_progress(&mut self, text: &str) {
        match (progress::compiles(text), self.kernels) {
            (Some(true), Kernels::Ready) => self.kernels = Kernels::Compiling(Instant::now()),
            (Some(false), _) => self.kernels = Kernels::Ready,
            _ => {}
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
    /// Why a process is not to be waited for any longer, if it is not. The time in which kernels are compiled does not count: it
    /// moves the limit.
    pub(super) fn over(&mut self, heard: &mut Heard, cpu: &mut CpuUse, activity: Activity) -> Option<Failure> {
        let now = Instant::now();
        if let Kernels::Compiling(since) = &mut heard.kernels
            && now.duration_since(*since) < LONGEST_COMPILE
        {
            self.until = self.until.map(|(until, limit)| (until + now.duration_since(self.looked), limit));
            heard.last_sign = now;
        }
        self.looked = now;
        if let Some((_, limit)) = self.until.filter(|(until, _)| now >= *until) {
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
        match log.read_until(b'\n', &mut line).await {
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
