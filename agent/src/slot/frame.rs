//! A frame: the way to it, its render, and what is handed over of it, or reported in its place.

use std::path::Path;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::Painter;
use haywain_shared::frames::FrameNumber;
use haywain_shared::protocol::{FrameUpload, LeaseGrant, Stage};
use tokio::time::Instant;

use super::berth::Vain;
use super::room::NotReady;
use super::warmth::Wanted;
use super::{Next, Slot};
use crate::blender::session::{Failure, Rendered, Terms};
use crate::book::Standing;
use crate::delivery::Report;
use crate::jail::FRAMES;
use crate::outbox::{Label, Outbox};
use crate::output::{self, Output};

impl Slot {
    /// One attempt at one frame, whatever comes of it.
    pub(super) async fn attempt(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Next {
        let lease = grant.lease_id;
        self.shop.book.in_work(lease, frame, 0.0);
        let account = self.berth.account.clone();
        account.goes_on();
        let attempt = tokio::select! {
            biased;
            // What is finished at the same moment is finished.
            next = self.render(grant, frame) => Ok(next),
            why = account.starved() => Err(why),
        };
        let vain = match attempt {
            Ok(Ok(next)) => return next,
            Ok(Err(vain)) => vain,
            Err(why) => Vain::Starved(why),
        };
        self.last_frame = None;
        self.berth.attempt_failed(lease, frame, vain)
    }

    /// Renders a frame, unless it turns out not to be this agent's any more once Blender is ready.
    async fn render(&mut self, grant: &LeaseGrant, frame: FrameNumber) -> Result<Next, Vain> {
        let directory = self.berth.folder.join(FRAMES).join(format!("{}_{frame}", grant.lease_id));
        let ms = |limit_ms: Option<u64>| limit_ms.map(Duration::from_millis);
        let threads = self.post.threads();
        let mut terms = Terms {
            device: None,
            threads: Some(threads),
            frame_timeout: ms(grant.frame_timeout_ms),
            stall_timeout: ms(grant.stall_timeout_ms),
        };
        let (book, account, lease) = (self.shop.book.clone(), self.berth.account.clone(), grant.lease_id);
        if !self.berth.warm.as_ref().is_some_and(|warm| warm.has_open(Wanted::by(grant))) {
            self.last_frame = None;
        }
        let warm = match self.berth.warmed_up(Wanted::by(grant)).await {
            Ok(warm) => warm,
            Err(NotReady::Failed(failure)) => return Err(failure.into()),
            Err(NotReady::Crowded(need)) => {
                let _ = book.put_down(lease);
                return Ok(Next::Crowded(need));
            }
        };
        let warm = self.berth.warm.insert(warm);
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
        let mut stage = Stage::Preparing;
        let mut progress = |fraction| {
            stage = Stage::Rendering;
            book.in_work(lease, frame, fraction);
            account.is_at(fraction);
        };
        self.signals.begun.cancel();
        let rendered = warm.blender.render(frame, &directory, terms, &mut progress).await;
        let put = match rendered {
            Ok(rendered) => {
                let put = self.hand_over(grant, frame, rendered, &directory).await;
                put.map_err(|failure| Vain::Failed(failure, Stage::Rendering))
            }
            Err(failure) => Err(Vain::Failed(failure, stage)),
        };
        if put.is_err() {
            // What a failed attempt has left is of no use; if it can't be removed now, the next start does it.
            let _ = std::fs::remove_dir_all(&directory);
        }
        put?;
        let span = self.last_frame.replace(Instant::now()).map(|last| last.elapsed());
        // A frame beside which a scene was opened says little of others.
        let span = span.filter(|_| !self.signals.opening.is_cancelled());
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
        let peak_memory_bytes = self.berth.account.rests(peak_memory_bytes).or(peak_memory_bytes);
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
        self.shop.report(Report::Frame(parcel));
        Ok(())
    }
}

pub(super) fn disk_failure(error: &std::io::Error) -> Failure {
    let cause = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        _ => Cause::NoOutput,
    };
    Failure::new(cause, format!("the agent's data folder: {error}"))
}
