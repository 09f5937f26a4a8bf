//! The client of a run: it sees to it that there is always work, and knows what it was promised.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::dice::Dice;
use super::pictures::{Lengths, Scene};
use crate::http::Client;

/// How long a call may take.
const CALL: Duration = Duration::from_secs(5);
/// Another job is submitted when fewer frames than this are pending.
const ENOUGH_FRAMES: u64 = 40;
/// Or when fewer jobs than this are open.
const ENOUGH_JOBS: usize = 3;
/// Attempts that a frame gets. Chance may hit one frame more often than the three times that are the default.
const MAX_ATTEMPTS: u32 = 10;

/// A job that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Its id.
    pub(super) id: String,
    /// What it renders.
    pub(super) scene: Scene,
    /// Of that, which frames.
    pub(super) frames: RangeInclusive<u64>,
    is_done: bool,
}

impl Job {
    /// Where it is to be seen.
    pub(super) fn path(&self) -> String {
        format!("/status/{}", self.id)
    }
}

/// The client.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its line.
    pub(super) client: Client,
    dice: Dice,
    lengths: Lengths,
    scenes: BTreeMap<Scene, String>,
    /// Every job that was accepted and is to be rendered.
    pub(super) jobs: Vec<Job>,
    /// Sent, and perhaps not heard: it is sent again as it was.
    unanswered: Option<Submission>,
    submissions: u32,
}

#[derive(Debug, Clone)]
struct Submission {
    key: String,
    scene: Scene,
    frames: RangeInclusive<u64>,
    body: Value,
}

impl Queue {
    /// A client of the orchestrator at `url`.
    pub(super) fn new(url: &str, seed: u64, lengths: Lengths) -> Self {
        // Not the schedule's dice: how many jobs there are depends on the machine's speed.
        let dice = Dice::new(seed ^ 0x6a6f_6273);
        Self {
            client: Client::new(url, CALL),
            dice,
            lengths,
            scenes: BTreeMap::new(),
            jobs: Vec::new(),
            unanswered: None,
            submissions: 0,
        }
    }

    /// Learns how the default scene of the orchestrator that runs is called, by a job of it. That job is the first of the
    /// scene's; it is cancelled if its pictures are not wanted.
    pub(super) fn learn(&mut self, scene: Scene) -> anyhow::Result<()> {
        let last = self.lengths.get(&scene).copied().unwrap_or(1).min(4);
        let answer = self.client.post("/render", &body(1..=last, 2, None))?.expect_status(202)?.json()?;
        let id = answer["jobId"].as_str().context("no jobId")?.to_owned();
        let job = Job { id, scene, frames: 1..=last, is_done: false };
        let report = self.client.get_json(&job.path())?;
        if self.lengths.contains_key(&scene) {
            self.jobs.push(job);
        } else if let status @ (404 | 405) = self.cancel(&job)? {
            bail!("POST /api/v1/jobs/{{id}}/cancel is answered by {status}: this orchestrator has no such call");
        }
        self.scenes.insert(scene, report["scene"].as_str().context("a job without a scene")?.to_owned());
        Ok(())
    }

    /// Whether jobs of a scene can be submitted.
    pub(super) fn knows(&self, scene: Scene) -> bool {
        self.scenes.contains_key(&scene)
    }

    /// Submits a job of the slow scene that goes before all others.
    pub(super) fn submit_slow(&mut self, frames: u64) -> anyhow::Result<Job> {
        let scene = self.scenes.get(&Scene::Slow).context("no slow scene")?;
        let mut body = body(1..=frames, 1, Some(scene));
        body["priority"] = json!(1000);
        let answer = self.client.post("/render", &body)?.expect_status(202)?.json()?;
        let id = answer["jobId"].as_str().context("no jobId")?.to_owned();
        Ok(Job { id, scene: Scene::Slow, frames: 1..=frames, is_done: false })
    }

    /// Cancels a job: the answer's status.
    pub(super) fn cancel(&self, job: &Job) -> anyhow::Result<u16> {
        Ok(self.client.post(&format!("/api/v1/jobs/{}/cancel", job.id), &Value::Null)?.status)
    }

    /// Looks at the jobs, and submits another when there is little left to do. An orchestrator that is not there is none of
    /// its business.
    pub(super) fn feed(&mut self) -> anyhow::Result<()> {
        let Ok((jobs, frames)) = self.look() else { return Ok(()) };
        if jobs < ENOUGH_JOBS || frames < ENOUGH_FRAMES {
            self.submit()?;
        }
        Ok(())
    }

    /// How many jobs are open, and how many of their frames are pending.
    pub(super) fn look(&mut self) -> anyhow::Result<(usize, u64)> {
        let (mut open, mut pending) = (0, 0);
        for job in self.jobs.iter_mut().filter(|job| !job.is_done) {
            let report = self.client.get_json(&job.path())?;
            job.is_done = report["state"] == "completed";
            open += usize::from(!job.is_done);
            pending += report["counts"]["pending"].as_u64().with_context(|| format!("{}: {report}", job.id))?;
        }
        Ok((open, pending))
    }

    /// The jobs that are not completed, as the orchestrator tells them.
    pub(super) fn open_jobs(&self) -> Vec<Value> {
        let open = self.jobs.iter().filter(|job| !job.is_done);
        open.filter_map(|job| self.client.get_json(&job.path()).ok()).collect()
    }

    /// Submits a job, and the same again if it cannot be known whether it was heard.
    fn submit(&mut self) -> anyhow::Result<()> {
        let Some(submission) = self.unanswered.take().or_else(|| self.draw()) else { return Ok(()) };
        let answer = self.client.post_once("/render", &submission.body, &submission.key);
        match answer {
            Ok(answer) if answer.status == 202 => {
                let id = answer.json()?["jobId"].as_str().context("no jobId")?.to_owned();
                if self.jobs.iter().any(|job| job.id == id) {
                    bail!("job {id} was accepted twice");
                }
                self.jobs.push(Job { id, scene: submission.scene, frames: submission.frames, is_done: false });
            }
            // It is not there, or has said that it could not.
            Err(_) => self.unanswered = Some(submission),
            Ok(answer) if answer.status == 503 => self.unanswered = Some(submission),
            Ok(answer) => bail!("a job is answered by {}: {}", answer.status, answer.body.trim()),
        }
        Ok(())
    }

    fn draw(&mut self) -> Option<Submission> {
        self.submissions += 1;
        let scenes: Vec<_> = self.lengths.iter().filter(|(scene, _)| self.scenes.contains_key(scene)).collect();
        let (&scene, &length) = *scenes.get(self.dice.index(scenes.len()))?;
        let first = self.dice.between(&(1..=length / 2));
        let last = self.dice.between(&(first..=length));
        let batch_size = self.dice.between(&(1..=5));
        let body = body(first..=last, batch_size, self.scenes.get(&scene));
        Some(Submission { key: format!("chaos-{}", self.submissions), scene, frames: first..=last, body })
    }
}

fn body(frames: RangeInclusive<u64>, batch_size: u64, scene: Option<&String>) -> Value {
    let (from, to) = frames.into_inner();
    json!({ "from": from, "to": to, "batchSize": batch_size, "scene": scene, "maxAttempts": MAX_ATTEMPTS })
}
