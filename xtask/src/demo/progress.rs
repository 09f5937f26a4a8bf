//! What a progress line says, from a job as the orchestrator tells it.

use std::fmt::Write as _;

use serde_json::Value;

/// The widest line: a narrow terminal would wrap a wider one, and it could not be rewritten.
const MAX_COLUMNS: usize = 79;

/// A job at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progress {
    done: u64,
    total: u64,
    batches: Vec<Batch>,
    frames_per_second: Option<f64>,
    eta_ms: Option<u64>,
}

/// A batch at one moment.
#[derive(Debug, Clone, PartialEq)]
struct Batch {
    agent: String,
    frame: Option<i64>,
    percent: f64,
}

impl Progress {
    /// Takes what is needed from the job as JSON. What is missing there is missing here: a progress line is no reason to fail.
    pub(super) fn read(job: &Value) -> Self {
        let count = |name| job["counts"][name].as_u64().unwrap_or_default();
        let batches = job["batches"].as_array().into_iter().flatten().map(|batch| Batch {
            agent: batch["agent"].as_str().unwrap_or("?").to_owned(),
            frame: batch["frameInWork"].as_i64(),
            percent: batch["fraction"].as_f64().unwrap_or_default() * 100.0,
        });
        let mut batches: Vec<_> = batches.collect();
        batches.sort_by(|a, b| a.agent.cmp(&b.agent));
        Self {
            done: count("done"),
            total: count("total"),
            batches,
            frames_per_second: job["framesPerSecond"].as_f64(),
            eta_ms: job["etaMs"].as_u64(),
        }
    }

    /// The line.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{}/{} done", self.done, self.total);
        for batch in &self.batches {
            // Writing to a string cannot fail.
            let _ = match batch.frame {
                Some(frame) => write!(line, "  {}: {frame} ({:.0} %)", batch.agent, batch.percent),
                None => write!(line, "  {}: starting", batch.agent),
            };
        }
        if let Some(speed) = self.frames_per_second {
            let _ = write!(line, "  {speed:.2} frames/s");
        }
        if let Some(ms) = self.eta_ms.filter(|&ms| ms > 0) {
            let _ = write!(line, "  {} s left", ms.div_ceil(1000));
        }
        line.chars().take(MAX_COLUMNS).collect()
    }

    /// Whether nothing has changed but fractions and estimates.
    pub(super) fn is_the_same_step(&self, other: &Self) -> bool {
        let frames = |progress: &Self| progress.batches.iter().map(|batch| batch.frame).collect::<Vec<_>>();
        self.done == other.done && frames(self) == frames(other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn running() -> Value {
        json!({
            "counts": { "total": 20, "pending": 6, "leased": 7, "done": 7, "failed": 0 },
            "batches": [
                { "frames": { "from": 11, "to": 14 }, "agent": "two", "frameInWork": null, "fraction": 0.0 },
                { "frames": { "from": 8, "to": 10 }, "agent": "one", "frameInWork": 8, "fraction": 0.453 },
            ],
            "framesPerSecond": 0.854,
            "etaMs": 15_220,
        })
    }

    #[test]
    fn the_line_says_who_does_what() {
        let line = Progress::read(&running()).line();
        assert_eq!(line, "7/20 done  one: 8 (45 %)  two: starting  0.85 frames/s  16 s left");
    }

    #[test]
    fn before_the_first_frame_there_is_no_speed() {
        let job = json!({ "counts": { "total": 4, "done": 0 }, "batches": [], "framesPerSecond": null, "etaMs": null });
        assert_eq!(Progress::read(&job).line(), "0/4 done");
        assert_eq!(Progress::read(&json!("?")).line(), "0/0 done");
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut job = running();
        job["batches"] = (0..20).map(|n| json!({ "agent": format!("agent {n}"), "frameInWork": n })).collect();
        assert_eq!(Progress::read(&job).line().chars().count(), MAX_COLUMNS);
    }

    #[test]
    fn a_fraction_is_no_step() {
        let before = running();
        let mut after = running();
        after["batches"][1]["fraction"] = json!(0.9);
        assert!(Progress::read(&before).is_the_same_step(&Progress::read(&after)));
        after["batches"][1]["frameInWork"] = json!(9);
        assert!(!Progress::read(&before).is_the_same_step(&Progress::read(&after)));
    }
}
