//! A slot: works off one batch after the other in a Blender that stays warm between them. It hands over what it has
//! rendered and goes on at once; delivering is somebody else's work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::protocol::{FailureReport, FrameUpload, LeaseGrant, ReleaseRequest};
use haywain_shared::scene::SceneId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blender::Blender;
use crate::blender::session::{Failure, Patience, Rendered, Session};
use crate::book::{Book, Standing};
use crate::cache::{CacheError, SceneCache};
use crate::delivery::Report;
use crate::link::{Link, LinkEnded};
use crate::outbox::{Label, Outbox};
use crate::output::{self, CHECKED_FORMATS};

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
    /// The Blender that renders.
    pub blender: Blender,
    /// Threads of each Blender.
    pub threads: Option<u32>,
    /// How long a Blender is given.
    pub patience: Patience,
    /// How long the orchestrator holds a lease request.
    pub poll: Duration,
    /// Where the readers of Blenders' logs live.
    pub tasks: TaskTracker,
    /// Cancelled when the agent is to stop: frames in work are put down.
    pub stop: CancellationToken,
}

/// One slot.
pub struct Slot {
    shop: Workshop,
    /// For what Blender and its frames leave while they are in work.
    folder: PathBuf,
    warm: Option<Warm>,
}

/// A live Blender and the scene that it has open.
struct Warm {
    session: Session,
    scene: Option<SceneId>,
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
    /// A slot that works in `folder`.
    #[must_use]
    pub const fn new(shop: Workshop, folder: PathBuf) -> Self {
        Self { shop, folder, warm: None }
    }

    /// Leases and works until the line ends.
    pub async fn run(mut self) -> LinkEnded {
        let ended = loop {
            match self.shop.link.next_lease(self.shop.poll).await {
                Ok(grant) => self.work(&grant).await,
                Err(ended) => break ended,
            }
        };
        if let Some(Warm { session, .. }) = self.warm.take() {
            session.end().await;
        }
        ended
    }

    async fn work(&mut self, grant: &LeaseGrant) {
        let lease = grant.lease_id;
        tracing::info!(%lease, job = %grant.job_id, frames = %grant.frames, "batch received");
        self.shop.book.begin(grant);
        let stop = self.shop.stop.clone();
        let mut left: Vec<FrameNumber> = grant.frames.iter().rev().collect();
        let mut next = Next::Frame;
        while let Some(frame) = left.last().copied() {
            if self.shop.book.standing(lease, frame) == Standing::Lost {
                tracing::info!(%lease, %frame, "frame is no longer ours");
                left.pop();
                continue;
            }
            next = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = self.attempt(grant, frame) => next,
            };
            left.pop();
            if next != Next::Frame {
                break;
            }
        }
        if stop.is_cancelled() {
            // A frame may be in work, and nobody listens to that Blender any more.
            self.warm = None;
        }
        if !left.is_empty() {
            left.reverse();
            self.report(Report::Release(lease, ReleaseRequest { frames: left }));
        }
        self.report(Report::BatchDone(lease));
        if next == Next::Pause {
            tracing::error!(
                seconds = AFTER_TROUBLE.as_secs(),
                "this machine is in trouble: taking no work for a while"
            );
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(AFTER_TROUBLE) => {}
            }
        }
    }

    /// One attempt at one frame, whatever comes of it.
    async fn attempt(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Next {
        let lease = grant.lease_id;
        self.shop.book.in_work(lease, frame, 0.0);
        let failure = match self.render(grant, frame).await {
            Ok(()) => {
                self.shop.book.rendered(lease);
                return Next::Frame;
            }
            Err(failure) => failure,
        };
        self.shop.book.put_down(lease);
        let Failure { cause, message } = failure;
        tracing::warn!(%lease, %frame, %cause, reason = message, "attempt failed");
        let log_tail = self.warm.as_ref().map(|warm| warm.session.log_tail()).unwrap_or_default();
        let next = match cause {
            Cause::DiskFull => Next::Pause,
            // It did not even start.
            Cause::Crashed | Cause::Stalled if self.warm.is_none() => Next::Pause,
            _ if cause.is_the_scenes_fault() => Next::GiveBack,
            _ => Next::Frame,
        };
        self.warm = self.warm.take().filter(|warm| warm.session.is_alive());
        self.report(Report::Failure(lease, FailureReport { frame, cause, message, log_tail }));
        next
    }

    async fn render(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Result<(), Failure> {
        let directory = self.folder.join(format!("{}_{frame}", grant.lease_id));
        let threads = self.shop.threads;
        let (book, lease) = (self.shop.book.clone(), grant.lease_id);
        let warm = self.warmed_up(grant.scene).await?;
        std::fs::create_dir_all(&directory).map_err(|error| disk_failure(&error))?;
        let rendered =
            warm.session.render(frame, &directory, threads, |fraction| book.in_work(lease, frame, fraction)).await;
        let put = match rendered {
            Ok(rendered) => self.hand_over(grant, frame, rendered, &directory).await,
            Err(failure) => Err(failure),
        };
        if put.is_err() {
            // What a failed attempt has left is of no use; if it can't be removed now, the next start does it.
            let _ = std::fs::remove_dir_all(&directory);
        }
        put
    }

    /// A live session with the scene open.
    async fn warmed_up(&mut self, scene: SceneId) -> Result<&mut Warm, Failure> {
        let path = self.shop.cache.entry(scene, &self.shop.stop).await.map_err(|error| cache_failure(&error))?;
        let mut warm = if let Some(warm) = self.warm.take() {
            warm
        } else {
            let Workshop { blender, patience, tasks, .. } = &self.shop;
            let session = Session::start(blender, &self.folder.join("blender"), *patience, tasks).await?;
            Warm { session, scene: None }
        };
        let opened = if warm.scene == Some(scene) { Ok(()) } else { open(&mut warm, scene, &path).await };
        let warm = self.warm.insert(warm);
        opened.map(|()| warm)
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
        let check = move || {
            let Rendered { files, render_ms, peak_memory_bytes } = rendered;
            let checked = files.iter().map(|file| output::check(&folder, file)).collect::<Result<Vec<_>, _>>();
            checked.map(|files| (files, render_ms, peak_memory_bytes))
        };
        // Decoding a large image takes a while; heartbeats must go on.
        let (files, render_ms, peak_memory_bytes) = tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| Failure { cause: Cause::InvalidOutput, message: format!("checking the image: {error}") })?
            .map_err(|error| Failure { cause: Cause::InvalidOutput, message: error.to_string() })?;
        let upload = FrameUpload { job_id: grant.job_id, render_ms, peak_memory_bytes, files };
        let label = Label { lease_id: grant.lease_id, frame, upload };
        let parcel = self.shop.outbox.put(label, directory).map_err(|error| disk_failure(&error))?;
        tracing::info!(lease = %grant.lease_id, %frame, render_ms, "frame rendered");
        self.report(Report::Frame(parcel));
        Ok(())
    }

    fn report(&self, report: Report) {
        // The receiver is gone only when the agent has ended.
        let _ = self.shop.reports.send(report);
    }
}

async fn open(warm: &mut Warm, scene: SceneId, path: &Path) -> Result<(), Failure> {
    warm.scene = None;
    let opened = warm.session.open(path).await?;
    tracing::info!(%scene, engine = opened.engine, format = opened.format, notes = ?opened.notes, "scene opened");
    if !CHECKED_FORMATS.contains(&opened.format.as_str()) {
        let message = format!(
            "the scene writes {}, which cannot be checked for damage; choose one of {}",
            opened.format,
            CHECKED_FORMATS.join(", ")
        );
        return Err(Failure { cause: Cause::BadScene, message });
    }
    warm.scene = Some(scene);
    Ok(())
}

fn cache_failure(error: &CacheError) -> Failure {
    let cause = match error {
        CacheError::Stopped => Cause::AgentStopped,
        CacheError::Refused(_) => Cause::MissingFile,
        CacheError::Disk { source, .. } => return Failure { message: error.to_string(), ..disk_failure(source) },
    };
    Failure { cause, message: error.to_string() }
}

fn disk_failure(error: &std::io::Error) -> Failure {
    let cause = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        _ => Cause::NoOutput,
    };
    Failure { cause, message: format!("the agent's data folder: {error}") }
}
