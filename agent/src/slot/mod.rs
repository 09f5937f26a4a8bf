//! A slot: works off one batch after the other in a Blender that stays warm between them. It hands over what it has
//! rendered and goes on at once; delivering is somebody else's work.

mod ahead;
mod berth;
pub mod equipment;
mod frame;
mod inspecting;
mod room;
mod warmth;
mod workshop;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haywain_shared::frames::FrameNumber;
use haywain_shared::protocol::{LeaseGrant, ReleaseRequest, Work};
use haywain_shared::scene::SceneId;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ahead::{Ahead, Coming, Signals, View};
use self::berth::Berth;
use self::equipment::Equipment;
use self::warmth::Wanted;
pub use self::workshop::Workshop;
use crate::book::Standing;
use crate::crew::Post;
use crate::delivery::Report;
use crate::link::{LinkEnded, Offer};
use crate::memory::Account;
use crate::memory::admission::Need;

/// How long a slot keeps still after a Blender that did not even start, or a disk that is full: the machine needs its owner
/// more than another batch.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// A slot that waits for work for longer than this was not held up by asking: there was none.
const FOR_NOTHING: Duration = Duration::from_secs(1);

/// One slot.
pub struct Slot {
    shop: Workshop,
    post: Arc<Post>,
    /// What it renders with.
    equipment: Equipment,
    /// Where it renders.
    berth: Box<Berth>,
    /// Where it can open another scene meanwhile; not here while it does.
    spare: Option<Box<Berth>>,
    /// Between the frame in work and the look ahead.
    signals: Signals,
    /// When the last frame was finished, if the slot has been at work since, in the same session.
    last_frame: Option<Instant>,
}

/// How a slot goes on after a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Frame,
    /// The rest of the batch would fare no better: it goes back.
    GiveBack,
    /// So does a batch that finds no room beside what the other slots render.
    Crowded(Need),
    /// Neither would another batch, for this reason: the machine needs its owner.
    Pause(String),
}

impl Slot {
    /// A slot that works in `folder`, with its share of the machine's devices, and accounts for a session and for another beside it.
    #[must_use]
    pub fn new(shop: Workshop, post: Post, accounts: [Account; 2], equipment: Equipment, folder: &Path) -> Self {
        let [account, beside] = accounts;
        let berth = Box::new(Berth::new(shop.clone(), folder.join("a"), account));
        let spare = Box::new(Berth::new(shop.clone(), folder.join("b"), beside));
        let (post, signals) = (Arc::new(post), Signals::default());
        Self { shop, post, equipment, berth, spare: Some(spare), signals, last_frame: None }
    }

    /// Leases and works until it is to close, or the line ends.
    pub async fn run(mut self) -> LinkEnded {
        let ended = self.work_on().await;
        self.berth.end_session().await;
        for berth in std::iter::once(&self.berth).chain(&self.spare) {
            berth.clear();
        }
        ended
    }

    async fn work_on(&mut self) -> LinkEnded {
        let shop = self.shop.clone();
        let closing = self.post.closing.clone();
        // What an earlier life has left is delivered first, or its frames could be leased anew.
        self.all_told().await;
        let mut ahead = None;
        loop {
            if let Some(ahead_of_now) = ahead.take()
                && let Some((grant, unwanted)) = self.turn_of(ahead_of_now).await
            {
                ahead = self.work(&grant, &unwanted).await;
                continue;
            }
            let may_take_work = async {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => None,
                    may = shop.leaving.may_take_work() => may,
                }
            };
            if self.meanwhile(may_take_work).await.is_none() {
                break;
            }
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = self.room_for_any() => {}
            }
            let account = self.berth.account.clone();
            let warm = self.berth.warm.as_ref().and_then(|warm| warm.scene.as_ref()).map(|scene| scene.id);
            let devices = self.equipment.free().cloned();
            let offer = || Offer {
                warm,
                memory_bytes: account.room_bytes(),
                cached: shop.cache.cached(),
                devices: devices.clone(),
            };
            let asking = async {
                tokio::select! {
                    biased;
                    // A grant that is on its way goes back when the agent says that it leaves, or does not name it.
                    () = closing.cancelled() => None,
                    leased = shop.link.next_work(shop.poll, offer, || shop.book.now()) => Some(leased),
                }
            };
            let began = Instant::now();
            let work = self.meanwhile(asking).await;
            if began.elapsed() > FOR_NOTHING {
                self.last_frame = None;
            }
            match work {
                Some(Ok((Work::Batch(grant), asked))) => {
                    tracing::info!(lease = %grant.lease_id, job = %grant.job_id, frames = %grant.frames, "batch received");
                    let unwanted = shop.book.begin(&grant, asked);
                    ahead = self.work(&grant, &unwanted).await;
                }
                Some(Ok((Work::Inspection { scene }, _))) => self.inspect(scene).await,
                Some(Err(ended)) => return ended,
                None => break,
            }
        }
        LinkEnded::Stopped
    }

    /// The batch that was to come after the one before, in the berth where its scene is open; the session before ends.
    async fn turn_of(&mut self, ahead: Ahead) -> Option<(Box<LeaseGrant>, CancellationToken)> {
        let (berth, coming) = self.meanwhile(ahead.turn()).await;
        match coming {
            Coming::Batch(grant, unwanted) => {
                let mut before = std::mem::replace(&mut self.berth, berth);
                before.end_session().await;
                self.spare = Some(before);
                self.last_frame = None;
                return Some((grant, unwanted));
            }
            Coming::Failed(next) => {
                self.spare = Some(berth);
                self.goes_on_after(next).await;
            }
            Coming::Nothing => self.spare = Some(berth),
        }
        self.post.rests();
        None
    }

    /// Works off a batch. While its last frame was in work, the slot has looked ahead.
    async fn work(&mut self, grant: &LeaseGrant, unwanted: &CancellationToken) -> Option<Ahead> {
        let lease = grant.lease_id;
        self.signals = Signals::default();
        let mut left: Vec<FrameNumber> = grant.frames.iter().rev().collect();
        let mut next = Next::GiveBack;
        let mut ahead = None;
        if let Some(_busy) = self.shop.leaving.takes(grant.job_id) {
            self.post.takes(grant.job_id, &Wanted::by(grant).workload());
            next = self.batch(grant, unwanted, &mut left, &mut ahead).await;
            self.post.rests();
        }
        // A frame may have been put down in the middle.
        let _ = self.berth.account.rests(None);
        if self.shop.leaving.stopping().is_cancelled() || unwanted.is_cancelled() {
            // A frame may be in work, and nobody listens to that Blender any more.
            self.berth.warm = None;
            self.berth.clear();
        }
        if !left.is_empty() {
            left.reverse();
            self.shop.report(Report::Release(lease, ReleaseRequest { frames: left }));
        }
        for lease in self.shop.book.line_of(lease) {
            self.shop.report(Report::BatchDone(lease));
        }
        if next != Next::Frame
            && let Some(ahead) = ahead.take()
        {
            self.spare = Some(ahead.give_back().await);
        }
        self.goes_on_after(next).await;
        ahead
    }

    /// Waits for what has to be before the slot asks for more.
    async fn goes_on_after(&mut self, next: Next) {
        if next != Next::Frame {
            // Asking for more before that is known would bring the same frames back.
            self.all_told().await;
        }
        if let Next::Crowded(need) = next {
            // A slot that is to close sees so before it asks for more.
            let _ = self.room_for(need).await;
        }
        if let Next::Pause(trouble) = next {
            let seconds = AFTER_TROUBLE.as_secs();
            tracing::error!(seconds, "this machine is in trouble: taking no work for a while");
            let _note = self.shop.board.note(format!("a slot takes no work for {seconds} s: {trouble}"));
            let closing = self.post.closing.clone();
            self.meanwhile(async {
                tokio::select! {
                    () = closing.cancelled() => {}
                    () = tokio::time::sleep(AFTER_TROUBLE) => {}
                }
            })
            .await;
        }
    }

    /// Renders the frames of a batch that are `left`, last first out, until something says no.
    async fn batch(
        &mut self,
        grant: &LeaseGrant,
        unwanted: &CancellationToken,
        left: &mut Vec<FrameNumber>,
        ahead: &mut Option<Ahead>,
    ) -> Next {
        let lease = grant.lease_id;
        let shop = self.shop.clone();
        let stopping = shop.leaving.stopping();
        let closing = self.post.closing.clone();
        while let Some(frame) = left.last().copied() {
            let may_begin = async {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => None,
                    () = shop.outbox.room() => Some(shop.settled_standing(lease, frame, &closing).await),
                }
            };
            let Some(standing) = self.meanwhile(may_begin).await else { return Next::GiveBack };
            match standing {
                Standing::Held => {}
                Standing::Lost => {
                    tracing::info!(%lease, %frame, "frame is no longer ours");
                    left.pop();
                    continue;
                }
                Standing::Unknown => return Next::GiveBack,
            }
            if closing.is_cancelled() || shop.leaving.gives_back() {
                return Next::GiveBack;
            }
            if left.len() == 1 {
                *ahead = self.looks_ahead(grant.scene);
            }
            let goes_on = async {
                match ahead.as_mut() {
                    Some(ahead) => ahead.goes_on().await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                biased;
                () = stopping.cancelled() => return Next::GiveBack,
                () = unwanted.cancelled() => {
                    tracing::info!(%lease, %frame, "the job is cancelled: frame stopped");
                    left.clear();
                    return Next::GiveBack;
                }
                next = self.attempt(grant, frame) => next,
                never = goes_on => match never {},
            };
            left.pop();
            if next != Next::Frame {
                return next;
            }
        }
        Next::Frame
    }

    /// Begins to look ahead of a batch, from its last frame.
    fn looks_ahead(&mut self, scene: SceneId) -> Option<Ahead> {
        let (post, devices) = (Arc::clone(&self.post), self.equipment.free().cloned());
        let ahead = Ahead::from(View { berth: self.spare.take()?, post, scene, devices });
        self.signals = ahead.signals().clone();
        Some(ahead)
    }

    /// Waits until the orchestrator knows everything that there was to report, or the slot is to close.
    async fn all_told(&mut self) {
        let (told, waiting) = oneshot::channel();
        self.shop.report(Report::Told(told));
        let closing = self.post.closing.clone();
        self.meanwhile(async {
            tokio::select! {
                () = closing.cancelled() => {}
                // An error says that the courier has ended.
                _ = waiting => {}
            }
        })
        .await;
    }
}
