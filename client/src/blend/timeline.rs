//! Which frames a .blend's own scene renders: the range and the step of the scene that was open when it was saved.

use std::io;
use std::path::Path;

use haywain_shared::blend::BadHeader;
use haywain_shared::frame_list::{FrameList, NotAFrameList};
use haywain_shared::frames::{FrameNumber, FrameRange};

use super::blocks::{Blocks, bytes_at, u64_at};
use super::sdna::Sdna;

/// A scene's own block, its lists apart, has some kilobytes.
const MOST_SCENE_BYTES: u64 = 4 * 1024 * 1024;
/// The list of structures has some hundred kilobytes.
const MOST_DNA_BYTES: u64 = 64 * 1024 * 1024;

/// Why a .blend can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BlendError {
    /// The disk, or the compression.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It does not begin as it should.
    #[error("{0}")]
    Header(#[from] BadHeader),
    /// It contradicts itself.
    #[error("{0}")]
    Damaged(&'static str),
    /// A structure lacks what it had in every version so far.
    #[error("it has no {0}")]
    NoMember(String),
}

/// The frames that a scene renders by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub struct Timeline {
    /// The first frame.
    pub start: i32,
    /// The last frame.
    pub end: i32,
    /// Every how many frames one is rendered.
    pub step: u32,
}

impl Timeline {
    /// The same as a list.
    pub fn frames(self) -> Result<FrameList, NotAFrameList> {
        let frame = |number: i32| {
            FrameNumber::try_from(i64::from(number)).map_err(|_| NotAFrameList::OutOfRange(i64::from(number)))
        };
        let range = FrameRange::new(frame(self.start)?, frame(self.end)?)
            .map_err(|_| NotAFrameList::Backward(format!("{}..{}", self.start, self.end)))?;
        FrameList::stepped(range, self.step)
    }
}

/// Reads the range and step of the scene that is active in the file.
pub fn timeline(path: &Path) -> Result<Timeline, BlendError> {
    let mut blocks = Blocks::begin(path)?;
    let (mut global, mut scenes, mut sdna) = (None, Vec::new(), None);
    while let Some(block) = blocks.next()? {
        match &block.code {
            b"GLOB" => global = Some(blocks.content(MOST_SCENE_BYTES)?),
            b"SC\0\0" => scenes.push((block.address, blocks.content(MOST_SCENE_BYTES)?)),
            b"DNA1" => {
                sdna = Some(Sdna::read(&blocks.content(MOST_DNA_BYTES)?, blocks.pointers())?);
                break;
            }
            _ => {}
        }
    }
    let sdna = sdna.ok_or(BlendError::Damaged("it has no list of structures"))?;
    let global = global.ok_or(BlendError::Damaged("it does not say which scene is open"))?;
    let at = sdna.offset("FileGlobal", "*curscene")?;
    let active = match blocks.pointers().bytes() {
        4 => u32::from_le_bytes(bytes_at(&global, at)).into(),
        _ => u64_at(&global, at),
    };
    let (_, scene) = scenes
        .iter()
        .find(|(address, _)| *address == active)
        .ok_or(BlendError::Damaged("the scene that is open is not in it"))?;
    let settings = sdna.offset("Scene", "r")?;
    let number = |member| -> Result<i32, BlendError> {
        let at = settings + sdna.offset("RenderData", member)?;
        if at + 4 > scene.len() {
            return Err(BlendError::Damaged("its scene breaks off"));
        }
        Ok(i32::from_le_bytes(bytes_at(scene, at)))
    };
    let step = u32::try_from(number("frame_step")?).unwrap_or(1).max(1);
    Ok(Timeline { start: number("sfra")?, end: number("efra")?, step })
}
