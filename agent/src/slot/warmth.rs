//! What keeps a slot warm: a live Blender, which of the jobs can share one, and the scene that it has open.

use std::collections::BTreeSet;
use std::path::PathBuf;

use haywain_shared::cause::Cause;
use haywain_shared::devices::{DeviceKind, Painter};
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{BlenderBuild, InspectionWish, LeaseGrant, LeaseTiming};
use haywain_shared::scene::SceneId;
use haywain_shared::scripts::ScriptRule;

use super::berth::Berth;
use super::frame::disk_failure;
use super::room::NotReady;
use crate::blender::session::{Failure, Opening};
use crate::blender::studio::WarmBlender;
use crate::cache::{CacheError, SceneInUse};
use crate::delivery::Report;
use crate::memory::Place;
use crate::memory::learnt::Workload;
use crate::memory::wear::Wear;
use crate::output::CHECKED_FORMATS;

/// A live Blender and the scene that it has open.
pub(super) struct Warm {
    pub(super) blender: Box<dyn WarmBlender>,
    household: Household,
    pub(super) scene: Option<OpenScene>,
    pub(super) wear: Wear,
    /// Its log has begun, with the opening of the scene, for the frame that comes next.
    pub(super) log_begun: bool,
    /// After the Blender: its memory is taken for free once this is gone.
    place: Place,
}

/// What a Blender cannot change, or leaves traces of, while it lives: only jobs that agree in it share one.
#[derive(Debug, PartialEq, Eq)]
struct Household {
    blender: BlenderBuild,
    scripts: Scripts,
    /// Whose scripts those are: what they leave behind is for nobody else.
    scripts_of: Option<String>,
    addons: BTreeSet<String>,
    /// The kind of GPU, if it is known that there is to be one: its drivers leave their own in a process.
    gpu: Option<DeviceKind>,
    color_config: Option<PathBuf>,
}

/// A scene that a Blender has open: its files stay on this machine meanwhile.
pub(super) struct OpenScene {
    pub(super) id: SceneId,
    options: RenderOptions,
    /// How it is rendered, as far as devices matter.
    pub(super) painter: Painter,
    _in_use: SceneInUse,
}

/// How a scene is to be open.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) blender: &'a BlenderBuild,
    pub(super) device: Option<DeviceKind>,
    pub(super) scene: SceneId,
    pub(super) options: &'a RenderOptions,
    /// The name of the token that stands for it.
    pub(super) submitted_by: Option<&'a str>,
    pub(super) inspection: InspectionWish,
    /// Whether it is to be open now, or for a batch that comes later.
    pub(super) timing: LeaseTiming,
}

impl<'a> Wanted<'a> {
    pub(super) fn by(grant: &'a LeaseGrant) -> Self {
        let LeaseGrant { blender, device, scene, options, inspection, submitted_by, .. } = grant;
        let submitted_by = submitted_by.as_deref();
        let (device, scene, inspection) = (*device, *scene, *inspection);
        Self { blender, device, scene, options, submitted_by, inspection, timing: LeaseTiming::Now }
    }

    /// Whose scripts run in it, if some do, and somebody is known to stand for them.
    fn scripts_of(self) -> Option<&'a str> {
        self.submitted_by.filter(|_| self.options.scripts == Scripts::Allowed)
    }

    /// What decides how much memory it takes.
    pub(super) fn workload(self) -> Workload {
        Workload { scene: self.scene, blender: self.blender.clone(), options: self.options.clone() }
    }
}

impl Warm {
    /// Whether the scene is open as it is wanted.
    pub(super) fn has_open(&self, wanted: Wanted<'_>) -> bool {
        let is_wanted = |scene: &OpenScene| scene.id == wanted.scene && scene.options == *wanted.options;
        self.household.blender == *wanted.blender
            && self.household.scripts_of.as_deref() == wanted.scripts_of()
            && self.scene.as_ref().is_some_and(is_wanted)
    }

    /// One that has nothing open, for tests.
    #[cfg(test)]
    pub(super) fn of(blender: Box<dyn WarmBlender>, build: BlenderBuild, place: Place) -> Self {
        let household = Household {
            blender: build,
            scripts: Scripts::Blocked,
            scripts_of: None,
            addons: BTreeSet::new(),
            gpu: None,
            color_config: None,
        };
        Self { blender, household, scene: None, wear: Wear::default(), log_begun: false, place }
    }

    /// Ends the Blender, and waits until it is gone.
    pub(super) async fn end(self) {
        let Self { blender, place, .. } = self;
        blender.end().await;
        drop(place);
    }
}

impl Berth {
    /// A live session with the scene open as it is wanted.
    pub(super) async fn warmed_up(&mut self, wanted: Wanted<'_>) -> Result<Warm, NotReady> {
        // The owner's word counts, whatever the orchestrator thinks, and for a scene that somebody else has had opened, too.
        may_run(wanted, &self.shop.scripts)?;
        if let Some(warm) = &mut self.warm {
            // With this opening or, if the scene is open, with this frame; with both, if it was opened ahead for it.
            if !std::mem::take(&mut warm.log_begun) {
                warm.blender.begin_log();
            }
        }
        if let Some(warm) = self.warm.take_if(|warm| warm.has_open(wanted)) {
            return Ok(warm);
        }
        let (mut warm, in_use) = self.housed(wanted).await?;
        let opened = open(&mut warm, wanted, in_use).await;
        if let Some(inspection) = warm.blender.take_inspection() {
            self.shop.report(Report::Inspection(wanted.scene, inspection));
        }
        match opened {
            Ok(()) => {
                self.account.opened();
                Ok(warm)
            }
            Err(failure) => {
                self.warm = Some(warm);
                Err(failure.into())
            }
        }
    }

    /// A live session that the scene may be opened in, and the scene's files on this machine.
    pub(super) async fn housed(&mut self, wanted: Wanted<'_>) -> Result<(Warm, SceneInUse), NotReady> {
        let shop = self.shop.clone();
        // The session before has nothing to do while files come, which may take long.
        let in_use = self.idly(shop.cache.scene(wanted.scene, shop.leaving.stopping())).await;
        let in_use = in_use.map_err(|error| cache_failure(&error))?;
        let entry = &in_use.folder().entry;
        let blend_bytes = std::fs::metadata(entry).map_or(0, |file| file.len());
        self.has_room_for(wanted, blend_bytes).await?;
        let household = Household {
            blender: wanted.blender.clone(),
            scripts: wanted.options.scripts,
            scripts_of: wanted.scripts_of().map(str::to_owned),
            addons: wanted.options.addons.clone(),
            gpu: wanted.device.filter(|kind| kind.is_compute_gpu()),
            color_config: in_use.folder().color_config.clone(),
        };
        // While a scene is loaded, Blender has the one before as well.
        let has_room_for_both = self.account.has_room_beside_own(self.account.need(&wanted.workload(), blend_bytes));
        let warm = match self.warm.take() {
            Some(warm) if warm.household == household && has_room_for_both => warm,
            other => {
                if let Some(warm) = other {
                    warm.end().await;
                    self.clear();
                }
                let config = household.color_config.as_deref();
                let blender = self.shop.studio.start(wanted.blender, &self.folder, config, household.scripts).await?;
                let place = self.account.started(blender.process());
                Warm { blender, household, scene: None, wear: Wear::default(), log_begun: false, place }
            }
        };
        Ok((warm, in_use))
    }
}

/// Opens the scene, in place of the one before.
pub(super) async fn open(warm: &mut Warm, wanted: Wanted<'_>, in_use: SceneInUse) -> Result<(), Failure> {
    let Wanted { scene: id, options, inspection, blender: _, device: _, submitted_by: _, timing: _ } = wanted;
    warm.scene = None;
    warm.wear.scene_opened();
    let opened = warm.blender.open(in_use.folder(), Opening { options, inspection }).await?;
    tracing::info!(scene = %id, engine = opened.engine, formats = ?opened.formats, notes = ?opened.notes, "scene opened");
    if let Some(format) = opened.formats.iter().find(|format| !CHECKED_FORMATS.contains(&format.as_str())) {
        let message = format!(
            "the scene writes {format}, which cannot be checked for damage; choose one of {}",
            CHECKED_FORMATS.join(", ")
        );
        return Err(Failure::new(Cause::BadScene, message));
    }
    let painter = Painter::of(&opened.engine, opened.device.as_deref());
    warm.scene = Some(OpenScene { id, options: options.clone(), painter, _in_use: in_use });
    Ok(())
}

/// Refuses what asks for scripts that the agent's owner does not allow.
fn may_run(wanted: Wanted<'_>, rule: &ScriptRule) -> Result<(), Failure> {
    if wanted.options.scripts == Scripts::Blocked || rule.allows(wanted.submitted_by) {
        return Ok(());
    }
    let message = match (rule, wanted.submitted_by) {
        (ScriptRule::AllowedFor(_), Some(token)) => format!(
            "the job asks for scripts, which this agent's owner does not allow to jobs of the token {token}: start it with \
             --allow-scripts={token}, or submit the job without"
        ),
        _ => "the job asks for scripts, which this agent's owner does not allow: start it with --allow-scripts, or submit the \
              job without"
            .to_owned(),
    };
    Err(Failure::new(Cause::ScriptsBlocked, message))
}

fn cache_failure(error: &CacheError) -> Failure {
    let cause = match error {
        CacheError::Stopped => Cause::AgentStopped,
        CacheError::Refused(_) => Cause::MissingFile,
        CacheError::Disk { source, .. } => return Failure { message: error.to_string(), ..disk_failure(source) },
    };
    Failure::new(cause, error.to_string())
}

#[cfg(test)]
mod tests {
    use haywain_shared::protocol::BlenderKind;

    use super::*;

    #[test]
    fn scripts_run_for_whom_the_owner_says_whatever_was_leased() {
        let named = || ScriptRule::AllowedFor(["anna".to_owned()].into());
        let build = BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program };
        let digest = haywain_shared::digest::Sha256Digest::from_bytes([0; 32]);
        let cases = [
            (Scripts::Blocked, ScriptRule::Blocked, None, None),
            (Scripts::Blocked, named(), Some("bob"), None),
            (Scripts::Allowed, ScriptRule::Allowed, None, None),
            (Scripts::Allowed, named(), Some("anna"), None),
            (Scripts::Allowed, ScriptRule::Blocked, Some("anna"), Some("start it with --allow-scripts, or")),
            (Scripts::Allowed, named(), Some("bob"), Some("start it with --allow-scripts=bob, or")),
            (Scripts::Allowed, named(), None, Some("start it with --allow-scripts, or")),
        ];
        for (scripts, rule, submitted_by, refusal) in cases {
            let options = RenderOptions { scripts, ..RenderOptions::default() };
            let wanted = Wanted {
                blender: &build,
                device: None,
                scene: SceneId::from(digest),
                options: &options,
                submitted_by,
                inspection: InspectionWish::Known,
                timing: LeaseTiming::Now,
            };
            let refused = may_run(wanted, &rule).err();
            let told = refused.as_ref().map(|failure| failure.message.as_str());
            assert_eq!(told.is_some(), refusal.is_some(), "{scripts:?} under {rule:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(refusal.unwrap_or_default()), "{told:?}");
        }
    }
}
