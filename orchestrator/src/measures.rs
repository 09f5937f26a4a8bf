//! What is measured, and its text in Prometheus' format. What is counted here begins anew with the process; how the farm stands is
//! asked of the store at each look.

use std::time::Duration;

use haywain_shared::job::{AgentState, JobState};
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::access::table::To;
use crate::store::Census;

const LEASE_SECONDS: &str = "haywain_lease_seconds";
const FIRST_FRAME_SECONDS: &str = "haywain_first_frame_seconds";
const FRAME_SECONDS: &str = "haywain_frame_seconds";
const RECEIVED_BYTES: &str = "haywain_received_bytes_total";
const SENT_BYTES: &str = "haywain_sent_bytes_total";

/// Bounds of the buckets, in seconds: a lease takes milliseconds, a frame seconds to hours, a job's first one as long as agents
/// take to come.
const LEASE_BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
const FRAME_BOUNDS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0, 300.0, 900.0, 3600.0, 14_400.0];

/// What is measured.
pub struct Measures {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    lease: Histogram,
    first_frame: Histogram,
    frame: Histogram,
    agents: Traffic,
    clients: Traffic,
}

/// Bytes that come and go with calls: counted by whoever carries them.
#[derive(Clone)]
pub struct Traffic {
    /// Bodies of calls.
    pub received: Counter,
    /// Bodies of answers.
    pub sent: Counter,
}

impl Measures {
    /// Nothing has happened yet.
    pub fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(LEASE_SECONDS.to_owned()), &LEASE_BOUNDS)?
            .set_buckets_for_metric(Matcher::Full(FIRST_FRAME_SECONDS.to_owned()), &FRAME_BOUNDS)?
            .set_buckets_for_metric(Matcher::Full(FRAME_SECONDS.to_owned()), &FRAME_BOUNDS)?
            .build_recorder();
        let (lease, first_frame, frame, agents, clients) = with_local_recorder(&recorder, || {
            describe();
            let [lease, first, frame] =
                [LEASE_SECONDS, FIRST_FRAME_SECONDS, FRAME_SECONDS].map(|name| histogram!(name));
            (lease, first, frame, Traffic::with("agents"), Traffic::with("clients"))
        });
        Ok(Self { handle: recorder.handle(), recorder, lease, first_frame, frame, agents, clients })
    }

    /// A batch was granted, so long after it could have been: after its agent has asked, and there was something to give.
    pub fn leased(&self, after: Duration) {
        self.lease.record(after);
    }

    /// A frame was recorded. If it is its job's first: so long after the job was submitted.
    pub fn recorded(&self, render: Duration, first_after: Option<Duration>) {
        self.frame.record(render);
        if let Some(first_after) = first_after {
            self.first_frame.record(first_after);
        }
    }

    /// Where the bytes are counted of calls that are open to `to`.
    pub(crate) const fn traffic(&self, to: To) -> &Traffic {
        match to {
            To::Agents | To::Newcomers => &self.agents,
            To::Everybody | To::Plain | To::Clients | To::Operators => &self.clients,
        }
    }

    /// Brings samples into their buckets: what is not looked at for long must not pile up.
    pub fn settle(&self) {
        self.handle.run_upkeep();
    }

    /// All of it as text, with how the farm stands.
    #[must_use]
    pub fn text(&self, census: &Census) -> String {
        with_local_recorder(&self.recorder, || show(census));
        self.handle.render()
    }
}

impl Traffic {
    fn with(peer: &'static str) -> Self {
        Self { received: counter!(RECEIVED_BYTES, "peer" => peer), sent: counter!(SENT_BYTES, "peer" => peer) }
    }
}

fn describe() {
    describe_histogram!(LEASE_SECONDS, "From when an agent has asked and a batch could be had until it was granted");
    describe_histogram!(FIRST_FRAME_SECONDS, "From a job's submission until its first frame was recorded");
    describe_histogram!(FRAME_SECONDS, "How long frames took to render that were recorded");
    describe_counter!(RECEIVED_BYTES, "Bodies of calls that came in");
    describe_counter!(SENT_BYTES, "Bodies of answers that went out");
    describe_gauge!("haywain_jobs", "Jobs that are kept");
    describe_gauge!("haywain_frames", "Their frames, by what has become of them");
    describe_gauge!(
        "haywain_oldest_pending_seconds",
        "For how long the frame waits that has waited for longest, of jobs that are to be rendered; 0 if none does"
    );
    describe_gauge!("haywain_agents", "Agents that are known");
    describe_gauge!("haywain_slots", "Frames that the agents in each state would render at once");
    describe_gauge!("haywain_leases", "Batches that agents have in hand");
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats by their format")]
fn show(census: &Census) {
    for of_state in &census.jobs {
        let job_state = job_word(of_state.state);
        gauge!("haywain_jobs", "state" => job_state).set(of_state.jobs as f64);
        let frames = of_state.frames;
        let by_state =
            [("pending", frames.pending), ("leased", frames.leased), ("done", frames.done), ("failed", frames.failed)];
        for (state, count) in by_state {
            gauge!("haywain_frames", "state" => state, "job_state" => job_state).set(count as f64);
        }
    }
    for of_state in &census.agents {
        let state = agent_word(of_state.state);
        gauge!("haywain_agents", "state" => state).set(of_state.agents as f64);
        gauge!("haywain_slots", "state" => state).set(of_state.slots as f64);
    }
    gauge!("haywain_oldest_pending_seconds").set(census.longest_wait.unwrap_or_default());
    gauge!("haywain_leases").set(census.leases as f64);
}

const fn job_word(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "pending",
        JobState::Running => "running",
        JobState::Paused => "paused",
        JobState::Completed => "completed",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

const fn agent_word(state: AgentState) -> &'static str {
    match state {
        AgentState::Online => "online",
        AgentState::Draining => "draining",
        AgentState::SetAside => "set_aside",
        AgentState::Offline => "offline",
    }
}
