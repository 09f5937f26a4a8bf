//! Where a slot gets its Blender from: a trait, so that a simulation can put a scripted one in its place.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::Inspection;
use haywain_shared::options::Scripts;
use haywain_shared::protocol::BlenderBuild;
use tokio_util::task::TaskTracker;

use super::launch::Surroundings;
use super::log::LogView;
use super::session::{Failure, Opened, Opening, Patience, Rendered, Session, Terms};
use super::{Blender, SceneFolder};
use crate::jail::{BLENDER, Belongings, FRAMES, Jailer, Walls};

/// Where in the data folder Blenders keep what they compile for GPUs.
const KERNELS: &str = "kernels";

/// Starts Blenders.
#[async_trait]
pub trait Studio: Send + Sync + 'static {
    /// Starts the one that is meant, which works in `workplace`, with an `OpenColorIO` configuration of the scene's if it has one,
    /// for a scene whose Python may run or not.
    async fn start(
        &self,
        blender: &BlenderBuild,
        workplace: &Path,
        color_config: Option<&Path>,
        scripts: Scripts,
    ) -> Result<Box<dyn WarmBlender>, Failure>;
}

/// A Blender that is running: see [`Session`], which is the real one.
#[async_trait]
pub trait WarmBlender: Send + Sync {
    /// Opens a scene, in place of the one before.
    async fn open(&mut self, scene: &SceneFolder, opening: Opening<'_>) -> Result<Opened, Failure>;

    /// What is in the scene that was opened last, even in vain, if that was asked for. It is told once.
    fn take_inspection(&mut self) -> Option<Box<Inspection>>;

    /// Renders a frame of the open scene into `directory`, which is empty.
    async fn render(
        &mut self,
        frame: FrameNumber,
        directory: &Path,
        terms: Terms,
        progress: &mut (dyn FnMut(f32) + Send),
    ) -> Result<Rendered, Failure>;

    /// Whether it can take another command.
    fn is_alive(&self) -> bool;

    /// The process that leads its group, while it lives and can be looked at.
    fn process(&self) -> Option<u32>;

    /// Its log, while it is written; `None` where there is none.
    fn log(&self) -> Option<LogView>;

    /// What it has printed so far is none of what comes now: its log begins here.
    fn begin_log(&mut self);

    /// The end of its log.
    fn log_tail(&self) -> String;

    /// Ends it.
    async fn end(self: Box<Self>);
}

/// The studio of real Blenders.
pub struct BlenderStudio {
    /// The Blenders on this machine, best first.
    pub blenders: Vec<Blender>,
    /// The folder of the add-ons that jobs may name.
    pub addons: Option<PathBuf>,
    /// What it is put into.
    pub jailer: Jailer,
    /// Where scenes lie.
    pub scenes: PathBuf,
    /// The agent's data folder.
    pub data_dir: PathBuf,
    /// How long it is given.
    pub patience: Patience,
    /// Where the readers of its log live.
    pub tasks: TaskTracker,
}

#[async_trait]
impl Studio for BlenderStudio {
    async fn start(
        &self,
        blender: &BlenderBuild,
        workplace: &Path,
        color_config: Option<&Path>,
        scripts: Scripts,
    ) -> Result<Box<dyn WarmBlender>, Failure> {
        let Some(blender) = self.blenders.iter().find(|known| known.facts.build == *blender) else {
            let message = format!("{blender} is none of this agent's: restart it, so that it tells which it has");
            return Err(Failure::new(Cause::Crashed, message));
        };
        let addons = self.addons.as_deref();
        let kernels = self.data_dir.join(KERNELS);
        // A wall has doors only to what is there.
        for path in [&kernels, &workplace.join(FRAMES)] {
            std::fs::create_dir_all(path)
                .map_err(|error| Failure::new(Cause::Crashed, format!("{}: {error}", path.display())))?;
        }
        let kernels = Some(kernels.as_path()).filter(|_| scripts == Scripts::Blocked);
        let installation = &blender.installation;
        let scenes = Some(self.scenes.as_path());
        let walls = Walls::around(Belongings { installation, scenes, addons, workplace, kernels });
        let surroundings = Surroundings {
            folder: &workplace.join(BLENDER),
            color_config,
            addons,
            jailer: &self.jailer,
            walls: &walls,
            kernels,
            data_dir: &self.data_dir,
        };
        let session = Session::start(blender, surroundings, self.patience, &self.tasks).await?;
        Ok(Box::new(session))
    }
}

#[async_trait]
impl WarmBlender for Session {
    async fn open(&mut self, scene: &SceneFolder, opening: Opening<'_>) -> Result<Opened, Failure> {
        Self::open(self, scene, opening).await
    }

    fn take_inspection(&mut self) -> Option<Box<Inspection>> {
        Self::take_inspection(self)
    }

    async fn render(
        &mut self,
        frame: FrameNumber,
        directory: &Path,
        terms: Terms,
        progress: &mut (dyn FnMut(f32) + Send),
    ) -> Result<Rendered, Failure> {
        Self::render(self, frame, directory, terms, progress).await
    }

    fn is_alive(&self) -> bool {
        Self::is_alive(self)
    }

    fn process(&self) -> Option<u32> {
        Self::process(self)
    }

    fn log(&self) -> Option<LogView> {
        Some(Self::log(self))
    }

    fn begin_log(&mut self) {
        Self::begin_log(self);
    }

    fn log_tail(&self) -> String {
        Self::log_tail(self)
    }

    async fn end(self: Box<Self>) {
        Self::end(*self).await;
    }
}
