//! How long a job takes from its submission to an agent that waits in its long poll. The agent is this program: it renders
//! nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use super::spread::Spread;
use crate::farm::Farm;
use crate::http::Client;
use crate::interrupt;
use crate::workspace::{Profile, Workspace, must_exist};

/// The calls of the agents' protocol.
const PREFIX: &str = "/api/v1/agent";
/// An id that no other agent of this orchestrator has.
const AGENT: &str = "00000000-0000-7000-8000-000000000001";
/// Longer than the orchestrator holds a poll.
const CALL: Duration = Duration::from_mins(2);
/// The time between the poll's departure and the submission: it has arrived by then.
const SETTLE: Duration = Duration::from_millis(20);
/// A job that takes longer than this to arrive is lost.
const LOST: Duration = Duration::from_secs(10);
/// How often it is looked for an interrupt.
const GLANCE: Duration = Duration::from_millis(100);
/// What issue 2 asks for.
const LIMIT: Duration = Duration::from_millis(50);

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many jobs to submit, one after the other
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    submissions: u32,
}

/// What the agent's thread has to say.
enum Event {
    /// It is about to poll.
    Asking,
    /// It has received a job.
    Granted { at: Instant, job: String },
}

/// Measures, and prints the figures.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let scene = workspace.demo_scene();
    must_exist(&scene)?;
    let programs = workspace.build_farm(Profile::Release)?;
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut farm = Farm::start(&programs, &folder, &scene)?;
    println!("==> {} submissions, one after the other, to {}", flags.submissions, farm.url());
    let times = measure(&mut farm, flags.submissions);
    drop(farm);
    let spread = Spread::of(times?).context("nothing was measured")?;
    // Kept when it fails: the log is in it.
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    let ms = |percent| spread.percentile(percent).as_secs_f64() * 1000.0;
    println!(
        "from POST /render to the waiting agent: min {:.2} ms, median {:.2} ms, 99th percentile {:.2} ms, max {:.2} ms; \
         {:.1} % under {} ms",
        ms(0),
        ms(50),
        ms(99),
        ms(100),
        spread.percent_under(LIMIT),
        LIMIT.as_millis(),
    );
    Ok(())
}

fn measure(farm: &mut Farm, submissions: u32) -> anyhow::Result<Vec<Duration>> {
    let client = Client::new(farm.url(), CALL);
    register(&client)?;
    let (sender, events) = channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let agent = scope.spawn(|| act_as_agent(&client, &sender, &stop));
        let times = (0..submissions).map(|_| submit(&client, &events)).collect::<anyhow::Result<Vec<_>>>();
        stop.store(true, Ordering::SeqCst);
        // One more job ends the poll in which the agent waits; if the orchestrator is gone, that has ended the poll.
        let _ = client.post("/render", &json!({ "from": 1, "to": 1 }));
        let acted = agent.join().unwrap_or_else(|_| bail!("the agent's thread has panicked"));
        // What went wrong first, on either side: a loss on this side has its reason on the other.
        acted?;
        times
    })
}

fn register(client: &Client) -> anyhow::Result<()> {
    let body = json!({
        "agentId": AGENT, "incarnation": 1, "name": "bench", "slots": 1,
        "machine": { "os": "bench", "arch": "bench", "logicalCores": 1, "memoryBytes": 1 },
        "blenders": [{ "version": "0.0.0", "kind": "program" }],
    });
    client.post(&format!("{PREFIX}/register"), &body)?.expect_status(200)?;
    Ok(())
}

/// Submits a job to the agent that is about to wait for one, and tells how long it was on its way.
fn submit(client: &Client, events: &Receiver<Event>) -> anyhow::Result<Duration> {
    let Event::Asking = next(events)? else { bail!("the agent was granted a job that nobody submitted") };
    interrupt::pause(SETTLE)?;
    let start = Instant::now();
    let answer = client.post("/render", &json!({ "from": 1, "to": 1 }))?.expect_status(202)?;
    let Event::Granted { at, job } = next(events)? else { bail!("the agent's poll ended without a job") };
    if answer.json()?["jobId"] != Value::String(job.clone()) {
        bail!("the agent was granted another job, {job}");
    }
    Ok(at.saturating_duration_since(start))
}

fn next(events: &Receiver<Event>) -> anyhow::Result<Event> {
    let start = Instant::now();
    loop {
        interrupt::check()?;
        match events.recv_timeout(GLANCE) {
            Ok(event) => return Ok(event),
            Err(RecvTimeoutError::Disconnected) => bail!("the agent's thread has ended"),
            Err(RecvTimeoutError::Timeout) if start.elapsed() > LOST => bail!("nothing within {} s", LOST.as_secs()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Leases jobs and fails each for good at once, so that the queue is empty for the next one.
fn act_as_agent(client: &Client, events: &Sender<Event>, stop: &AtomicBool) -> anyhow::Result<()> {
    for request in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        // Nobody listens any more only when the bench is over.
        let _ = events.send(Event::Asking);
        let ask = json!({
            "agentId": AGENT, "incarnation": 1, "requestId": format!("00000000-0000-7000-8001-{request:012x}"),
            "memoryAvailableBytes": 8_000_000_000_u64,
        });
        let answer = client.post(&format!("{PREFIX}/lease"), &ask)?;
        let at = Instant::now();
        let grant = answer.expect_status(200)?.json()?;
        let name =
            |member| grant[member].as_str().map(str::to_owned).with_context(|| format!("a grant without {member}"));
        let (lease, job) = (name("leaseId")?, name("jobId")?);
        let failure = json!({ "frame": 1, "cause": "bad_scene", "message": "bench", "logTail": "" });
        client.post(&format!("{PREFIX}/leases/{lease}/failures"), &failure)?.expect_status(204)?;
        let _ = events.send(Event::Granted { at, job });
    }
    Ok(())
}
