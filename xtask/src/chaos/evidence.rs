//! What the logs prove: that no frame was recorded twice or given away again, that what failed had a reason, and how long it
//! took.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::journal::{self, Entry};
use super::moment::Moment;
use super::schedule::Kind;
use super::stage::Injection;

/// How long a lease lasts.
const TTL: Duration = Duration::from_secs(20);
/// The time from a commit to the log line about it, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);
/// How long after a fault somebody may still fail because of it.
const AFTERMATH: Duration = Duration::from_secs(45);

/// The logs of a run.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// Those of each agent.
    pub(super) agents: Vec<Vec<Entry>>,
    /// That of the orchestrator.
    pub(super) orchestrator: Vec<Entry>,
    /// The faults.
    pub(super) injections: &'a [Injection],
    leases: BTreeMap<String, Lease>,
    /// The agents' ids.
    ids: BTreeMap<String, usize>,
}

/// A lease, as the logs tell it.
#[derive(Debug, Clone)]
struct Lease {
    job: String,
    frames: RangeInclusive<u64>,
    /// When it was first told of.
    at: Moment,
}

/// A frame of a job.
type Frame = (String, u64);

/// From an agent's death to its frames' being with another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Handover {
    /// Until its lease had expired, in seconds.
    pub(super) expired: f64,
    /// Until a frame of it was leased to another, in seconds.
    pub(super) leased: f64,
}

impl<'a> Evidence<'a> {
    /// Takes the logs together. `names` are the agents', in order.
    pub(super) fn new(
        agents: Vec<Vec<Entry>>,
        orchestrator: Vec<Entry>,
        names: &[&str],
        injections: &'a [Injection],
    ) -> Self {
        let mut leases: BTreeMap<String, Lease> = BTreeMap::new();
        let told = ["batch leased", "re-adopted", "batch received"];
        for entry in orchestrator.iter().chain(agents.iter().flatten()) {
            if told.iter().any(|message| entry.says(message)) {
                let frames = journal::frames(&entry.text("frames"));
                let lease = Lease { job: entry.text("job"), frames, at: entry.at };
                let known = leases.entry(entry.text("lease")).or_insert_with(|| lease.clone());
                known.at = known.at.min(lease.at);
            }
        }
        let registered = orchestrator.iter().filter(|entry| entry.says("agent registered"));
        let ids = registered
            .filter_map(|entry| {
                let name = entry.text("name");
                Some((entry.text("agent"), names.iter().position(|it| *it == name)?))
            })
            .collect();
        Self { agents, orchestrator, injections, leases, ids }
    }

    /// When each frame was recorded, by the word of whoever was told so.
    fn recorded(&self, entries: &[Entry]) -> Vec<(Frame, Moment)> {
        let delivered = entries.iter().filter(|it| it.says("frame delivered") && it.text("outcome") == "Recorded");
        delivered.filter_map(|entry| Some((self.frame(entry)?, entry.at))).collect()
    }

    fn frame(&self, entry: &Entry) -> Option<Frame> {
        Some((self.leases.get(&entry.text("lease"))?.job.clone(), entry.number("frame")?))
    }

    /// Frames that were recorded more than once.
    pub(super) fn recorded_twice(&self) -> Vec<String> {
        let mut doubled = BTreeSet::new();
        for side in [&self.agents.concat()[..], &self.orchestrator] {
            let mut seen = BTreeSet::new();
            let again = self.recorded(side).into_iter().filter(|(frame, _)| !seen.insert(frame.clone()));
            doubled.extend(
                again.map(|((job, frame), at)| format!("frame {frame} of job {job} was recorded again at {at}")),
            );
        }
        doubled.into_iter().collect()
    }

    /// Frames that were given away, or begun under a lease that had run out, after their agent was told that they are
    /// recorded; and how many were rendered twice as the protocol allows it.
    pub(super) fn rendered_again(&self) -> (Vec<String>, usize) {
        let mut first: BTreeMap<Frame, Moment> = BTreeMap::new();
        for (frame, at) in self.recorded(&self.agents.concat()) {
            first.entry(frame).or_insert(at);
        }
        let mut problems = Vec::new();
        for (id, lease) in &self.leases {
            for frame in lease.frames.clone() {
                if first.get(&(lease.job.clone(), frame)).is_some_and(|at| lease.at > *at + SLACK) {
                    problems.push(format!(
                        "frame {frame} of job {} was recorded and then leased again, by {id}",
                        lease.job
                    ));
                }
            }
        }
        let mut together = 0;
        for entry in self.agents.iter().flatten().filter(|entry| entry.says("frame rendered")) {
            let begun = entry.at - Duration::from_millis(entry.number("render_ms").unwrap_or_default());
            let Some(frame) = self.frame(entry) else { continue };
            let Some(at) = first.get(&frame).filter(|at| begun > **at) else { continue };
            together += 1;
            if begun > *at + TTL + SLACK {
                problems.push(format!("frame {} of job {} was begun at {begun}, recorded at {at}", frame.1, frame.0));
            }
        }
        (problems, together)
    }

    /// Whether a fault of one of `kinds` that hit `agent` explains what happened at `at`.
    fn is_explained(&self, kinds: &[Kind], agent: usize, at: Moment) -> bool {
        self.injections.iter().any(|it| {
            kinds.contains(&it.kind)
                && (it.agent == agent || it.kind.hits_the_orchestrator())
                && it.begin <= at
                && at <= it.end + AFTERMATH
        })
    }

    /// How many attempts failed, by cause; and those that no fault explains.
    pub(super) fn failures(&self) -> (BTreeMap<String, u64>, Vec<String>) {
        let mut causes = BTreeMap::new();
        let mut problems = Vec::new();
        for (agent, entries) in self.agents.iter().enumerate() {
            for entry in entries.iter().filter(|entry| entry.says("attempt failed")) {
                let cause = entry.text("cause");
                if !self.is_explained(reasons(&cause), agent, entry.at) {
                    let reason = entry.text("reason");
                    problems.push(format!("{}: agent {agent} failed without a fault: {cause}: {reason}", entry.at));
                }
                *causes.entry(cause).or_default() += 1;
            }
            for entry in entries.iter().filter(|entry| entry.says("the orchestrator does not take the frame")) {
                let error = entry.text("error");
                if !self.is_explained(&[Kind::CorruptUpload, Kind::CutUpload], agent, entry.at) {
                    problems
                        .push(format!("{}: a frame of agent {agent} is refused without a fault: {error}", entry.at));
                }
                *causes.entry("upload refused".to_owned()).or_default() += 1;
            }
        }
        for entry in self.orchestrator.iter().filter(|entry| entry.says("lease expired")) {
            let agent = self.ids.get(&entry.text("agent")).copied().unwrap_or(usize::MAX);
            if !self.is_explained(&SILENCE, agent, entry.at) {
                problems.push(format!("{}: a lease of agent {agent} expired without a fault", entry.at));
            }
            *causes.entry("lease expired".to_owned()).or_default() += 1;
        }
        (causes, problems)
    }

    /// How long it took until the frames of lost agents were with others.
    pub(super) fn handovers(&self) -> Vec<Handover> {
        let lost = self.injections.iter().filter(|it| it.kind == Kind::LoseAgent);
        let mut handovers = Vec::new();
        for injection in lost {
            let seconds = |at: Moment| at.since(injection.begin).as_secs_f64();
            let its = |entry: &&Entry| {
                entry.says("lease expired")
                    && self.ids.get(&entry.text("agent")) == Some(&injection.agent)
                    && (injection.begin..=injection.end).contains(&entry.at)
            };
            for expired in self.orchestrator.iter().filter(its) {
                let Some(lease) = self.leases.get(&expired.text("lease")) else { continue };
                let next = self.orchestrator.iter().find(|entry| {
                    let frames = journal::frames(&entry.text("frames"));
                    entry.says("batch leased")
                        && entry.at >= injection.begin
                        && entry.text("lease") != expired.text("lease")
                        && entry.text("job") == lease.job
                        && self.ids.get(&entry.text("agent")) != Some(&injection.agent)
                        && frames.start() <= lease.frames.end()
                        && lease.frames.start() <= frames.end()
                });
                if let Some(next) = next {
                    handovers.push(Handover { expired: seconds(expired.at), leased: seconds(next.at) });
                }
            }
        }
        handovers
    }

    /// Whether whoever was hit was seen at work afterwards.
    pub(super) fn survived(&self, injection: &Injection) -> bool {
        let entries = if injection.kind.hits_the_orchestrator() || injection.kind == Kind::Cancel {
            &self.orchestrator
        } else {
            &self.agents[injection.agent]
        };
        let signs =
            ["registered", "batch received", "frame delivered", "frame rendered", "batch leased", "left", "stopped"];
        entries.iter().any(|entry| entry.at >= injection.end && signs.iter().any(|sign| entry.says(sign)))
    }
}

/// What can keep an agent from being heard.
const SILENCE: [Kind; 6] =
    [Kind::KillAgent, Kind::LoseAgent, Kind::FreezeAgent, Kind::Refuse, Kind::Hold, Kind::LoseGrant];

/// The faults that can make an attempt fail for a cause.
fn reasons(cause: &str) -> &'static [Kind] {
    match cause {
        "crashed" | "stalled" => &[Kind::KillBlender, Kind::FillAgent],
        "disk_full" | "no_output" | "invalid_output" => &[Kind::FillAgent],
        "upload_failed" => &[Kind::CorruptUpload],
        "agent_stopped" => &[Kind::DrainAgent],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log: the second of the minute, the message, and further members.
    fn log(lines: &[(u32, &str, &str)]) -> Vec<Entry> {
        let line = |(second, message, more): &(u32, &str, &str)| {
            let at = format!("2026-11-24T05:{:02}:{:02}Z", second / 60, second % 60);
            Entry::read(&format!(r#"{{"timestamp":"{at}","message":"{message}",{more}}}"#)).unwrap()
        };
        lines.iter().map(line).collect()
    }

    fn second(second: u32) -> Moment {
        Moment::parse(&format!("2026-11-24T05:{:02}:{:02}Z", second / 60, second % 60)).unwrap()
    }

    fn injection(kind: Kind, agent: usize, begin: u32, end: u32) -> Injection {
        Injection { kind, agent, begin: second(begin), end: second(end), times: 1, took: None }
    }

    const REGISTERED: [(u32, &str, &str); 2] = [
        (0, "agent registered", r#""agent":"A","name":"one""#),
        (0, "agent registered", r#""agent":"B","name":"two""#),
    ];

    fn evidence<'a>(
        one: &[(u32, &str, &str)],
        two: &[(u32, &str, &str)],
        orchestrator: &[(u32, &str, &str)],
        injections: &'a [Injection],
    ) -> Evidence<'a> {
        let orchestrator = [&REGISTERED[..], orchestrator].concat();
        Evidence::new(vec![log(one), log(two)], log(&orchestrator), &["one", "two"], injections)
    }

    const FIRST: (u32, &str, &str) = (1, "batch leased", r#""lease":"L1","job":"J","agent":"A","frames":"1-3""#);
    const DELIVERED: (u32, &str, &str) = (5, "frame delivered", r#""lease":"L1","frame":"2","outcome":"Recorded""#);

    #[test]
    fn a_frame_that_is_recorded_twice_is_found() {
        let once = evidence(&[DELIVERED], &[], &[FIRST, DELIVERED], &[]);
        assert_eq!(once.recorded_twice(), [""; 0]);
        let second = (9, "batch leased", r#""lease":"L2","job":"J","agent":"B","frames":"2""#);
        let again = (11, "frame delivered", r#""lease":"L2","frame":"2","outcome":"Recorded""#);
        let twice = evidence(&[DELIVERED], &[again], &[FIRST, second], &[]);
        assert_eq!(twice.recorded_twice().len(), 1);
        assert_eq!(twice.rendered_again().0, ["frame 2 of job J was recorded and then leased again, by L2"]);
    }

    #[test]
    fn a_frame_may_be_begun_by_who_had_it_already_and_not_for_ever() {
        let other = (2, "batch leased", r#""lease":"L2","job":"J","agent":"B","frames":"2""#);
        let begun = |at: u32| [(at, "frame rendered", r#""lease":"L2","frame":"2","render_ms":1000"#)];
        for (at, problems, together) in [(4, 0, 0), (10, 0, 1), (40, 1, 1)] {
            let found = evidence(&[DELIVERED], &begun(at), &[FIRST, other], &[]).rendered_again();
            assert_eq!((found.0.len(), found.1), (problems, together), "{at}");
        }
    }

    #[test]
    fn what_fails_needs_a_fault_that_fits() {
        let failed = (30, "attempt failed", r#""lease":"L1","frame":"3","cause":"crashed","reason":"""#);
        let expired = (30, "lease expired", r#""lease":"L1","job":"J","agent":"A""#);
        let cases = [
            (None, 2),
            (Some(injection(Kind::KillBlender, 0, 29, 29)), 1),
            (Some(injection(Kind::KillBlender, 1, 29, 29)), 2),
            (Some(injection(Kind::KillBlender, 0, 31, 31)), 2),
            (Some(injection(Kind::FreezeAgent, 0, 5, 32)), 1),
            // An outage of the orchestrator expires nothing.
            (Some(injection(Kind::FreezeOrchestrator, 0, 5, 29)), 2),
        ];
        for (fault, problems) in cases {
            let injections: Vec<_> = fault.into_iter().collect();
            let found = evidence(&[failed], &[], &[FIRST, expired], &injections);
            assert_eq!(found.failures().1.len(), problems, "{injections:?}");
        }
    }

    #[test]
    fn a_handover_is_from_the_death_to_the_next_lease() {
        let lost = [injection(Kind::LoseAgent, 0, 10, 40)];
        let lines = [
            FIRST,
            (31, "lease expired", r#""lease":"L1","job":"J","agent":"A""#),
            (32, "batch leased", r#""lease":"L2","job":"J","agent":"B","frames":"7-9""#),
            (33, "batch leased", r#""lease":"L3","job":"J","agent":"B","frames":"3-4""#),
        ];
        assert_eq!(evidence(&[], &[], &lines, &lost).handovers(), [Handover { expired: 21.0, leased: 23.0 }]);
    }
}
