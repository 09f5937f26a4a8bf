//! The scenes of a run, the pictures that a plain Blender makes of them, and whether the farm's are the same.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::foreground;
use crate::workspace::Workspace;

const STRETCH: &str = include_str!("scenes.py");
const COMPARE: &str = include_str!("compare.py");
/// Below this, two pictures are told apart by a message; above it, only counted.
const NAMED: usize = 5;

/// A scene, by the name that `make.py` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scene {
    /// A tenth of a second a frame.
    Basic,
    /// Half a second a frame.
    HalfASecond,
    /// Minutes a frame: to be cancelled.
    Slow,
}

impl Scene {
    /// Its file's name, without the extension.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::HalfASecond => "half_a_second",
            Self::Slow => "slow",
        }
    }
}

/// How many frames of each scene are rendered: from 1.
pub(super) type Lengths = BTreeMap<Scene, u64>;

/// Scenes and clean pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    blender: PathBuf,
    folder: PathBuf,
    clean: BTreeMap<(Scene, u64), Vec<u8>>,
}

impl Pictures {
    /// Makes the scenes in `folder`, and renders all frames of `lengths` as anybody would.
    pub(super) fn make(
        workspace: &Workspace,
        blender: &Path,
        folder: PathBuf,
        lengths: &Lengths,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut made = Self { blender: blender.to_owned(), folder, clean: BTreeMap::new() };
        let script = workspace.root.join("agent/tests/scenes/make.py");
        made.python(&script, &[made.folder.as_os_str()])?;
        let stretch = made.folder.join("scenes.py");
        fs::write(&stretch, STRETCH).context("writing a script")?;
        let mut words = vec![made.folder.display().to_string()];
        words.extend(lengths.iter().flat_map(|(scene, frames)| [scene.name().to_owned(), frames.to_string()]));
        made.python(&stretch, &words)?;
        for (scene, frames) in lengths {
            made.render(*scene, *frames)?;
        }
        let distinct: HashSet<_> = made.clean.values().collect();
        if distinct.len() != made.clean.len() {
            bail!("two frames of the scenes look the same: one in the other's place would not be seen");
        }
        Ok(made)
    }

    /// The file of a scene.
    pub(super) fn scene(&self, scene: Scene) -> PathBuf {
        self.folder.join(scene.name()).with_extension("blend")
    }

    fn render(&mut self, scene: Scene, frames: u64) -> anyhow::Result<()> {
        let folder = self.folder.join("clean").join(scene.name());
        let mut command = Command::new(&self.blender);
        command.args(["--background", "--factory-startup"]).arg(self.scene(scene)).arg("--render-output");
        command.arg(folder.join("shot_")).args(["--frame-start", "1", "--frame-end", &frames.to_string()]);
        foreground::run(command.arg("--render-anim").stdout(Stdio::null()))?;
        for (frame, files) in by_frame(&folder)? {
            let [file] = &files[..] else { bail!("{} files of frame {frame} in {}", files.len(), folder.display()) };
            self.clean.insert((scene, frame), fs::read(file).context("reading a clean picture")?);
        }
        let rendered = self.clean.keys().filter(|(of, _)| *of == scene).count() as u64;
        if rendered != frames {
            bail!("Blender was to render {frames} frames of {} and has rendered {rendered}", scene.name());
        }
        Ok(())
    }

    fn python<S: AsRef<std::ffi::OsStr>>(&self, script: &Path, words: &[S]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.blender);
        command.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
        foreground::output(command.arg(script).arg("--").args(words))
    }

    /// What is wrong with the pictures of a job of these frames: nothing, if there is one of each frame and it is the clean
    /// run's. Those that are not are kept.
    pub(super) fn judge(
        &self,
        scene: Scene,
        wanted: std::ops::RangeInclusive<u64>,
        output: &Path,
    ) -> anyhow::Result<Vec<String>> {
        let mut found = by_frame(output)?;
        let (mut problems, mut unlike) = (Vec::new(), Vec::new());
        for frame in wanted {
            let files = found.remove(&frame).unwrap_or_default();
            let [file] = &files[..] else {
                problems.push(format!("frame {frame} has {} files in {}: {files:?}", files.len(), output.display()));
                continue;
            };
            let picture = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let clean = self.clean.get(&(scene, frame)).context("a frame that was not rendered cleanly")?;
            if picture != *clean {
                unlike.push((frame, file.clone(), picture));
            }
        }
        problems.extend(found.into_values().flatten().map(|file| format!("nobody asked for {}", file.display())));
        problems.extend(self.compare(scene, &unlike)?);
        Ok(problems)
    }

    /// Looks at the pixels of those that differ in bytes.
    fn compare(&self, scene: Scene, unlike: &[(u64, PathBuf, Vec<u8>)]) -> anyhow::Result<Vec<String>> {
        if unlike.is_empty() {
            return Ok(Vec::new());
        }
        let script = self.folder.join("compare.py");
        fs::write(&script, COMPARE).context("writing a script")?;
        let clean = |frame| self.folder.join("clean").join(scene.name()).join(format!("shot_{frame:04}.png"));
        let words: Vec<PathBuf> = unlike.iter().flat_map(|(frame, file, _)| [file.clone(), clean(*frame)]).collect();
        let said = self.python(&script, &words)?;
        let different: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("DIFFERENT\t")).collect();
        let kept = self.folder.join("different");
        fs::create_dir_all(&kept).context("keeping different pictures")?;
        for (frame, file, picture) in unlike {
            if different.iter().any(|path| Path::new(path) == file) {
                fs::write(kept.join(format!("{}-{frame}.png", scene.name())), picture).context("keeping a picture")?;
            }
        }
        let mut problems: Vec<_> =
            different.iter().take(NAMED).map(|path| format!("{path} is another picture")).collect();
        if different.len() > NAMED {
            problems.push(format!("and {} more", different.len() - NAMED));
        }
        Ok(problems)
    }
}

/// The files of a folder by the frame that their names tell: `shot_0007.png`, or with a mark, `shot_0007.1a2b.png`.
fn by_frame(folder: &Path) -> anyhow::Result<BTreeMap<u64, Vec<PathBuf>>> {
    let mut found = BTreeMap::<u64, Vec<PathBuf>>::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        // Frame 0, which no run has, stands for what has no frame's name.
        let frame = path.file_name().and_then(|name| frame_of(&name.to_string_lossy())).unwrap_or_default();
        found.entry(frame).or_default().push(path);
    }
    Ok(found)
}

fn frame_of(name: &str) -> Option<u64> {
    let (frame, rest) = name.strip_prefix("shot_")?.split_once('.')?;
    // What is still being written has a mark of its own behind the extension.
    rest.ends_with("png").then(|| frame.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_tells_its_frame() {
        for (name, frame) in [
            ("shot_0007.png", Some(7)),
            ("shot_0012.1a2b3c4d5e6f.png", Some(12)),
            ("shot_0012.1a2b3c4d5e6f.png#1", None),
            ("other.png", None),
        ] {
            assert_eq!(frame_of(name), frame, "{name}");
        }
    }
}
