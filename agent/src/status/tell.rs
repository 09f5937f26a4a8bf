//! The status in words, for a terminal.

use std::fmt::Write as _;
use std::path::Path;

use jiff::{SpanRound, Timestamp, Unit};
use serde::Serialize;

use super::{Doing, Holding, Status, Work};
use crate::machine;

/// The agent of a data folder, as `haywain-agent status` finds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Whether it runs.
    pub running: bool,
    /// What it has said last, unless it has ended in order.
    pub status: Option<Status>,
    /// All of that in words.
    #[serde(skip)]
    pub text: String,
}

/// Looks for the agent of a data folder. `now` is what the past is counted from.
pub fn of(data_dir: &Path, now: Timestamp) -> std::io::Result<Found> {
    let folder = data_dir.display();
    let Some(status) = super::read(data_dir)? else {
        let text = format!(
            "No agent runs with the data folder {folder}. If yours has another one, name it with --data-dir.\n"
        );
        return Ok(Found { running: false, status: None, text });
    };
    if machine::is_running(status.agent.process, status.agent.started) {
        let text = told(&status, now);
        return Ok(Found { running: true, status: Some(status), text });
    }
    let since = status.last_contact.map_or_else(|| "never".to_owned(), |at| ago(at, now));
    let text = format!(
        "The agent {} of the data folder {folder} is not running: it has ended without a word (process {}). Its last contact: {since}.\n",
        status.agent.name, status.agent.process
    );
    Ok(Found { running: false, status: Some(status), text })
}

fn told(status: &Status, now: Timestamp) -> String {
    let Status { agent, doing, obstacles, last_contact, slots, work, outbox, cache, machine, done } = status;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("agent", &format!("{} ({})", agent.name, agent.agent_id));
    line("process", &format!("{}, version {}, since {}", agent.process, agent.version, ago(agent.started, now)));
    line("orchestrator", &agent.orchestrator);
    line("last contact", &last_contact.map_or_else(|| "none yet".to_owned(), |at| ago(at, now)));
    line("doing", in_words(*doing));
    for obstacle in obstacles {
        line("obstacle", obstacle);
    }
    line("blenders", &agent.blenders.join(", "));
    line("sandbox", &agent.sandbox);
    // A batch that has come ahead is with a slot that is at work.
    let at_work = work.len().min(usize::try_from(*slots).unwrap_or(usize::MAX));
    line("slots", &format!("{at_work} of {slots} at work"));
    for work in work {
        line("", &one(work));
    }
    line("done", &format!("{} frames, {} failed attempts since the start", done.frames, done.failures));
    line("outbox", &format!("{} frames wait to be delivered, {}", outbox.count, room(outbox)));
    line("cache", &format!("{} scenes, {}", cache.count, room(cache)));
    if let Some(machine) = machine {
        let free = megabytes(machine.memory_available_bytes);
        line("machine", &format!("{:.1} processors busy, {free} of memory available", machine.cores_busy));
    }
    if *doing == Doing::Waiting && obstacles.is_empty() {
        text.push_str(
            "\nIt has nothing to do. If jobs wait all the same, `haywain agents` says why they do not come here.\n",
        );
    }
    text
}

const fn in_words(doing: Doing) -> &'static str {
    match doing {
        Doing::Registering => "making itself known to the orchestrator, which does not know it yet",
        Doing::Waiting => "waiting for work",
        Doing::Working => "working",
        Doing::Drained => "drained by the orchestrator's owner: it takes no work until it is resumed there",
        Doing::Leaving => "leaving: it finishes the frames in work",
    }
}

fn one(Work { lease_id: _, job_id, frame, fraction, frames_done }: &Work) -> String {
    let frame = frame.map_or_else(
        || "between two frames".to_owned(),
        |frame| format!("frame {frame}, {:.0} %", f64::from(*fraction) * 100.0),
    );
    format!("job {job_id}: {frame}; {frames_done} done of this batch")
}

fn room(Holding { count: _, bytes, max_bytes }: &Holding) -> String {
    format!("{} of at most {}", megabytes(*bytes), megabytes(*max_bytes))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// How long ago that was, to the second. What the wall's clock puts into the future is now.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let span =
        now.max(at).since(at).and_then(|span| span.round(SpanRound::new().largest(Unit::Hour).smallest(Unit::Second)));
    span.map_or_else(|error| error.to_string(), |span| format!("{span:#} ago"))
}

#[cfg(test)]
pub(super) mod tests {
    use haywain_shared::ids::{AgentId, JobId, LeaseId};
    use haywain_shared::protocol::MachineSample;

    use super::*;
    use crate::status::{Done, Who};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    pub(in crate::status) fn status() -> Status {
        let work = |frame: Option<i64>| Work {
            lease_id: LeaseId::generate(),
            job_id: JobId::generate(),
            frame: frame.map(|frame| frame.try_into().unwrap()),
            fraction: 0.25,
            frames_done: 2,
        };
        Status {
            agent: Who {
                agent_id: AgentId::generate(),
                name: "barn".to_owned(),
                version: "0.1.0".to_owned(),
                orchestrator: "http://farm:4000/".to_owned(),
                blenders: vec!["Blender 3.4.1".to_owned()],
                sandbox: "full".to_owned(),
                process: std::process::id(),
                started: at(1_763_996_400),
            },
            doing: Doing::Working,
            obstacles: vec!["the disk is full".to_owned()],
            last_contact: Some(at(1_764_000_000)),
            slots: 2,
            work: vec![work(Some(7)), work(None)],
            outbox: Holding { count: 3, bytes: 3_000_000, max_bytes: 10_000_000 },
            cache: Holding { count: 1, bytes: 1, max_bytes: 20_000_000_000 },
            machine: Some(MachineSample { cores_busy: 1.5, memory_available_bytes: 4_000_000_000 }),
            done: Done { frames: 40, render_ms: 80_000, failures: 1 },
        }
    }

    #[test]
    fn everything_is_told_in_words() {
        let status = status();
        let text = told(&status, at(1_764_000_005));
        for part in [
            "agent         barn (",
            "version 0.1.0, since 1h 5s ago",
            "last contact  5s ago",
            "doing         working\n",
            "obstacle      the disk is full\n",
            "slots         2 of 2 at work\n",
            "frame 7, 25 %; 2 done of this batch",
            "between two frames; 2 done",
            "40 frames, 1 failed attempts",
            "3 frames wait to be delivered, 3 MB of at most 10 MB",
            "cache         1 scenes, 1 MB of at most 20000 MB",
            "1.5 processors busy, 4000 MB of memory available",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("nothing to do"));
        let idle = Status { doing: Doing::Waiting, obstacles: Vec::new(), last_contact: None, ..status };
        let text = told(&idle, at(1_764_000_005));
        assert!(text.contains("last contact  none yet") && text.contains("haywain agents"), "{text}");
    }

    #[test]
    fn an_agent_that_has_ended_is_told_from_one_that_never_was() {
        let folder = tempfile::tempdir().unwrap();
        let Found { running, status: none, text } = of(folder.path(), at(1_764_000_005)).unwrap();
        assert!(text.contains("No agent runs") && !running && none.is_none(), "{text}");
        // This process has not started then: the number is somebody else's by now.
        std::fs::write(folder.path().join(super::super::FILE), serde_json::to_vec(&status()).unwrap()).unwrap();
        let Found { running, status: ended, text } = of(folder.path(), at(1_764_000_005)).unwrap();
        assert!(text.contains("barn") && text.contains("is not running") && !running && ended.is_some(), "{text}");
    }
}
