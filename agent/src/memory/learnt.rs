//! What is known of the memory that scenes take here, from one life of the agent to the next. Until a scene has been measured, its
//! need is guessed.

use std::path::{Path, PathBuf};

use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::BlenderBuild;
use haywain_shared::scene::SceneId;
use serde::{Deserialize, Serialize};

use super::admission::Need;

/// What a Blender takes with hardly anything in it: measured, 240 to 430 MiB for scenes of a MB.
pub const GUESS_BYTES: u64 = 512 << 20;
/// What each byte of a .blend comes to. A guess: measured, compressed meshes took 23 bytes and others 6; but what a modifier makes, or
/// a large picture, cannot be seen in a file (0.5 MB took 914 MiB, 2.4 MB took 1.4 GiB).
const GUESS_FACTOR: u64 = 24;
/// What may be more next time: one part in this many of what was seen.
const MARGIN_PART: u64 = 8;
/// The file in the agent's data folder.
const FILE: &str = "memory.json";
/// The most that is kept; what was not used for longest goes first.
const MOST_ENTRIES: usize = 500;
/// What is so little news that it is not written down: one part in this many.
const NEWS_PART: u64 = 20;

/// What decides how much memory a frame takes, as far as it is known beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// The scene.
    pub scene: SceneId,
    /// The Blender that has it open.
    pub blender: BlenderBuild,
    /// What the job sets: a picture of twice the size takes more.
    pub options: RenderOptions,
}

/// The memory that a scene takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SceneMemory {
    /// The most that a session has had for a frame of it, finished or not; `None` until one was begun.
    pub peak_bytes: Option<u64>,
    /// What it takes to open it, or the least that a frame has come by with: no frame takes less.
    pub least_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    workload: Workload,
    #[serde(flatten)]
    memory: SceneMemory,
}

/// All that was learnt.
#[derive(Debug, Default)]
pub struct Learnt {
    /// Where it is kept, if it is.
    file: Option<PathBuf>,
    /// The latest used last.
    entries: Vec<Entry>,
}

impl Learnt {
    /// What is kept in an agent's data folder. What cannot be read is learnt anew.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let entries = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file: Some(file), entries: entries.unwrap_or_default() }
    }

    /// What a scene takes, if it was measured.
    #[must_use]
    pub fn of(&self, workload: &Workload) -> Option<SceneMemory> {
        self.entries.iter().find(|entry| entry.workload == *workload).map(|entry| entry.memory)
    }

    /// What to expect of a scene whose .blend has this size.
    #[must_use]
    pub fn need(&self, workload: &Workload, blend_bytes: u64) -> Need {
        let known = self.of(workload);
        let least_bytes = known.map(|known| known.least_bytes);
        let guess_bytes = GUESS_BYTES.saturating_add(blend_bytes.saturating_mul(GUESS_FACTOR));
        let most_bytes = match known.and_then(|known| known.peak_bytes) {
            Some(peak_bytes) => peak_bytes + peak_bytes / MARGIN_PART,
            None => guess_bytes.max(least_bytes.unwrap_or(0)),
        };
        Need { most_bytes, least_bytes }
    }

    /// A scene is open in a session that has `resident_bytes` for it.
    pub fn opened(&mut self, workload: &Workload, resident_bytes: u64) {
        let memory = match self.of(workload) {
            // A warm session may keep something of the scene before: what comes by with less is nearer to the truth.
            Some(known) => SceneMemory { least_bytes: known.least_bytes.min(resident_bytes), ..known },
            None => SceneMemory { peak_bytes: None, least_bytes: resident_bytes },
        };
        self.learn(workload, memory);
    }

    /// A session has had `peak_bytes` for a frame, or for as much of it as it came to.
    pub fn had(&mut self, workload: &Workload, peak_bytes: u64) {
        if let Some(known) = self.of(workload) {
            self.learn(workload, SceneMemory { peak_bytes: known.peak_bytes.max(Some(peak_bytes)), ..known });
        }
    }

    /// A session has had `peak_bytes` before the scene was even open.
    pub fn not_opened(&mut self, workload: &Workload, peak_bytes: u64) {
        let known = self.of(workload).unwrap_or(SceneMemory { peak_bytes: None, least_bytes: 0 });
        let memory = SceneMemory {
            peak_bytes: known.peak_bytes.max(Some(peak_bytes)),
            least_bytes: known.least_bytes.max(peak_bytes),
        };
        self.learn(workload, memory);
    }

    fn learn(&mut self, workload: &Workload, memory: SceneMemory) {
        let known = self.entries.iter().position(|entry| entry.workload == *workload);
        let before = known.map(|place| self.entries.remove(place).memory);
        self.entries.push(Entry { workload: workload.clone(), memory });
        let too_many = self.entries.len().saturating_sub(MOST_ENTRIES);
        self.entries.drain(..too_many);
        let differ = |now_bytes: u64, before_bytes: u64| now_bytes.abs_diff(before_bytes) > before_bytes / NEWS_PART;
        let is_news = |before: SceneMemory| {
            differ(memory.peak_bytes.unwrap_or(0), before.peak_bytes.unwrap_or(0))
                || differ(memory.least_bytes, before.least_bytes)
        };
        if before.is_none_or(is_news) {
            self.write();
        }
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        let text = serde_json::to_vec(&self.entries).map_err(std::io::Error::other);
        if let Err(error) = text.and_then(|text| std::fs::write(file, text)) {
            // The next life guesses and measures again.
            tracing::debug!(file = %file.display(), %error, "not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::protocol::BlenderKind;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn workload(samples: u32) -> Workload {
        Workload {
            scene: "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c".parse().unwrap(),
            blender: BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program },
            options: RenderOptions { samples: Some(samples), ..RenderOptions::default() },
        }
    }

    #[test]
    fn a_need_is_guessed_until_it_is_measured() {
        let mut learnt = Learnt::default();
        let guess = learnt.need(&workload(1), 10 << 20);
        assert_eq!(guess, Need { most_bytes: (512 + 240) << 20, least_bytes: None });
        learnt.opened(&workload(1), GIB);
        assert_eq!(learnt.need(&workload(1), 0), Need { most_bytes: GIB, least_bytes: Some(GIB) });
        learnt.had(&workload(1), 8 * GIB);
        learnt.had(&workload(1), 4 * GIB);
        assert_eq!(learnt.need(&workload(1), 0), Need { most_bytes: 9 * GIB, least_bytes: Some(GIB) });
        // A scene that another one had been before may seem to take more.
        learnt.opened(&workload(1), 2 * GIB);
        assert_eq!(learnt.of(&workload(1)), Some(SceneMemory { peak_bytes: Some(8 * GIB), least_bytes: GIB }));
        assert_eq!(learnt.of(&workload(2)), None);
        learnt.not_opened(&workload(2), 3 * GIB);
        assert_eq!(learnt.of(&workload(2)), Some(SceneMemory { peak_bytes: Some(3 * GIB), least_bytes: 3 * GIB }));
    }

    #[test]
    fn what_was_learnt_is_kept_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let mut learnt = Learnt::read(folder.path());
        learnt.opened(&workload(0), GIB);
        for samples in 1..=u32::try_from(MOST_ENTRIES).unwrap() {
            learnt.opened(&workload(samples), u64::from(samples));
        }
        let again = Learnt::read(folder.path());
        assert_eq!(again.of(&workload(0)), None, "the one that was not used for longest");
        assert_eq!(again.of(&workload(7)), Some(SceneMemory { peak_bytes: None, least_bytes: 7 }));
        std::fs::write(folder.path().join(FILE), "nonsense").unwrap();
        assert_eq!(Learnt::read(folder.path()).of(&workload(7)), None);
    }
}
