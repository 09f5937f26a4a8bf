//! Looking at a scene that somebody wants to know of, without a job: it is opened as a plain job would open it, and what is
//! found is reported, or why nothing could be. Nothing is held meanwhile, so an agent that leaves just puts it down.

use haywain_shared::cause::Cause;
use haywain_shared::inspection::{Inspection, InspectionFailure};
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::{InspectionWish, LeaseTiming};
use haywain_shared::scene::SceneId;

use super::Slot;
use super::room::{Closing, NotReady};
use super::warmth::{self, Wanted};
use crate::blender::session::Failure;
use crate::delivery::Report;

impl Slot {
    /// Looks at a scene and reports what is in it.
    pub(super) async fn inspect(&mut self, scene: SceneId) {
        tracing::info!(%scene, "scene to be inspected");
        let _busy = self.shop.leaving.begins_errand();
        let leaving = self.shop.leaving.draining().clone();
        let found = tokio::select! {
            biased;
            () = leaving.cancelled() => Err(Failure::new(Cause::AgentStopped, "the agent leaves")),
            found = self.look_into(scene) => found,
        };
        let _ = self.berth.account.rests(None);
        match found {
            Ok(inspection) => self.shop.report(Report::Inspection(scene, inspection)),
            Err(Failure { cause, message, .. }) => {
                tracing::warn!(%scene, %cause, reason = message, "scene not inspected");
                self.shop.report(Report::NoInspection(scene, InspectionFailure { cause, message }));
            }
        }
    }

    async fn look_into(&mut self, scene: SceneId) -> Result<Box<Inspection>, Failure> {
        let options = RenderOptions::default();
        let blender = self.shop.blender.clone();
        let inspection = InspectionWish::Wanted;
        let timing = LeaseTiming::Now;
        let wanted = Wanted {
            blender: &blender,
            device: None,
            scene,
            options: &options,
            submitted_by: None,
            inspection,
            timing,
        };
        let (mut warm, in_use) = loop {
            match self.berth.housed(wanted).await {
                Ok(housed) => break housed,
                Err(NotReady::Failed(failure)) => return Err(failure),
                Err(NotReady::Crowded(need)) => {
                    let closes = |Closing| Failure::new(Cause::AgentStopped, "the slot closes before there is room");
                    self.room_for(need).await.map_err(closes)?;
                }
            }
        };
        let opened = tokio::select! {
            biased;
            why = self.berth.account.starved() => return Err(self.berth.starved(why)),
            opened = warmth::open(&mut warm, wanted, in_use) => opened,
        };
        let inspection = warm.blender.take_inspection();
        self.berth.warm = Some(warm).filter(|warm| warm.blender.is_alive());
        // What speaks against rendering the scene is part of what was found in it.
        match (inspection, opened) {
            (Some(inspection), _) => Ok(inspection),
            (None, Err(failure)) => Err(failure),
            (None, Ok(())) => {
                Err(Failure::new(Cause::NoOutput, "Blender opened the scene and did not say what is in it"))
            }
        }
    }
}
