//! Finds Blender: where it was told to look, or on PATH and in the usual places. A Python that has the `bpy` module is a
//! Blender too.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use haywain_shared::blender_places;
use haywain_shared::blender_version::BlenderVersion;
use haywain_shared::protocol::{BlenderBuild, BlenderFacts, BlenderKind};
use tokio::process::Command;

use super::Blender;
use super::known::Known;

/// Asks the module for its version, and Python for the folders that it lives in.
const ASK_MODULE: &str = "import bpy, os, sys; print('\\n' + '\\t'.join([bpy.app.version_string, sys.prefix, sys.base_prefix, os.path.dirname(bpy.__file__)]))";
/// How long a program may take to say its version. `bpy` reads most of a gigabyte for it.
const TO_SAY_ITS_VERSION: Duration = Duration::from_mins(1);

/// Why there is no Blender.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// What was named is none.
    #[error("{} is no Blender: {reason}", path.display())]
    NotABlender {
        /// What was named.
        path: PathBuf,
        /// What happened when it was asked.
        reason: String,
    },
    /// Nothing was named, and nothing was found.
    #[error(
        "no Blender was found on this machine. {}\n\
         Or name one that is there: --blender /path/to/blender (a Python that has the bpy module will do as well)",
        how_to_install()
    )]
    Nowhere,
}

/// The Blenders to use, best first: those of `named`, which must all be good, or the ones that are found, newest first. What is
/// `known` of them is not asked again.
pub async fn blenders(named: &[PathBuf], known: &mut Known) -> Result<Vec<Blender>, NotFound> {
    let mut found = Vec::new();
    for path in named {
        let blender = look(path, known).await.map_err(|reason| NotFound::NotABlender { path: path.clone(), reason })?;
        found.push(blender);
    }
    if named.is_empty() {
        for path in blender_places::programs().into_iter().chain(blender_places::pythons()) {
            match look(&path, known).await {
                Ok(blender) => found.push(blender),
                Err(reason) => tracing::debug!(path = %path.display(), reason, "not a Blender"),
            }
        }
        found.sort_by_key(|blender| std::cmp::Reverse(blender.facts.build.version.parse::<BlenderVersion>().ok()));
    }
    if found.is_empty() { Err(NotFound::Nowhere) } else { Ok(found) }
}

/// What a program is, asked only if it is not known.
async fn look(path: &Path, known: &mut Known) -> Result<Blender, String> {
    if let Some(blender) = known.blender(path) {
        return Ok(blender);
    }
    let Said { facts, installation, module } = ask(path).await?;
    let blender = Blender { path: path.to_owned(), installation, facts };
    known.learn(&blender, module.as_deref());
    Ok(blender)
}

/// What a program says of itself.
struct Said {
    facts: BlenderFacts,
    /// The folders that it is installed in.
    installation: Vec<PathBuf>,
    /// Where its module lies, if it has one.
    module: Option<PathBuf>,
}

/// Asks a program what it is.
async fn ask(path: &Path) -> Result<Said, String> {
    let said = run(path, &["--version"]).await?;
    if let Some(version) = said.lines().find_map(|line| line.strip_prefix("Blender ")) {
        let facts = BlenderBuild { version: version.trim().to_owned(), kind: BlenderKind::Program }.into();
        return Ok(Said { facts, installation: folder_of(path), module: None });
    }
    if !said.starts_with("Python ") {
        return Err(format!("asked for its version, it says {:?}", said.lines().next().unwrap_or_default()));
    }
    // The module may print on its own account: the answer is the last line.
    let said = run(path, &["-c", ASK_MODULE])
        .await
        .map_err(|reason| format!("this Python cannot import bpy (pip install bpy): {reason}"))?;
    let (version, folders) = said.lines().last().and_then(|line| line.split_once('\t')).unwrap_or_default();
    let folders: Vec<PathBuf> = folders.split('\t').map(PathBuf::from).collect();
    let module = folders.last().map(|folder| folder.join("__init__.py"));
    let installation = folders.into_iter().chain(folder_of(path)).collect();
    let facts = BlenderBuild { version: version.trim().to_owned(), kind: BlenderKind::Module }.into();
    Ok(Said { facts, installation, module })
}

/// A program, and the folder that it lies in in truth, where its files are; not one that is everything of somebody's.
fn folder_of(program: &Path) -> Vec<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let folder = real.parent().filter(|folder| folder.parent().is_some() && *folder != home()).map(Path::to_owned);
    folder.into_iter().chain([real]).collect()
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_default()
}

async fn run(path: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TO_SAY_ITS_VERSION, command.output())
        .await
        .map_err(|_| format!("no answer within {} s", TO_SAY_ITS_VERSION.as_secs()))?
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{}; {}", output.status, last.trim()))
}

fn how_to_install() -> &'static str {
    if cfg!(windows) {
        "Install it: winget install BlenderFoundation.Blender"
    } else if cfg!(target_os = "macos") {
        "Install it: brew install --cask blender"
    } else if Path::new("/usr/bin/apt-get").is_file() {
        "Install it: sudo apt-get install blender"
    } else {
        "Install it from your distribution's packages, or unpack the archive from blender.org under /opt"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_blender_is_refused_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut known = Known::read(folder.path());
        let missing = blenders(&["/nowhere/blender".into()], &mut known).await.unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/blender is no Blender: "), "{missing}");
        if cfg!(unix) {
            let shell = blenders(&["/bin/true".into()], &mut known).await.unwrap_err().to_string();
            assert!(shell.starts_with("/bin/true is no Blender: asked for its version, it says"), "{shell}");
        }
    }
}
