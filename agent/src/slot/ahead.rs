//! The batch after the one in work. While the last frame of a batch renders, a slot asks for the next one ahead, and opens its scene in
//! the other berth if there is room beside what renders. It is a lease like any other: heartbeats name it. No frame of it is begun
//! before its turn, and it goes back, without an attempt, when the slot closes, the agent drains, or somebody needs the memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use haywain_shared::protocol::{LeaseGrant, LeaseTiming, ReleaseRequest};
use haywain_shared::scene::SceneId;
use tokio_util::sync::CancellationToken;

use super::Next;
use super::berth::Berth;
use super::room::NotReady;
use super::warmth::Wanted;
use crate::blender::session::Failure;
use crate::crew::Post;
use crate::delivery::Report;
use crate::link::Offer;
use crate::memory::{Account, LEAST_SESSION_BYTES};

/// What comes after the batch in work.
pub(super) enum Coming {
    /// Whatever is to be done then.
    Nothing,
    /// This, and its scene is open. The token is cancelled when nobody wants it any more.
    Batch(Box<LeaseGrant>, CancellationToken),
    /// There was a batch, whose scene could not be opened.
    Failed(Next),
}

/// What the frame in work and the look ahead tell each other, each once.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// The frame is really being rendered.
    pub(super) begun: CancellationToken,
    /// A scene is being opened beside it.
    pub(super) opening: CancellationToken,
    /// The frame is done: it is the next batch's turn.
    turn: CancellationToken,
    /// The next batch is to go back.
    back: CancellationToken,
}

/// A look ahead, which goes on when somebody waits for it.
pub(super) struct Ahead {
    signals: Signals,
    state: State,
}

enum State {
    UnderWay(Pin<Box<dyn Future<Output = (Box<Berth>, Coming)> + Send>>),
    Over(Box<Berth>, Coming),
}

/// What a slot looks ahead from.
pub(super) struct View {
    /// Where the scene is to be opened: nothing is there.
    pub(super) berth: Box<Berth>,
    /// The slot's post.
    pub(super) post: Arc<Post>,
    /// The scene that it renders.
    pub(super) scene: SceneId,
    /// The devices that are the slot's.
    pub(super) devices: Option<Vec<String>>,
}

/// What became of a scene that was to be opened.
enum Opened {
    AtItsTurn,
    Failed(Failure),
    /// It is not to be opened now.
    PutOff,
    /// Nobody wants it any more.
    Unwanted,
}

impl Ahead {
    pub(super) fn from(view: View) -> Self {
        let signals = Signals::default();
        let state = State::UnderWay(Box::pin(view.look(signals.clone())));
        Self { signals, state }
    }

    pub(super) const fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Goes on beside what the slot does, for as long as that takes.
    pub(super) async fn goes_on(&mut self) -> Infallible {
        if let State::UnderWay(look) = &mut self.state {
            let (berth, coming) = look.await;
            self.state = State::Over(berth, coming);
        }
        std::future::pending().await
    }

    /// What comes now that its turn has come, once its scene is open; and the berth.
    pub(super) async fn turn(self) -> (Box<Berth>, Coming) {
        self.signals.turn.cancel();
        self.end().await
    }

    /// Gives back what there is. The berth is empty again.
    pub(super) async fn give_back(self) -> Box<Berth> {
        self.signals.back.cancel();
        self.end().await.0
    }

    async fn end(self) -> (Box<Berth>, Coming) {
        match self.state {
            State::UnderWay(look) => look.await,
            State::Over(berth, coming) => (berth, coming),
        }
    }
}

impl View {
    async fn look(self, signals: Signals) -> (Box<Berth>, Coming) {
        let (shop, closing) = (self.berth.shop.clone(), self.post.closing.clone());
        let off = async {
            tokio::select! {
                biased;
                () = signals.back.cancelled() => {}
                () = closing.cancelled() => {}
                () = shop.leaving.has_to_give_back() => {}
            }
        };
        tokio::pin!(off);
        let granted = tokio::select! {
            biased;
            () = &mut off => None,
            granted = self.ask(&signals) => granted,
        };
        let Self { mut berth, post, .. } = self;
        let Some((grant, unwanted)) = granted else { return (berth, Coming::Nothing) };
        // An agent that is to leave when it has nothing to do has something.
        let _busy = shop.leaving.begins_errand();
        signals.opening.cancel();
        let account = berth.account.clone();
        // What it was told once, before anything was here, counts no more.
        account.goes_on();
        let opened = tokio::select! {
            biased;
            () = &mut off => Opened::PutOff,
            () = unwanted.cancelled() => Opened::Unwanted,
            why = account.stopped() => {
                tracing::info!(lease = %grant.lease_id, %why, "scene not opened ahead");
                Opened::PutOff
            }
            opened = berth.opens_ahead(&grant, &signals.turn) => opened,
            never = takes_its_time(&post, &account, &grant, &signals.turn) => match never {},
        };
        let coming = berth.settle(grant, unwanted, opened).await;
        (berth, coming)
    }

    /// Asks for a batch, once the last frame is in work, if there can be room for another scene.
    async fn ask(&self, signals: &Signals) -> Option<(Box<LeaseGrant>, CancellationToken)> {
        let Self { berth, scene, devices, .. } = self;
        let Berth { shop, account, .. } = &**berth;
        tokio::select! {
            biased;
            () = signals.begun.cancelled() => {}
            () = signals.turn.cancelled() => return None,
        }
        let memory_bytes = account.room_bytes();
        if memory_bytes < berth.worth_asking_bytes || shop.leaving.has_enough_jobs() {
            return None;
        }
        let cached = shop.cache.cached();
        let offer = Offer { warm: Some(*scene), memory_bytes, cached, devices: devices.clone() };
        // If the line has ended, the slot hears of that when it asks for itself.
        let (grant, asked) = shop.link.work_ahead(offer, || shop.book.now()).await.ok().flatten()?;
        tracing::info!(lease = %grant.lease_id, job = %grant.job_id, frames = %grant.frames, "batch received ahead");
        let unwanted = shop.book.begin(&grant, asked);
        Some((Box::new(grant), unwanted))
    }
}

/// When the turn comes before the scene is open, the slot is at work on it, as on any other.
async fn takes_its_time(post: &Post, account: &Account, grant: &LeaseGrant, turn: &CancellationToken) -> Infallible {
    turn.cancelled().await;
    account.begins();
    post.takes(grant.job_id, &Wanted::by(grant).workload());
    std::future::pending().await
}

impl Berth {
    /// Opens the scene of a batch, and waits for its turn. Until the scene is open, its frame is in work, as ever.
    async fn opens_ahead(&mut self, grant: &LeaseGrant, turn: &CancellationToken) -> Opened {
        let (book, lease) = (self.shop.book.clone(), grant.lease_id);
        book.in_work(lease, grant.frames.first(), 0.0);
        match self.warmed_up(Wanted { timing: LeaseTiming::Ahead, ..Wanted::by(grant) }).await {
            Ok(mut warm) => {
                warm.log_begun = true;
                self.warm = Some(warm);
                self.worth_asking_bytes = LEAST_SESSION_BYTES;
            }
            Err(NotReady::Failed(failure)) => return Opened::Failed(failure),
            Err(NotReady::Crowded(need)) => {
                tracing::info!(%lease, need_mib = need.most_bytes >> 20, "no room to open a scene ahead");
                self.worth_asking_bytes = need.most_bytes;
                return Opened::PutOff;
            }
        }
        let _ = book.put_down(lease);
        tracing::info!(%lease, scene = %grant.scene, "scene opened ahead");
        turn.cancelled().await;
        Opened::AtItsTurn
    }

    /// What follows from what became of the scene.
    async fn settle(&mut self, grant: Box<LeaseGrant>, unwanted: CancellationToken, opened: Opened) -> Coming {
        let (lease, frame) = (grant.lease_id, grant.frames.first());
        let coming = match opened {
            Opened::AtItsTurn => {
                self.account.waits();
                return Coming::Batch(grant, unwanted);
            }
            Opened::Failed(failure) => Coming::Failed(self.attempt_failed(lease, frame, failure.into())),
            Opened::PutOff => {
                let lease = self.shop.book.put_down(lease);
                self.shop.report(Report::Release(lease, ReleaseRequest { frames: vec![frame] }));
                Coming::Nothing
            }
            Opened::Unwanted => Coming::Nothing,
        };
        self.account.waits();
        self.end_session().await;
        for lease in self.shop.book.line_of(lease) {
            self.shop.report(Report::BatchDone(lease));
        }
        coming
    }
}
