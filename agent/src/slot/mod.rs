//! A slot: works off one batch after the other in a Blender that stays warm between them. It hands over what it has
//! rendered and goes on at once; delivering is somebody else's work.

pub mod equipment;
mod inspecting;
mod warmth;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::Painter;
use haywain_shared::frames::FrameNumber;
use haywain_shared::options::Scripts;
use haywain_shared::protocol::{BlenderBuild, FailureReport, FrameUpload, LeaseGrant, ReleaseRequest, Work};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::equipment::Equipment;
use self::warmth::{Wanted, Warm};
use crate::blender::session::{Failure, Rendered, Terms};
use crate::blender::studio::Studio;
use crate::book::{Book, Standing};
use crate::cache::SceneCache;
use crate::delivery::Report;
use crate::leaving::Leaving;
use crate::link::{Link, LinkEnded, Offer};
use crate::outbox::{Label, Outbox};
use crate::output::{self, Output};
use crate::status::Board;

/// How long a slot keeps still after a Blender that did not even start, or a disk that is full: the machine needs its owner
/// more than another batch.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// What all slots of an agent share.
#[derive(Clone)]
pub struct Workshop {
    /// The line to the orchestrator.
    pub link: Link,
    /// The leases that are held.
    pub book: Book,
    /// The scenes on this machine.
    pub cache: SceneCache,
    /// Where finished frames go.
    pub outbox: Outbox,
    /// What there is to tell the orchestrator, in order.
    pub reports: mpsc::UnboundedSender<Report>,
    /// Where Blenders come from.
    pub studio: Arc<dyn Studio>,
    /// The Blender that looks at scenes for which no job has named one.
    pub blender: BlenderBuild,
    /// Whether Python may run that comes with a scene.
    pub scripts: Scripts,
    /// Threads of each Blender.
    pub threads: Option<u32>,
    /// How long the orchestrator holds a lease request.
    pub poll: Duration,
    /// When to take no more, and when to put everything down.
    pub leaving: Leaving,
    /// Where to say how it goes.
    pub board: Board,
}

/// One slot.
pub struct Slot {
    shop: Workshop,
    /// For what Blender and its frames leave while they are in work.
    folder: PathBuf,
    /// What it renders with.
    equipment: Equipment,
    warm: Option<Warm>,
    /// Why it is to keep still.
    trouble: Option<String>,
}

/// How a slot goes on after a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Frame,
    /// The rest of the batch would fare no better: it goes back.
    GiveBack,
    /// Neither would another batch: this machine needs its owner.
    Pause,
}

impl Slot {
    /// A slot that works in `folder`, with its share of the machine's devices.
    #[must_use]
    pub const fn new(shop: Workshop, folder: PathBuf, equipment: Equipment) -> Self {
        Self { shop, folder, equipment, warm: None, trouble: None }
    }

    /// Leases and works until the agent leaves, or the line ends.
    pub async fn run(mut self) -> LinkEnded {
        let ended = self.work_on().await;
        if let Some(Warm { blender, .. }) = self.warm.take() {
            blender.end().await;
        }
        ended
    }

    async fn work_on(&mut self) -> LinkEnded {
        let leaving = self.shop.leaving.clone();
        let book = self.shop.book.clone();
        // What an earlier life has left is delivered first, or its frames could be leased anew.
        self.all_told().await;
        while leaving.may_take_work().await.is_some() {
            let warm = self.warm.as_ref();
            let offer = Offer {
                warm: warm.and_then(|warm| warm.scene.as_ref()).map(|scene| scene.id),
                warm_bytes: warm.map_or(0, |warm| warm.blender.memory_bytes()),
                cached: self.shop.cache.cached(),
                devices: self.equipment.free().cloned(),
            };
            let leased = tokio::select! {
                biased;
                // A grant that is on its way is given back when the agent says that it leaves.
                () = leaving.draining().cancelled() => break,
                leased = self.shop.link.next_work(self.shop.poll, &offer, || book.now()) => leased,
            };
            match leased {
                Ok((Work::Batch(grant), asked)) => self.work(&grant, asked).await,
                Ok((Work::Inspection { scene }, _)) => self.inspect(scene).await,
                Err(ended) => return ended,
            }
        }
        LinkEnded::Stopped
    }

    async fn work(&mut self, grant: &LeaseGrant, asked: Duration) {
        let lease = grant.lease_id;
        tracing::info!(%lease, job = %grant.job_id, frames = %grant.frames, "batch received");
        let unwanted = self.shop.book.begin(grant, asked);
        let mut left: Vec<FrameNumber> = grant.frames.iter().rev().collect();
        let mut next = Next::GiveBack;
        if let Some(_busy) = self.shop.leaving.takes(grant.job_id) {
            next = self.batch(grant, &unwanted, &mut left).await;
        }
        if self.shop.leaving.stopping().is_cancelled() || unwanted.is_cancelled() {
            // A frame may be in work, and nobody listens to that Blender any more.
            self.warm = None;
        }
        if !left.is_empty() {
            left.reverse();
            self.report(Report::Release(lease, ReleaseRequest { frames: left }));
        }
        for lease in self.shop.book.line_of(lease) {
            self.report(Report::BatchDone(lease));
        }
        if next != Next::Frame {
            // Asking for more before that is known would bring the same frames back.
            self.all_told().await;
        }
        if next == Next::Pause {
            let seconds = AFTER_TROUBLE.as_secs();
            tracing::error!(seconds, "this machine is in trouble: taking no work for a while");
            let _note = self
                .trouble
                .take()
                .map(|trouble| self.shop.board.note(format!("a slot takes no work for {seconds} s: {trouble}")));
            tokio::select! {
                () = self.shop.leaving.draining().cancelled() => {}
                () = tokio::time::sleep(AFTER_TROUBLE) => {}
            }
        }
    }

    /// Renders the frames of a batch that are `left`, last first out, until something says no.
    async fn batch(&mut self, grant: &LeaseGrant, unwanted: &CancellationToken, left: &mut Vec<FrameNumber>) -> Next {
        let lease = grant.lease_id;
        let stop = self.shop.leaving.stopping().clone();
        while let Some(frame) = left.last().copied() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Next::GiveBack,
                () = self.shop.outbox.room() => {}
            }
            match self.settled_standing(grant, frame).await {
                Standing::Held => {}
                Standing::Lost => {
                    tracing::info!(%lease, %frame, "frame is no longer ours");
                    left.pop();
                    continue;
                }
                Standing::Unknown => return Next::GiveBack,
            }
            if self.shop.leaving.gives_back() {
                return Next::GiveBack;
            }
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Next::GiveBack,
                () = unwanted.cancelled() => {
                    tracing::info!(%lease, %frame, "the job is cancelled: frame stopped");
                    left.clear();
                    return Next::GiveBack;
                }
                next = self.attempt(grant, frame) => next,
            };
            left.pop();
            if next != Next::Frame {
                return next;
            }
        }
        Next::Frame
    }

    /// Whether a frame may be begun. If the lease has run out by the agent's own clock, that is the orchestrator's to say, and
    /// it is waited for; `Unknown` only when the agent leaves meanwhile.
    async fn settled_standing(&self, grant: &LeaseGrant, frame: FrameNumber) -> Standing {
        let mut heartbeats = self.shop.book.changes();
        loop {
            heartbeats.borrow_and_update();
            let standing = self.shop.book.standing(grant.lease_id, frame);
            if standing != Standing::Unknown {
                return standing;
            }
            tracing::warn!(lease = %grant.lease_id, %frame, "the lease has run out here: waiting for the orchestrator");
            tokio::select! {
                () = self.shop.leaving.draining().cancelled() => return Standing::Unknown,
                changed = heartbeats.changed() => if changed.is_err() { return Standing::Unknown },
            }
        }
    }

    /// One attempt at one frame, whatever comes of it.
    async fn attempt(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Next {
        let lease = grant.lease_id;
        self.shop.book.in_work(lease, frame, 0.0);
        let failure = match self.render(grant, frame).await {
            Ok(next) => return next,
            Err(failure) => failure,
        };
        let lease = self.shop.book.put_down(lease);
        let Failure { cause, message, peak_memory_bytes } = failure;
        tracing::warn!(%lease, %frame, %cause, reason = message, "attempt failed");
        self.shop.board.failed();
        let log_tail = self.warm.as_ref().map(|warm| warm.blender.log_tail()).unwrap_or_default();
        let next = match cause {
            Cause::DiskFull => Next::Pause,
            // It did not even start.
            Cause::Crashed | Cause::Stalled if self.warm.is_none() => Next::Pause,
            _ if cause.is_the_scenes_fault() || cause == Cause::DeviceUnavailable => Next::GiveBack,
            _ => Next::Frame,
        };
        if next == Next::Pause {
            self.trouble = Some(format!("{cause}: {message}"));
        }
        self.warm = self.warm.take().filter(|warm| warm.blender.is_alive());
        self.report(Report::Failure(lease, FailureReport { frame, cause, peak_memory_bytes, message, log_tail }));
        next
    }

    /// Renders a frame, unless it turns out not to be this agent's any more once Blender is ready.
    async fn render(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Result<Next, Failure> {
        let directory = self.folder.join(format!("{}_{frame}", grant.lease_id));
        let ms = |limit_ms: Option<u64>| limit_ms.map(Duration::from_millis);
        let mut terms = Terms {
            device: None,
            threads: self.shop.threads,
            frame_timeout: ms(grant.frame_timeout_ms),
            stall_timeout: ms(grant.stall_timeout_ms),
        };
        let (book, lease) = (self.shop.book.clone(), grant.lease_id);
        let warm = self.warmed_up(Wanted::by(grant)).await?;
        // Fetching a scene and starting a Blender can take longer than a lease lasts.
        let standing = self.settled_standing(grant, frame).await;
        let warm = self.warm.insert(warm);
        if standing != Standing::Held {
            tracing::info!(%lease, %frame, ?standing, "frame not begun");
            let _ = book.put_down(lease);
            return Ok(if standing == Standing::Lost { Next::Frame } else { Next::GiveBack });
        }
        if let Some(log) = warm.blender.log() {
            book.logs_to(lease, log);
        }
        let painter = warm.scene.as_ref().map_or(Painter::Unknown, |scene| scene.painter);
        terms.device = self.equipment.order(&grant.blender, grant.device, grant.options.device, painter)?;
        std::fs::create_dir_all(&directory).map_err(|error| disk_failure(&error))?;
        let mut progress = |fraction| book.in_work(lease, frame, fraction);
        let rendered = warm.blender.render(frame, &directory, terms, &mut progress).await;
        let put = match rendered {
            Ok(rendered) => self.hand_over(grant, frame, rendered, &directory).await,
            Err(failure) => Err(failure),
        };
        if put.is_err() {
            // What a failed attempt has left is of no use; if it can't be removed now, the next start does it.
            let _ = std::fs::remove_dir_all(&directory);
        }
        put.map(|()| Next::Frame)
    }

    /// Checks what was rendered and puts it into the outbox.
    async fn hand_over(
        &self,
        grant: &LeaseGrant,
        frame: FrameNumber,
        rendered: Rendered,
        directory: &Path,
    ) -> Result<(), Failure> {
        let folder = directory.to_owned();
        let Rendered { files, render_ms, peak_memory_bytes } = rendered;
        // Decoding a large image takes a while; heartbeats must go on.
        let Output { files, thumbnail } = tokio::task::spawn_blocking(move || output::check(&folder, &files))
            .await
            .map_err(|error| Failure::new(Cause::InvalidOutput, format!("checking the image: {error}")))?
            .map_err(|error| Failure::new(Cause::InvalidOutput, error.to_string()))?;
        let thumbnail = thumbnail.map(|jpeg| Outbox::add_thumbnail(directory, &jpeg)).transpose();
        let thumbnail = thumbnail.map_err(|error| disk_failure(&error))?;
        let upload = FrameUpload {
            job_id: grant.job_id,
            generation: grant.generation,
            render_ms,
            peak_memory_bytes,
            files,
            thumbnail,
        };
        let lease_id = self.shop.book.rendered(grant.lease_id);
        let label = Label { lease_id, frame, upload };
        let parcel = self.shop.outbox.put(label, directory).map_err(|error| disk_failure(&error))?;
        tracing::info!(lease = %lease_id, %frame, render_ms, "frame rendered");
        self.shop.board.rendered(render_ms);
        self.report(Report::Frame(parcel));
        Ok(())
    }

    /// Waits until the orchestrator knows everything that there was to report, or the agent leaves.
    async fn all_told(&self) {
        let (told, waiting) = oneshot::channel();
        self.report(Report::Told(told));
        tokio::select! {
            () = self.shop.leaving.draining().cancelled() => {}
            // An error says that the courier has ended.
            _ = waiting => {}
        }
    }

    fn report(&self, report: Report) {
        // The receiver is gone only when the agent has ended.
        let _ = self.shop.reports.send(report);
    }
}

fn disk_failure(error: &std::io::Error) -> Failure {
    let cause = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        _ => Cause::NoOutput,
    };
    Failure::new(cause, format!("the agent's data folder: {error}"))
}
