//! A scripted Blender: renders take their time, and some end as they do in life.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::log::LogView;
use haywain_agent::blender::protocol::RenderedFile;
use haywain_agent::blender::session::{Failure, Opened, Opening, Rendered, Terms};
use haywain_agent::blender::studio::{Studio, WarmBlender};
use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::inspection::Inspection;
use haywain_shared::options::Scripts;
use haywain_shared::protocol::BlenderBuild;
use image::RgbaImage;

use crate::entropy::Dice;
use crate::gate::Gate;
use crate::script::{Fate, Script};
use crate::world::World;

/// What is said of a Blender that did not start.
pub(crate) const NOT_STARTED: &str = "Blender did not start";

/// Where one life of an agent gets its Blenders from.
pub(crate) struct SimStudio {
    pub(crate) world: Arc<World>,
    pub(crate) script: Arc<Script>,
    pub(crate) who: String,
    /// Shut while the agent is frozen: it sees nothing of what Blender does then.
    pub(crate) gate: Gate,
    /// Counts, so that each Blender has dice of its own.
    pub(crate) started: AtomicU64,
    pub(crate) salt: u64,
}

#[async_trait]
impl Studio for SimStudio {
    async fn start(
        &self,
        _blender: &BlenderBuild,
        _folder: &Path,
        _color_config: Option<&Path>,
        _scripts: Scripts,
    ) -> Result<Box<dyn WarmBlender>, Failure> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::of(&[self.world.seed, self.salt, number]);
        self.world.calendar.pass(dice.between(100, 2000)).await;
        self.gate.pass().await;
        if !self.world.is_calm() && dice.happens(20) {
            self.world.log.count("Blenders that did not start");
            return Err(Failure::new(Cause::Crashed, NOT_STARTED));
        }
        let (world, script) = (Arc::clone(&self.world), Arc::clone(&self.script));
        Ok(Box::new(SimBlender { world, script, who: self.who.clone(), gate: self.gate.clone(), dice, alive: true }))
    }
}

struct SimBlender {
    world: Arc<World>,
    script: Arc<Script>,
    who: String,
    gate: Gate,
    dice: Dice,
    alive: bool,
}

impl SimBlender {
    async fn work(&self, ms: u64) {
        self.world.calendar.pass(ms).await;
        self.gate.pass().await;
    }

    fn fails(&mut self, cause: Cause, peak_memory_bytes: Option<u64>) -> Failure {
        self.alive = cause == Cause::NoOutput;
        self.world.log.note(format_args!("{}: {cause}", self.who));
        Failure { cause, message: format!("scripted: {cause}"), peak_memory_bytes }
    }
}

#[async_trait]
impl WarmBlender for SimBlender {
    async fn open(&mut self, scene: &SceneFolder, _opening: Opening<'_>) -> Result<Opened, Failure> {
        assert!(scene.entry.exists(), "a scene that is opened is whole");
        let ms = self.dice.between(50, 3000);
        self.work(ms).await;
        Ok(Opened { engine: "CYCLES".to_owned(), device: None, formats: vec!["PNG".to_owned()], notes: Vec::new() })
    }

    fn take_inspection(&mut self) -> Option<Box<Inspection>> {
        None
    }

    async fn render(
        &mut self,
        frame: FrameNumber,
        directory: &Path,
        terms: Terms,
        progress: &mut (dyn FnMut(f32) + Send),
    ) -> Result<Rendered, Failure> {
        let begun = lease_of(directory).and_then(|lease| self.world.witness.begun(&self.who, lease, frame));
        let Some((job, generation)) = begun else { return Err(self.fails(Cause::BadScene, None)) };
        let calm = self.world.is_calm();
        let (fate, attempt) = self.script.fate((job, frame), generation, calm, &mut self.dice);
        let render_ms = self.script.render_ms(job, &mut self.dice);
        for part in 1_u8..=4 {
            self.work(render_ms / 4).await;
            progress(f32::from(part) / 4.0);
            match fate {
                Fate::Crashes if part == 2 => {
                    self.world.log.count("Blenders crashed");
                    return Err(self.fails(Cause::Crashed, None));
                }
                Fate::RunsOutOfMemory if part == 2 => {
                    self.world.log.count("Blenders out of memory");
                    let peak_memory_bytes = *self.dice.one_of(&[8 << 30, 32 << 30]);
                    return Err(self.fails(Cause::OutOfMemory, Some(peak_memory_bytes)));
                }
                Fate::Hangs if part == 3 => {
                    self.world.log.count("Blenders hung");
                    let limit = terms.stall_timeout.unwrap_or(Duration::from_mins(10));
                    self.work(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)).await;
                    return Err(self.fails(Cause::Stalled, None));
                }
                _ => {}
            }
        }
        let name = format!("{frame}.png");
        if fate == Fate::LeavesRubbish {
            self.world.log.count("images cut short");
            std::fs::write(directory.join(&name), b"\x89PNG\r\n").unwrap();
        } else {
            paint(&directory.join(&name), frame, attempt);
        }
        self.world.log.note(format_args!("{} has rendered frame {frame}", self.who));
        let file = RenderedFile { name, width: Some(4), height: Some(2) };
        Ok(Rendered { files: vec![file], render_ms, peak_memory_bytes: Some(1 << 30) })
    }

    fn is_alive(&self) -> bool {
        self.alive
    }

    fn process(&self) -> Option<u32> {
        None
    }

    fn log(&self) -> Option<LogView> {
        None
    }

    fn begin_log(&mut self) {}

    fn log_tail(&self) -> String {
        "scripted".to_owned()
    }

    async fn end(self: Box<Self>) {}
}

/// The lease that the agent names in a frame's folder.
fn lease_of(directory: &Path) -> Option<LeaseId> {
    let name = directory.file_name()?.to_str()?;
    name.split_once('_')?.0.parse().ok()
}

/// An image that is like no other: of this frame, at this attempt.
fn paint(path: &PathBuf, frame: FrameNumber, attempt: u64) {
    let pixels = [&frame.get().to_be_bytes()[..], &attempt.to_be_bytes()[4..]].concat().repeat(4);
    RgbaImage::from_raw(4, 2, pixels).unwrap().save(path).unwrap();
}
