//! What a Blender on this machine says of a scene: the files that it links, and the frames that it renders. The script that
//! asks it is in `links.py`.

mod find;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use haywain_shared::blender_python;
use serde::Deserialize;
use tokio::process::Command;

pub use find::Blender;

use crate::blend::Timeline;
use crate::cache::{self, Stamp};
use crate::scene::Reference;

/// The script that Blender runs, and what it needs, by their paths in the folder that it is started from.
const SCRIPT: [(&str, &str); 3] = [
    ("links.py", include_str!("links.py")),
    ("haywain/nodepaths.py", blender_python::NODE_PATHS),
    ("haywain/views.py", blender_python::VIEWS),
];
/// How the script ends on an error of its own.
const SCRIPT_FAILED: &str = "3";

/// Which Blender is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// None.
    Nobody,
    /// The first that can, of those that are found.
    Anybody,
    /// One that the user has named.
    Named(PathBuf),
}

/// What Blender says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Links {
    /// Its version.
    pub blender: String,
    /// The paths that the scene calls.
    pub references: Vec<Reference>,
    /// The scenes in the file.
    pub scenes: Vec<SceneTimeline>,
}

/// A scene in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SceneTimeline {
    /// Its name.
    pub name: String,
    /// Whether it is the one that renders.
    pub active: bool,
    /// Its frames.
    #[serde(flatten)]
    pub timeline: Timeline,
}

impl Links {
    /// The frames of the scene that renders.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline> {
        self.scenes.iter().find(|scene| scene.active).map(|scene| scene.timeline)
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// An answer.
    Answered(Links),
    /// There is nobody to ask, or nobody was to be asked.
    Nobody,
    /// Those that are here can't open the file, for this reason.
    Unable(String),
}

/// Why a Blender that the user has named gives no answer.
#[derive(Debug, thiserror::Error)]
#[error("{} can't say what the scene links: {reason}\nName another with --blender, or ask none with --no-blender and name the \
    files with --folder or --include", blender.display())]
pub struct NoAnswer {
    blender: PathBuf,
    reason: String,
}

/// Asks what `entry` links.
pub async fn ask(choice: &Choice, entry: &Path) -> Result<Asked, NoAnswer> {
    let blenders = match choice {
        Choice::Nobody => return Ok(Asked::Nobody),
        Choice::Anybody => find::usual(),
        Choice::Named(path) => {
            let blender = Blender::named(path);
            let refused = |reason| NoAnswer { blender: path.clone(), reason };
            return ask_one(&blender, entry).await.map(Asked::Answered).map_err(refused);
        }
    };
    let mut reasons = Vec::new();
    for blender in &blenders {
        match ask_one(blender, entry).await {
            Ok(links) => return Ok(Asked::Answered(links)),
            Err(reason) => reasons.push(format!("{}: {reason}", blender.path().display())),
        }
    }
    Ok(if reasons.is_empty() { Asked::Nobody } else { Asked::Unable(reasons.join("\n")) })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Links(Links),
    Refused { refused: String },
}

async fn ask_one(blender: &Blender, entry: &Path) -> Result<Links, String> {
    // Whoever asks the same of the same Blender is answered the same.
    let program = Stamp::of(blender.path());
    let script = SCRIPT.map(|(_, text)| text).concat();
    let question = format!("{script}\n{}\n{program:?}\n{}", blender.path().display(), entry.display());
    if let Some(Answer::Links(links)) = cache::recall(&question).and_then(|known| read(&known.answer).ok()) {
        return Ok(links);
    }
    let before = Stamp::of(entry);
    let line = run(blender, entry).await?;
    let links = match read(&line)? {
        Answer::Links(links) => links,
        Answer::Refused { refused } => return Err(refused),
    };
    let mut files = vec![(entry.to_owned(), before)];
    files.extend(links.references.iter().filter_map(Reference::library).map(|path| {
        let stamp = Stamp::of(&path);
        (path, stamp)
    }));
    cache::remember(&question, &line, files);
    Ok(links)
}

fn read(line: &str) -> Result<Answer, String> {
    serde_json::from_str(line).map_err(|error| format!("its answer can't be read: {error}"))
}

/// Writes the script into a folder; where it begins.
fn write_script(folder: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir(folder.join("haywain"))?;
    for (name, text) in SCRIPT {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(folder.join(SCRIPT[0].0))
}

/// Runs the script; its line of JSON.
async fn run(blender: &Blender, entry: &Path) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let script = write_script(folder.path()).map_err(|error| format!("{}: {error}", folder.path().display()))?;
    let mut command = Command::new(blender.path());
    if let Blender::Program(_) = blender {
        command.args(["--background", "--factory-startup", "--disable-autoexec"]);
        // Blender goes on after an error of a script unless it is told not to, and that before it is told the script.
        command.args(["--python-exit-code", SCRIPT_FAILED, "--python"]);
    }
    command.arg(&script).arg("--").arg(entry).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    // 3.4 prints a line of its own before the script gets hold of standard output.
    if let Some(line) = said.lines().rev().find(|line| line.starts_with('{')).filter(|_| output.status.success()) {
        return Ok(line.to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().chain(said.lines()).rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{}; {}", output.status, last.trim()))
}
