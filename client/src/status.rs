//! How a job stands, in words for people.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::{FrameRange, runs};
use haywain_shared::job::{JobReport, JobState};

use crate::show::{Align, Style, Table, ago, duration, short, speed};

/// The longest list of frames that is written out.
const MOST_RUNS: usize = 12;

/// How a job stands, in a line.
#[must_use]
pub fn in_a_line(job: &JobReport) -> String {
    let counts = &job.counts;
    let waits = if job.waits_for.is_empty() { String::new() } else { format!("; {}", job.waits_for.join("; ")) };
    format!(
        "{}: {}, {} of {} frames done, {} running, {} failed{waits}",
        title(job),
        Style::Plain.job(job.state),
        counts.done,
        counts.total,
        counts.leased,
        counts.failed
    )
}

/// How a job ended.
#[must_use]
pub fn at_the_end(job: &JobReport) -> String {
    let counts = &job.counts;
    match job.state {
        JobState::Completed => {
            let took = job.ended_at.map_or(Duration::ZERO, |end| between(job, end));
            format!("Job completed: {}, {} frames in {}", title(job), counts.total, duration(took))
        }
        JobState::Failed => failure(job),
        JobState::Cancelled => {
            format!("Job cancelled: {}, {} of {} frames were done", title(job), counts.done, counts.total)
        }
        JobState::Pending | JobState::Running | JobState::Paused => in_a_line(job),
    }
}

fn between(job: &JobReport, end: jiff::Timestamp) -> Duration {
    Duration::try_from(end.duration_since(job.created_at)).unwrap_or_default()
}

/// Why a job failed: the scene's fault, or the frames by cause.
fn failure(job: &JobReport) -> String {
    let failed = list(&job.frames.failed);
    if let Some(fault) = &job.scene_fault {
        return format!("Job failed: {}, frames {failed}: {}: {}", title(job), fault.cause, fault.message);
    }
    let mut lines =
        vec![format!("Job failed: {}, {} of {} frames failed", title(job), job.counts.failed, job.counts.total)];
    for cause in Cause::ALL {
        let of_cause: Vec<_> = job.failures.iter().filter(|failure| failure.cause == cause).collect();
        if let Some(first) = of_cause.first() {
            let frames = list(&runs(of_cause.iter().map(|failure| failure.frame)));
            let plural = if of_cause.len() == 1 { "" } else { "s" };
            lines.push(format!("  frame{plural} {frames}: {cause}: {}", first.message));
        }
    }
    lines.push(format!("See why with: haywain logs {}", short(&job.job_id)));
    lines.join("\n")
}

/// What people call it, and the end of its id.
fn title(job: &JobReport) -> String {
    let id = short(&job.job_id);
    job.name.as_ref().map_or_else(|| id.clone(), |name| format!("{name} ({id})"))
}

/// The whole of a job.
#[must_use]
pub fn in_full(job: &JobReport, style: Style, now_ns: u64) -> String {
    let mut lines = vec![format!("{}  {}", style.heading(job.name.as_deref().unwrap_or("job")), style.job(job.state))];
    let counts = &job.counts;
    lines.push(format!("id         {}", job.job_id));
    lines.push(format!("submitted  {}, priority {}", ago(job.created_at, now_ns), job.priority));
    if let Some(end) = job.ended_at {
        lines.push(format!("ended      {}, after {}", ago(end, now_ns), duration(between(job, end))));
    }
    lines.push(format!("frames     {} of {} done", counts.done, counts.total));
    let by_state = [
        ("pending", counts.pending, &job.frames.pending),
        ("running", counts.leased, &job.frames.leased),
        ("done", counts.done, &job.frames.done),
        ("failed", counts.failed, &job.frames.failed),
    ];
    for (word, count, frames) in by_state.into_iter().filter(|(_, count, _)| *count > 0) {
        lines.push(format!("           {word} {count}: {}", list(frames)));
    }
    lines.extend(job.waits_for.iter().map(|reason| format!("waits      {reason}")));
    lines.extend(blender(job));
    if let Some(per_second) = job.frames_per_second {
        let left = job.eta_ms.map(|eta| format!(", {} left", duration(Duration::from_millis(eta)))).unwrap_or_default();
        lines.push(format!("speed      {}{left}", speed(per_second)));
    }
    if let Some(folder) = &job.output_folder {
        lines.push(format!("folder     {folder} (on the orchestrator's machine)"));
    }
    if !job.batches.is_empty() {
        lines.push(format!("\n{}", batches(job, style)));
    }
    if !job.agents.is_empty() {
        lines.push(format!("\n{}", agents(job, style)));
    }
    if job.counts.failed > 0 {
        lines.push(format!("\n{}", failure(job)));
    }
    lines.join("\n")
}

/// Which Blender renders the job, and which one saved its file, where that is known.
fn blender(job: &JobReport) -> Option<String> {
    let saved_by = job.saved_by.map(|release| format!("the file was saved by {release}"));
    let parts: Vec<_> = job.blender.clone().into_iter().chain(saved_by).collect();
    (!parts.is_empty()).then(|| format!("blender    {}", parts.join(", ")))
}

fn batches(job: &JobReport, style: Style) -> String {
    let mut table = Table::new([
        ("RUNNING ON", Align::Left),
        ("BATCH", Align::Left),
        ("AT FRAME", Align::Right),
        ("", Align::Right),
    ]);
    for batch in &job.batches {
        let frame = batch.frame_in_work.map(|frame| frame.to_string()).unwrap_or_default();
        let fraction = batch.frame_in_work.map(|_| format!("{:.0} %", batch.fraction * 100.0)).unwrap_or_default();
        table.row([batch.agent.clone(), batch.frames.to_string(), frame, fraction]);
    }
    table.show(style, None, "")
}

fn agents(job: &JobReport, style: Style) -> String {
    let mut table = Table::new([("RENDERED BY", Align::Left), ("FRAMES", Align::Right), ("A FRAME", Align::Right)]);
    for share in &job.agents {
        let each = Duration::from_millis(share.render_ms / share.frames.max(1));
        let each = if each.as_secs() < 10 { format!("{:.1}s", each.as_secs_f64()) } else { duration(each) };
        table.row([share.agent.clone(), share.frames.to_string(), each]);
    }
    table.show(style, None, "")
}

fn list(frames: &[FrameRange]) -> String {
    let shown: Vec<_> = frames.iter().take(MOST_RUNS).map(ToString::to_string).collect();
    let more = if frames.len() > MOST_RUNS { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
