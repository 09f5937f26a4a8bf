//! An agent's line to the orchestrator: the network. It delays, loses, doubles and damages what it carries, as the seed says.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::{PREFIX, Work};
use haywain_shared::transport::{Body, Call, Limit, Reply, Transport};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::entropy::Dice;
use crate::gate::Gate;
use crate::http::{Answer, Damage, Outgoing};
use crate::world::World;

/// How long a download may stand still, as in the real transport.
const IDLE_MS: u64 = 60_000;

/// The line of one life of an agent.
pub(crate) struct Line {
    pub(crate) world: Arc<World>,
    pub(crate) agent: usize,
    /// Shut while the agent is frozen.
    pub(crate) gate: Gate,
    /// Cancelled when this life is killed.
    pub(crate) death: CancellationToken,
    pub(crate) dice: Mutex<Dice>,
    /// Damaged uploads in a row: three would cost the frame, which is right and not what is looked for here.
    pub(crate) flipped: AtomicU32,
}

/// What the seed has for one call.
#[derive(Debug, Clone)]
struct Luck {
    request_ms: u64,
    answer_ms: u64,
    loses_request: bool,
    loses_answer: bool,
    doubled_after_ms: Option<u64>,
    pause_ms: u64,
    damage: Damage,
    /// How a cut or a dead orchestrator looks from here: refused at once, or silence.
    silent: bool,
    /// How long the other side takes to see that the caller has gone.
    gone_ms: u64,
}

/// What became of a call.
enum Carried {
    Answer(Answer),
    Broke(&'static str),
}

#[async_trait]
impl Transport for Line {
    async fn carry(&self, call: Call) -> Result<Reply, String> {
        let world = &self.world;
        let sent_ms = world.calendar.now_ms();
        self.gate.pass().await;
        if self.death.is_cancelled() {
            return std::future::pending().await;
        }
        let what = what(&call);
        let parcel = parcel(&call);
        if let Some((lease, frame)) = parcel {
            world.witness.owed(lease, frame);
        }
        let limit_ms = match call.limit {
            Limit::Whole(limit) => u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            Limit::Idle => IDLE_MS,
        };
        let luck = self.luck(parcel.is_some());
        let outgoing = Outgoing::read(call)?;
        if let Some(after_ms) = luck.doubled_after_ms {
            world.log.count("requests doubled");
            let (double, luck) =
                (outgoing.clone(), Luck { loses_answer: true, doubled_after_ms: None, ..luck.clone() });
            let luck = Luck { request_ms: luck.request_ms + after_ms, damage: Damage::None, ..luck };
            let (nobody, _) = oneshot::channel();
            world.tasks.spawn(carry(Arc::clone(world), self.agent, double, luck, nobody, self.death.clone()));
        }
        let (answer, answered) = oneshot::channel();
        world.tasks.spawn(carry(Arc::clone(world), self.agent, outgoing, luck, answer, self.death.clone()));
        let carried = tokio::select! {
            biased;
            carried = answered => carried.unwrap_or(Carried::Broke("the connection broke")),
            () = world.calendar.pass(limit_ms) => Carried::Broke("no answer in time"),
        };
        self.gate.pass().await;
        if self.death.is_cancelled() {
            return std::future::pending().await;
        }
        let agent = self.agent;
        match carried {
            Carried::Broke(reason) => {
                world.log.note(format_args!("a{agent} {what}: {reason}"));
                Err(reason.to_owned())
            }
            Carried::Answer(answer) => {
                world.log.note(format_args!("a{agent} {what}: {}", answer.status));
                self.heard(what, parcel, sent_ms, &answer);
                let Answer { status, retry_after, first_byte, body, .. } = answer;
                Ok(Reply { status, retry_after, first_byte, body: stream::iter([Ok(body)]).boxed() })
            }
        }
    }
}

impl Line {
    fn luck(&self, uploads: bool) -> Luck {
        let weather = self.world.weather.lock().unwrap().clone();
        let mut dice = self.dice.lock().unwrap();
        let delay_ms = |dice: &mut Dice| {
            let longest = if dice.happens(20) { weather.long_delay_ms } else { weather.delay_ms };
            dice.below(longest + 1)
        };
        let mut damage = Damage::None;
        if uploads && dice.happens(weather.spoils_uploads) {
            damage = if dice.happens(500) { Damage::Cut } else { Damage::Flipped };
        }
        if damage == Damage::Flipped && self.flipped.fetch_add(1, Ordering::Relaxed) >= 1 {
            damage = Damage::None;
        }
        if damage == Damage::None {
            self.flipped.store(0, Ordering::Relaxed);
        } else {
            self.world.log.count("uploads cut or damaged");
        }
        Luck {
            request_ms: delay_ms(&mut dice),
            answer_ms: delay_ms(&mut dice),
            loses_request: dice.happens(weather.loses_requests),
            loses_answer: dice.happens(weather.loses_answers),
            doubled_after_ms: dice.happens(weather.doubles).then(|| dice.below(30_000)),
            pause_ms: dice.below(300),
            damage,
            silent: dice.happens(500),
            gone_ms: dice.below(5000),
        }
    }

    /// The agent hears an answer: what it knows from now on.
    fn heard(&self, what: &str, parcel: Option<(LeaseId, FrameNumber)>, sent_ms: u64, answer: &Answer) {
        let witness = &self.world.witness;
        match (what, answer.status) {
            ("lease", 200) => {
                if let Ok(Work::Batch(grant)) = serde_json::from_slice(&answer.body) {
                    witness.heard_grant(&grant, sent_ms, answer.given_ms);
                }
            }
            ("heartbeat", 200) => {
                if let Ok(verdicts) = serde_json::from_slice(&answer.body) {
                    witness.heard_verdicts(&verdicts, sent_ms, answer.given_ms);
                }
            }
            _ => {}
        }
        if let Some((lease, frame)) = parcel {
            let text = String::from_utf8_lossy(&answer.body);
            match answer.status {
                200 => witness.answered(lease, frame),
                _ if text.contains("digest-mismatch") || answer.status >= 500 => {}
                _ => self.world.log.broken(format_args!("I4: a parcel was refused: {text}")),
            }
        }
    }
}

/// One call on its way, whether or not somebody waits for it.
async fn carry(
    world: Arc<World>,
    agent: usize,
    outgoing: Outgoing,
    luck: Luck,
    mut caller: oneshot::Sender<Carried>,
    death: CancellationToken,
) {
    let calendar = Arc::clone(&world.calendar);
    calendar.pass(luck.request_ms).await;
    if luck.loses_request || world.is_cut_off(agent) {
        world.log.count("requests lost");
        return fall_silent(&luck, caller, "no route").await;
    }
    let Some(life) = world.house.life() else {
        world.log.count("calls while the orchestrator is down");
        return fall_silent(&luck, caller, "connection refused").await;
    };
    world.house.gate.pass().await;
    let ends = (death.clone(), life.death.clone());
    let request = outgoing.into_request(Arc::clone(&calendar), luck.pause_ms, luck.damage, ends);
    let handling = async {
        let response = life.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        Answer::read(response, &calendar).await
    };
    // A caller that has gone, or died, is noticed after a while.
    let waits = !caller.is_closed();
    let gone = async {
        tokio::select! {
            () = caller.closed(), if waits => {}
            () = death.cancelled() => {}
        }
        calendar.pass(luck.gone_ms).await;
    };
    let answer = tokio::select! {
        biased;
        () = life.death.cancelled() => return fall_silent(&luck, caller, "connection reset").await,
        answer = handling => answer,
        () = gone => return,
    };
    world.house.gate.pass().await;
    if luck.loses_answer {
        world.log.count("answers lost");
        return fall_silent(&luck, caller, "the connection broke").await;
    }
    calendar.pass(luck.answer_ms).await;
    if world.is_cut_off(agent) {
        world.log.count("answers lost");
        return fall_silent(&luck, caller, "no route").await;
    }
    if luck.damage == Damage::Cut {
        let _ = caller.send(Carried::Broke("the connection broke"));
    } else {
        let _ = caller.send(Carried::Answer(answer));
    }
}

/// Nothing comes back: the caller is told so, or has to wait until it gives up.
async fn fall_silent(luck: &Luck, mut caller: oneshot::Sender<Carried>, reason: &'static str) {
    if luck.silent {
        caller.closed().await;
    } else {
        let _ = caller.send(Carried::Broke(reason));
    }
}

/// The call in a word.
fn what(call: &Call) -> &'static str {
    let path = call.path.strip_prefix(PREFIX).unwrap_or(&call.path);
    let words = ["register", "lease", "heartbeat", "leave", "failures", "release", "complete", "frames"];
    let mut parts = path.split('/').skip(1);
    let first = parts.next().unwrap_or_default();
    match first {
        "leases" => {
            let last = parts.nth(1).unwrap_or_default();
            words.into_iter().find(|word| *word == last).unwrap_or("?")
        }
        "scenes" => "scene",
        "blobs" => "blob",
        _ => words.into_iter().find(|word| *word == first).unwrap_or("?"),
    }
}

/// The parcel that a call delivers.
fn parcel(call: &Call) -> Option<(LeaseId, FrameNumber)> {
    let Body::Files { .. } = call.body else { return None };
    let mut parts = call.path.rsplit('/');
    let frame: i64 = parts.next()?.parse().ok()?;
    let lease = parts.nth(1)?.parse().ok()?;
    Some((lease, frame.try_into().ok()?))
}
