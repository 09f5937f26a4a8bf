//! A slot: works off one batch after the other in a Blender that stays warm between them. It hands over what it has
//! rendered and goes on at once; delivering is somebody else's work.

pub mod equipment;
mod inspecting;
mod room;
mod warmth;
mod workshop;

use std::path::{Path, PathBuf};
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::Painter;
use haywain_shared::frames::FrameNumber;
use haywain_shared::protocol::{FailureReport, FrameUpload, LeaseGrant, ReleaseRequest, Work};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::equipment::Equipment;
use self::room::NotReady;
use self::warmth::{Wanted, Warm};
pub use self::workshop::Workshop;
use crate::blender::session::{Failure, Rendered, Terms};
use crate::book::Standing;
use crate::crew::Post;
use crate::delivery::Report;
use crate::link::{LinkEnded, Offer};
use crate::memory::Account;
use crate::memory::admission::Need;
use crate::outbox::{Label, Outbox};
use crate::output::{self, Output};

/// How long a slot keeps still after a Blender that did not even start, or a disk that is full: the machine needs its owner
/// more than another batch.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// A slot that waits for work for longer than this was not held up by asking: there was none.
const FOR_NOTHING: Duration = Duration::from_secs(1);

/// One slot.
pub struct Slot {
    shop: Workshop,
    post: Post,
    /// For what Blender and its frames leave while they are in work.
    folder: PathBuf,
    /// What it renders with.
    equipment: Equipment,
    account: Account,
    warm: Option<Warm>,
    /// Why it is to keep still.
    trouble: Option<String>,
    /// When the last frame was finished, if the slot has been at work since, in the same session.
    last_frame: Option<Instant>,
}

/// How a slot goes on after a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Frame,
    /// The rest of the batch would fare no better: it goes back.
    GiveBack,
    /// So does a batch that finds no room beside what the other slots render.
    Crowded(Need),
    /// Neither would another batch: this machine needs its owner.
    Pause,
}

impl Slot {
    /// A slot that works in `folder`, with its share of the machine's devices.
    #[must_use]
    pub const fn new(shop: Workshop, post: Post, account: Account, equipment: Equipment, folder: PathBuf) -> Self {
        Self { shop, post, folder, equipment, account, warm: None, trouble: None, last_frame: None }
    }

    /// Leases and works until it is to close, or the line ends.
    pub async fn run(mut self) -> LinkEnded {
        let ended = self.work_on().await;
        self.end_session().await;
        ended
    }

    async fn work_on(&mut self) -> LinkEnded {
        let (shop, account) = (self.shop.clone(), self.account.clone());
        let closing = self.post.closing.clone();
        // What an earlier life has left is delivered first, or its frames could be leased anew.
        self.all_told().await;
        loop {
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
            let warm = self.warm.as_ref().and_then(|warm| warm.scene.as_ref()).map(|scene| scene.id);
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
                Some(Ok((Work::Batch(grant), asked))) => self.work(&grant, asked).await,
                Some(Ok((Work::Inspection { scene }, _))) => self.inspect(scene).await,
                Some(Err(ended)) => return ended,
                None => break,
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
            self.post.takes(grant.job_id, &Wanted::by(grant).workload());
            next = self.batch(grant, &unwanted, &mut left).await;
            self.post.rests();
        }
        // A frame may have been put down in the middle.
        let _ = self.account.rests(None);
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
        if let Next::Crowded(need) = next {
            self.room_for(need).await;
        }
        if next == Next::Pause {
            let seconds = AFTER_TROUBLE.as_secs();
            tracing::error!(seconds, "this machine is in trouble: taking no work for a while");
            let trouble = self.trouble.take().unwrap_or_default();
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
    async fn batch(&mut self, grant: &LeaseGrant, unwanted: &CancellationToken, left: &mut Vec<FrameNumber>) -> Next {
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
            let next = tokio::select! {
                biased;
                () = stopping.cancelled() => return Next::GiveBack,
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

    /// One attempt at one frame, whatever comes of it.
    async fn attempt(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Next {
        let lease = grant.lease_id;
        self.shop.book.in_work(lease, frame, 0.0);
        self.account.goes_on();
        let account = self.account.clone();
        let attempt = tokio::select! {
            biased;
            why = account.starved() => Err(why),
            next = self.render(grant, frame) => Ok(next),
        };
        let (failure, is_stopped) = match attempt {
            Ok(Ok(next)) => return next,
            Ok(Err(failure)) => (failure, false),
            Err(why) => (self.starved(why), true),
        };
        self.last_frame = None;
        let lease = self.shop.book.put_down(lease);
        let Failure { cause, message, peak_memory_bytes } = failure;
        let peak_memory_bytes = self.account.rests(peak_memory_bytes).or(peak_memory_bytes);
        tracing::warn!(%lease, %frame, %cause, reason = message, peak_memory_bytes, "attempt failed");
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
        self.warm = self.warm.take().filter(|warm| !is_stopped && warm.blender.is_alive());
        self.report(Report::Failure(lease, FailureReport { frame, cause, peak_memory_bytes, message, log_tail }));
        next
    }

    /// Renders a frame, unless it turns out not to be this agent's any more once Blender is ready.
    async fn render(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Result<Next, Failure> {
        let directory = self.folder.join(format!("{}_{frame}", grant.lease_id));
        let ms = |limit_ms: Option<u64>| limit_ms.map(Duration::from_millis);
        let threads = self.post.threads();
        let mut terms = Terms {
            device: None,
            threads: Some(threads),
            frame_timeout: ms(grant.frame_timeout_ms),
            stall_timeout: ms(grant.stall_timeout_ms),
        };
        let (book, account, lease) = (self.shop.book.clone(), self.account.clone(), grant.lease_id);
        if !self.warm.as_ref().is_some_and(|warm| warm.has_open(Wanted::by(grant))) {
            self.last_frame = None;
        }
        let warm = match self.warmed_up(Wanted::by(grant)).await {
            Ok(warm) => warm,
            Err(NotReady::Failed(failure)) => return Err(failure),
            Err(NotReady::Crowded(need)) => {
                let _ = book.put_down(lease);
                return Ok(Next::Crowded(need));
            }
        };
        let warm = self.warm.insert(warm);
        account.begins();
        // Fetching a scene and starting a Blender can take longer than a lease lasts.
        let standing = self.shop.settled_standing(lease, frame, &self.post.closing).await;
        if standing != Standing::Held {
            tracing::info!(%lease, %frame, ?standing, "frame not begun");
            let _ = book.put_down(lease);
            let _ = account.rests(None);
            return Ok(if standing == Standing::Lost { Next::Frame } else { Next::GiveBack });
        }
        if let Some(log) = warm.blender.log() {
            book.logs_to(lease, log);
        }
        let painter = warm.scene.as_ref().map_or(Painter::Unknown, |scene| scene.painter);
        terms.device = self.equipment.order(&grant.blender, grant.device, grant.options.device, painter)?;
        std::fs::create_dir_all(&directory).map_err(|error| disk_failure(&error))?;
        let mut progress = |fraction| {
            book.in_work(lease, frame, fraction);
            account.is_at(fraction);
        };
        let rendered = warm.blender.render(frame, &directory, terms, &mut progress).await;
        let put = match rendered {
            Ok(rendered) => self.hand_over(grant, frame, rendered, &directory).await,
            Err(failure) => Err(failure),
        };
        if put.is_err() {
            // What a failed attempt has left is of no use; if it can't be removed now, the next start does it.
            let _ = std::fs::remove_dir_all(&directory);
        }
        put?;
        let span = self.last_frame.replace(Instant::now()).map(|last| last.elapsed());
        self.post.finished(grant.job_id, &Wanted::by(grant).workload(), threads, span);
        self.replace_if_worn().await;
        Ok(Next::Frame)
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
        let peak_memory_bytes = self.account.rests(peak_memory_bytes).or(peak_memory_bytes);
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

    /// Waits until the orchestrator knows everything that there was to report, or the slot is to close.
    async fn all_told(&self) {
        let (told, waiting) = oneshot::channel();
        self.report(Report::Told(told));
        tokio::select! {
            () = self.post.closing.cancelled() => {}
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
