//! From a .blend to a scene: which files belong to it, where each lies in the scene's folder, and what is missing. Nothing
//! that a picture needs is left out in silence.

mod color;
mod expand;
mod glob;
mod layout;
mod letters;
mod names;
mod resolve;
mod tail;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use haywain_shared::file_kind::FileKind;
use haywain_shared::path::RelativePath;
use haywain_shared::scene::Place;

pub use expand::Shape;
pub use resolve::{Mapping, Reference};

use crate::blend::{self, said};
use layout::Plan;
use resolve::{AtHand, How, Resolved};
use text::Said;

/// What the user says about a scene's files.
#[derive(Debug, Default)]
pub struct Request {
    /// The .blend that is rendered.
    pub entry: PathBuf,
    /// The project's root, everything below which goes.
    pub folder: Option<PathBuf>,
    /// Further files.
    pub include: Vec<String>,
    /// Where files are now that had another place.
    pub mappings: Vec<Mapping>,
    /// The colour configuration that it was made with, if not Blender's own.
    pub color_config: Option<PathBuf>,
    /// What Blender says that the scene links; `None` when nobody was asked.
    pub links: Option<Vec<Reference>>,
}

/// A scene's files.
#[derive(Debug, PartialEq, Eq)]
pub struct Assembly {
    /// The .blend, in the scene's folder.
    pub entry: RelativePath,
    /// All files, and where each is read.
    pub files: BTreeMap<RelativePath, PathBuf>,
    /// Where files lie that had another place.
    pub places: Vec<Place>,
    /// The colour configuration, in the scene's folder.
    pub color_config: Option<RelativePath>,
    /// What is needed and is not here.
    pub missing: Vec<MissingPath>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A path that a picture needs and nobody could find.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingPath {
    /// As the .blend says it.
    pub path: String,
    /// What in the .blend says it, and why it was not found.
    pub about: String,
}

/// Why there is no scene.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Unreadable {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder is named as the .blend.
    #[error("{} is a folder: name the .blend in it, and the project's folder with --folder", .0.display())]
    Folder(PathBuf),
    /// A file is named .blend and is none.
    #[error("{} is not a .blend file but {}", path.display(), said(.kind))]
    NotABlend {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// The root does not hold the .blend.
    #[error("{} is not below {}: --folder names the folder of the whole project", entry.display(), folder.display())]
    NotBelow {
        /// The .blend.
        entry: PathBuf,
        /// The root.
        folder: PathBuf,
    },
    /// A pattern finds nothing.
    #[error("--include {0:?}: {1}")]
    Include(String, String),
    /// Paths that no scene can have.
    #[error("these files can't be sent:\n  {}", .0.join("\n  "))]
    Paths(Vec<String>),
}

/// Puts a scene together.
pub fn assemble(request: &Request) -> Result<Assembly, Refusal> {
    let entry = absolute(&request.entry)?;
    check_blend(&entry)?;
    let extra = extra_files(request)?;
    let no_links = Vec::new();
    let references = request.links.as_ref().unwrap_or(&no_links);
    let (resolved, root) = resolve_all(request, &entry, references, &extra)?;

    let mut plan = Plan::new(&root);
    let laid_entry = plan.add_file(&entry);
    let mut notes = Vec::new();
    for found in &resolved.found {
        plan.add_found(found);
        notes.extend(note_on(found));
    }
    for file in &extra {
        plan.add_file(file);
    }
    let mut color_config = None;
    if let Some(config) = &request.color_config {
        let config = absolute(config)?;
        for file in color::tables_of(&config).map_err(|error| unreadable(&config, error))? {
            plan.add_file(&text::normal(&file));
        }
        color_config = plan.add_file(&config);
    }
    if request.links.is_none() {
        // Nobody knows what the .blend says: whatever it calls absolutely below the root is to be found.
        plan.tell_root();
        for mapping in &request.mappings {
            plan.add_place(&mapping.original, &absolute(&mapping.local)?);
        }
    }
    let layout = plan.finish();
    for (path, source) in &layout.files {
        if path.as_str().to_lowercase().ends_with(".blend") && *source != entry {
            check_blend(source)?;
        }
    }
    let (Some(laid_entry), true) = (laid_entry, layout.refused.is_empty()) else {
        return Err(Refusal::Paths(layout.refused));
    };
    notes.extend(
        resolved.passed_over.iter().map(|reference| {
            format!("not found, and not needed for a picture: {} ({})", reference.path, reference.owner)
        }),
    );
    Ok(Assembly {
        entry: laid_entry,
        files: layout.files,
        places: layout.places.into_iter().collect(),
        color_config,
        missing: missing_paths(&resolved),
        notes,
    })
}

/// Finds every reference, and the root around all that is called by relative paths.
fn resolve_all(
    request: &Request,
    entry: &Path,
    references: &[Reference],
    extra: &[PathBuf],
) -> Result<(Resolved, PathBuf), Refusal> {
    let mut resolved = Resolved::default();
    let mut open = Vec::new();
    for reference in references {
        match resolve::directly(reference, &request.mappings).map_err(|error| unreadable(entry, error))? {
            Some(found) => resolved.found.push(found),
            None => open.push(reference),
        }
    }
    let mut root = root_of(request, entry, extra, &resolved)?;
    let wanted: Vec<_> = open.iter().filter(|reference| reference.needed).collect();
    if !wanted.is_empty() {
        let at_hand = files_at_hand(&root, entry, extra)?;
        for reference in wanted {
            match resolve::by_tail(reference, &at_hand).map_err(|error| unreadable(entry, error))? {
                Ok(found) => resolved.found.push(found),
                Err(missing) => resolved.missing.push(missing),
            }
        }
        root = root_of(request, entry, extra, &resolved)?;
    }
    resolved.passed_over.extend(open.into_iter().filter(|reference| !reference.needed).cloned());
    Ok((resolved, root))
}

/// The folder that keeps all relative paths of the project inside.
fn root_of(request: &Request, entry: &Path, extra: &[PathBuf], resolved: &Resolved) -> Result<PathBuf, Refusal> {
    if let Some(folder) = &request.folder {
        let folder = absolute(folder)?;
        if !entry.starts_with(&folder) {
            return Err(Refusal::NotBelow { entry: entry.to_owned(), folder });
        }
        return Ok(folder);
    }
    let mut root = entry.parent().unwrap_or(entry).to_owned();
    if request.links.is_none() {
        for file in extra {
            root = layout::common(&root, file.parent().unwrap_or(file));
        }
    }
    // A library that is inside may reach further than the entry does.
    loop {
        let before = root.clone();
        let beside = resolved.found.iter().filter(|found| {
            matches!(text::said(&found.reference.path), Said::Beside(_)) && found.reference.base.starts_with(&before)
        });
        for found in beside {
            let folder =
                if found.reference.shape == Shape::Folder { Some(found.laid.as_path()) } else { found.laid.parent() };
            root = layout::common(&root, folder.unwrap_or(&found.laid));
        }
        if root == before {
            return Ok(root);
        }
    }
}

fn files_at_hand(root: &Path, entry: &Path, extra: &[PathBuf]) -> Result<AtHand, Refusal> {
    // The whole disk is nobody's project.
    let top = if root.parent().is_some() { root } else { entry.parent().unwrap_or(root) };
    let mut files: BTreeSet<PathBuf> = walk::below(top).map_err(|error| unreadable(top, error))?.into_iter().collect();
    files.extend(extra.iter().cloned());
    let all: Vec<PathBuf> = files.into_iter().collect();
    let around = all.iter().fold(top.to_owned(), |around, file| layout::common(&around, file.parent().unwrap_or(file)));
    Ok(AtHand::new(around, &all))
}

/// What `--folder` and `--include` name.
fn extra_files(request: &Request) -> Result<Vec<PathBuf>, Refusal> {
    let mut files = BTreeSet::new();
    if let Some(folder) = &request.folder {
        let folder = absolute(folder)?;
        files.extend(walk::below(&folder).map_err(|error| unreadable(&folder, error))?);
    }
    for pattern in &request.include {
        let found = glob::files(pattern).map_err(|reason| Refusal::Include(pattern.clone(), reason))?;
        for file in found {
            files.insert(absolute(&file)?);
        }
    }
    Ok(files.into_iter().collect())
}

fn note_on(found: &resolve::Found) -> Option<String> {
    let path = &found.reference.path;
    match found.how {
        How::AsSaid => None,
        How::ByCase => Some(format!(
            "{path} is not on this machine: taken from {}, which differs in its capitals",
            source_of(found).display()
        )),
        How::Mapped => Some(format!("{path}: taken from {}, by --map", source_of(found).display())),
        How::ByTail => Some(format!(
            "{path} is not on this machine: taken from {}, whose path ends like it (--map says it otherwise)",
            source_of(found).display()
        )),
    }
}

fn source_of(found: &resolve::Found) -> &Path {
    let first = found.members.iter().find(|member| member.laid == found.laid).or(found.members.first());
    first.map_or(&found.laid, |member| &member.source)
}

fn missing_paths(resolved: &Resolved) -> Vec<MissingPath> {
    let missing: BTreeSet<MissingPath> = resolved
        .missing
        .iter()
        .map(|missing| {
            let several =
                if missing.ambiguous { "; several files here could be meant: say which with --map" } else { "" };
            let about = format!("{}{several}", missing.reference.owner);
            MissingPath { path: missing.reference.path.clone(), about }
        })
        .collect();
    missing.into_iter().collect()
}

/// Refuses an entry that Blender could not open, before anybody is asked about it.
pub fn check_entry(path: &Path) -> Result<(), Refusal> {
    if path.is_dir() {
        return Err(Refusal::Folder(path.to_owned()));
    }
    check_blend(path)
}

/// Refuses what is named .blend and is none.
fn check_blend(path: &Path) -> Result<(), Refusal> {
    match blend::kind_of(path).map_err(|error| unreadable(path, error))? {
        FileKind::Blend => Ok(()),
        kind => Err(Refusal::NotABlend { path: path.to_owned(), kind }),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Refusal> {
    std::path::absolute(path).map(|path| text::normal(&path)).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, source: io::Error) -> Refusal {
    Refusal::Unreadable { path: path.to_owned(), source }
}
