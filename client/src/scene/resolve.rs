//! From what a .blend says to files on this machine: as it says, by a mapping that the user has named, or by the tail of a
//! path that does not exist here. What is needed and cannot be found is missing, by name.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::expand::{self, Shape};
use super::letters;
use super::tail::{self, TailMatch};
use super::text::{self, Said};

/// A path that a .blend says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// As the .blend says it.
    pub path: String,
    /// The folder of the .blend that says it.
    pub base: PathBuf,
    /// What it stands for.
    pub shape: Shape,
    /// What in the .blend says it, for people.
    pub owner: String,
    /// Whether a picture needs it.
    pub needed: bool,
}

impl Reference {
    /// The library that it names on this machine, whether it is there or not; `None` when it names something else.
    #[must_use]
    pub fn library(&self) -> Option<PathBuf> {
        if self.path.to_lowercase().ends_with(".blend") { text::local(&self.path, &self.base) } else { None }
    }
}

/// `--map`: where files are now that had an absolute path elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The path that they had.
    pub original: String,
    /// The path that they have here.
    pub local: PathBuf,
}

/// How a path was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Where the .blend says.
    AsSaid,
    /// Where the .blend says, if capitals and small letters are the same, as they are on Windows.
    ByCase,
    /// By a mapping.
    Mapped,
    /// By its tail.
    ByTail,
}

/// A file of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Where it counts as lying.
    pub(super) laid: PathBuf,
    /// Where it is read.
    pub(super) source: PathBuf,
}

/// A reference whose files are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) reference: Reference,
    pub(super) how: How,
    /// Where the path itself counts as lying: the file, the first of a sequence, or the folder.
    pub(super) laid: PathBuf,
    pub(super) members: Vec<Member>,
}

/// What became of all references.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) found: Vec<Found>,
    /// Needed by a picture.
    pub(super) missing: Vec<Missing>,
    /// Not needed.
    pub(super) passed_over: Vec<Reference>,
}

/// A reference whose files nobody could find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) reference: Reference,
    /// Whether several files could be meant.
    pub(super) ambiguous: bool,
}

/// The files among which a path that does not exist here is looked for.
#[derive(Debug)]
pub(super) struct AtHand {
    pub(super) root: PathBuf,
    /// Relative to the root, with forward slashes.
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
}

impl AtHand {
    pub(super) fn new(root: PathBuf, files: &[PathBuf]) -> Self {
        let relative =
            files.iter().filter_map(|file| Some(file.strip_prefix(&root).ok()?.to_str()?.replace('\\', "/")));
        let files: Vec<String> = relative.collect();
        let mut folders: Vec<String> =
            files.iter().flat_map(|file| file.match_indices('/').map(|(at, _)| file[..at].to_owned())).collect();
        folders.sort();
        folders.dedup();
        Self { root, files, folders }
    }

    /// What is meant by a path that does not exist here; `Err` when it could be several.
    fn meant(&self, reference: &Reference) -> Result<Option<PathBuf>, Several> {
        let candidates = if reference.shape == Shape::Folder { &self.folders } else { &self.files };
        // A path beside the .blend was meant for this very project: its name alone is too little to go elsewhere for it.
        let least = if matches!(text::said(&reference.path), Said::Beside(_)) { 2 } else { 1 };
        match tail::longest(&reference.path, candidates.iter().map(String::as_str)) {
            TailMatch::One { index, parts } if parts >= least => Ok(Some(self.root.join(&candidates[index]))),
            TailMatch::Several => Err(Several),
            TailMatch::One { .. } | TailMatch::None => Ok(None),
        }
    }
}

struct Several;

/// Finds what is where the .blend, or a mapping, says.
pub(super) fn directly(reference: &Reference, mappings: &[Mapping]) -> io::Result<Option<Found>> {
    let here = text::local(&reference.path, &reference.base);
    let absolute = match text::said(&reference.path) {
        Said::Absolute(path) => Some(path.to_owned()),
        Said::Beside(_) => here.as_ref().map(|path| path.display().to_string()),
        Said::Bare(_) => None,
    };
    let mapped = absolute.as_deref().and_then(|path| mapped(path, mappings)).map(|path| (path, How::Mapped));
    let as_said = here.clone().map(|path| (path, How::AsSaid));
    for (path, how) in mapped.into_iter().chain(as_said) {
        if let Some(found) = taken(reference, &path, how)? {
            return Ok(Some(found));
        }
    }
    match here.and_then(|path| letters::in_other_case(&path)) {
        Some(path) => taken(reference, &path, How::ByCase),
        None => Ok(None),
    }
}

/// Finds what the tail of its path means.
pub(super) fn by_tail(reference: &Reference, at_hand: &AtHand) -> io::Result<Result<Found, Missing>> {
    let missing = |ambiguous| Ok(Err(Missing { reference: reference.clone(), ambiguous }));
    match at_hand.meant(reference) {
        Ok(Some(path)) => match taken(reference, &path, How::ByTail)? {
            Some(found) => Ok(Ok(found)),
            None => missing(false),
        },
        Ok(None) => missing(false),
        Err(Several) => missing(true),
    }
}

/// The mapping with the longest original that fits.
fn mapped(path: &str, mappings: &[Mapping]) -> Option<PathBuf> {
    let fitting = mappings.iter().filter_map(|mapping| Some((mapping, text::after(path, &mapping.original)?)));
    let (mapping, rest) = fitting.max_by_key(|(mapping, _)| mapping.original.len())?;
    Some(text::parts(&rest.replace('\\', "/")).iter().fold(mapping.local.clone(), |path, part| path.join(part)))
}

fn taken(reference: &Reference, path: &Path, how: How) -> io::Result<Option<Found>> {
    let sources = expand::files(path, reference.shape)?;
    if sources.is_empty() {
        return Ok(None);
    }
    // A path beside the .blend cannot be told to be elsewhere: the file is laid where it is looked for.
    let wanted = match text::said(&reference.path) {
        Said::Beside(_) if matches!(how, How::Mapped | How::ByTail) => text::local(&reference.path, &reference.base),
        _ => None,
    };
    let laid = wanted.unwrap_or_else(|| path.to_owned());
    let members = sources.into_iter().map(|source| Member { laid: laid_as(&source, path, &laid), source }).collect();
    Ok(Some(Found { reference: reference.clone(), how, laid, members }))
}

/// Where a file that belongs to `path` lies when that is laid at `laid`.
fn laid_as(source: &Path, path: &Path, laid: &Path) -> PathBuf {
    if source == path {
        return laid.to_owned();
    }
    match (source.strip_prefix(path), source.file_name(), laid.parent()) {
        (Ok(below), _, _) => laid.join(below),
        (Err(_), Some(name), Some(folder)) => folder.join(name),
        _ => source.to_owned(),
    }
}
