//! Where a slot gets its Blender from: a trait, so that a simulation can put a scripted one in its place.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::Inspection;
use haywain_shared::protocol::BlenderFacts;
use tokio_util::task::TaskTracker;

use super::log::LogView;
use super::session::{Failure, Opened, Opening, Patience, Rendered, Session, Surroundings, Terms};
use super::{Blender, SceneFolder};

/// Starts Blenders.
#[async_trait]
pub trait Studio: Send + Sync + 'static {
    /// Starts the one that is meant, in `folder`, with an `OpenColorIO` configuration of the scene's if it has one.
    async fn start(
        &self,
        blender: &BlenderFacts,
        folder: &Path,
        color_config: Option<&Path>,
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

    /// The memory that it has, which another one in its place could have.
    fn memory_bytes(&self) -> u64;

    /// Its log, while it is written; `None` where there is none.
    fn log(&self) -> Option<LogView>;

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
    /// How long it is given.
    pub patience: Patience,
    /// Where the readers of its log live.
    pub tasks: TaskTracker,
}

#[async_trait]
impl Studio for BlenderStudio {
    async fn start(
        &self,
        blender: &BlenderFacts,
        folder: &Path,
        color_config: Option<&Path>,
    ) -> Result<Box<dyn WarmBlender>, Failure> {
        let Some(blender) = self.blenders.iter().find(|known| known.facts == *blender) else {
            let message = format!("{blender} is none of this agent's: restart it, so that it tells which it has");
            return Err(Failure::new(Cause::Crashed, message));
        };
        let surroundings = Surroundings { folder, color_config, addons: self.addons.as_deref() };
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

    fn memory_bytes(&self) -> u64 {
        Self::memory_bytes(self)
    }

    fn log(&self) -> Option<LogView> {
        Some(Self::log(self))
    }

    fn log_tail(&self) -> String {
        Self::log_tail(self)
    }

    async fn end(self: Box<Self>) {
        Self::end(*self).await;
    }
}
