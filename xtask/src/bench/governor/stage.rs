//! A farm whose agents take turns on this machine: one works, the others wait with their Blenders warm. The orchestrator tells
//! them, as a person would.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::farm::Farm;
use crate::http::Client;
use crate::interrupt;
use crate::service::Service;
use crate::workspace::FarmPrograms;

/// How often it is looked.
const GLANCE: Duration = Duration::from_millis(100);
/// How long an agent may take to be there, or to put down what it has.
const PROMPTLY: Duration = Duration::from_mins(5);
/// How long an agent may take to come to its first frames, and a frame may take.
const PATIENCE: Duration = Duration::from_mins(15);
/// Frames that are rendered before it counts: Blenders start, and the first frames after a pause are slower.
const FRAMES_BEFORE: u64 = 6;
/// The fewest frames that make a rate.
const LEAST_FRAMES: u64 = 6;
/// Frames of the job: more than any bench renders.
const FRAMES: u32 = 100_000;

/// The farm, and the job that its agents work on.
pub(super) struct Stage<'a> {
    programs: &'a FarmPrograms,
    folder: PathBuf,
    // Before the farm: agents end while their orchestrator is there to hear it.
    agents: Vec<Agent>,
    farm: Farm,
    client: Client,
    job: String,
}

struct Agent {
    id: String,
    name: String,
    service: Service,
}

impl<'a> Stage<'a> {
    /// With a job of a scene, to which `options` are added.
    pub(super) fn open(
        programs: &'a FarmPrograms,
        folder: &Path,
        scene: &Path,
        options: &Value,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let farm = Farm::start(programs, folder, scene)?;
        let client = Client::new(farm.url(), Duration::from_secs(30));
        let mut body = options.clone();
        body["from"] = json!(1);
        body["to"] = json!(FRAMES);
        let answer = client.post("/render", &body)?.expect_status(202)?;
        let job = answer.location.context("a job without a Location")?;
        // Nobody is to take it up before it is measured.
        let stage = Self { programs, folder: folder.to_owned(), agents: Vec::new(), farm, client, job };
        stage.control_job("pause")?;
        Ok(stage)
    }

    /// Starts an agent, which waits.
    pub(super) fn hire(&mut self, name: &str, flags: &[&str]) -> anyhow::Result<()> {
        let data_dir = self.folder.join(format!("agent-{name}"));
        let log = self.folder.join(format!("agent-{name}.log"));
        let data_dir = data_dir.to_str().context("a folder whose name is no text")?;
        let mut arguments = vec!["--orchestrator", self.farm.url(), "--name", name, "--data-dir", data_dir];
        arguments.extend(flags);
        let service = Service::start(&format!("agent {name}"), &self.programs.agent, &arguments, log)?;
        let id = self.wait("an agent that registers", PROMPTLY, |stage| {
            let list = stage.client.get_json("/api/v1/agents")?;
            let agents = list["agents"].as_array().context("a list of agents")?;
            let agent = agents.iter().find(|agent| agent["name"] == name);
            Ok(agent.and_then(|agent| agent["agentId"].as_str()).map(str::to_owned))
        })?;
        self.agents.push(Agent { id, name: name.to_owned(), service });
        self.control(name, "drain")
    }

    /// Ends an agent.
    pub(super) fn dismiss(&mut self, name: &str) {
        self.agents.retain(|agent| agent.name != name);
    }

    /// Lets one agent work until its log says `message`, which it may have said before. Returns the last such line.
    pub(super) fn work_until(&mut self, name: &str, message: &str, limit: Duration) -> anyhow::Result<String> {
        self.begin(name)?;
        let said = self.wait(message, limit, |stage| {
            let log = stage.agent(name)?.service.log();
            Ok(log.lines().rev().find(|line| line.contains(message)).map(str::to_owned))
        })?;
        self.end(name)?;
        Ok(said)
    }

    /// Lets one agent work for as long as `window`, and says how many frames a second that came to.
    pub(super) fn rate(&mut self, name: &str, window: Duration) -> anyhow::Result<f64> {
        self.begin(name)?;
        let begun = self.done()?;
        let (mut from, mut at) = self.next_frame(begun + FRAMES_BEFORE - 1)?;
        let (first, started) = (from, at);
        while at.duration_since(started) < window || from - first < LEAST_FRAMES {
            (from, at) = self.next_frame(from)?;
        }
        self.end(name)?;
        #[expect(clippy::cast_precision_loss, reason = "frames are few")]
        let frames = (from - first) as f64;
        Ok(frames / at.duration_since(started).as_secs_f64())
    }

    /// Waits until more than so many frames are done: how many, and when.
    fn next_frame(&mut self, than: u64) -> anyhow::Result<(u64, Instant)> {
        self.wait("a frame", PATIENCE, |stage| {
            let done = stage.done()?;
            Ok((done > than).then(|| (done, Instant::now())))
        })
    }

    fn begin(&mut self, name: &str) -> anyhow::Result<()> {
        self.control(name, "resume")?;
        self.control_job("resume")
    }

    /// The agent finishes what it has in work, and waits again.
    fn end(&mut self, name: &str) -> anyhow::Result<()> {
        self.control_job("pause")?;
        self.control(name, "drain")?;
        self.wait("the end of the frames in work", PROMPTLY, |stage| Ok((stage.count("leased")? == 0).then_some(())))
    }

    fn done(&self) -> anyhow::Result<u64> {
        self.count("done")
    }

    fn count(&self, state: &str) -> anyhow::Result<u64> {
        let job = self.client.get_json(&self.job)?;
        if let Some(failure) = job["failures"].as_array().and_then(|failures| failures.first()) {
            bail!("a frame has failed: {failure}");
        }
        job["counts"][state].as_u64().with_context(|| format!("a job without a number of {state} frames"))
    }

    fn control_job(&self, action: &str) -> anyhow::Result<()> {
        let path = self.job.replace("/status/", "/api/v1/jobs/");
        let answer = self.client.post(&format!("{path}/{action}"), &Value::Null)?;
        if answer.status >= 300 {
            bail!("the job can't be told to {action}: {}", answer.body);
        }
        Ok(())
    }

    fn control(&self, name: &str, action: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/agents/{}/{action}", self.agent(name)?.id);
        self.client.post(&path, &Value::Null)?.expect_status(204).map(drop)
    }

    fn agent(&self, name: &str) -> anyhow::Result<&Agent> {
        self.agents.iter().find(|agent| agent.name == name).with_context(|| format!("no agent {name}"))
    }

    fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            self.farm.check()?;
            self.agents.iter_mut().try_for_each(|agent| agent.service.check())?;
            if started.elapsed() > limit {
                bail!("waited {} s in vain for {what}; logs are in {}", limit.as_secs(), self.folder.display());
            }
            interrupt::pause(GLANCE)?;
        }
    }
}
