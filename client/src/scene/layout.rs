//! Where each file lies in the scene's folder, and what the farm must be told so that it finds it there. A rule of values:
//! it looks at no disk.
//!
//! What is below the project's root keeps its path from there, so that relative paths go on to mean what they meant. All
//! else keeps its whole path, below `outside/`, for the same reason. Paths that a .blend calls absolutely get a place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf, Prefix};

use haywain_shared::path::{BadPath, RelativePath};
use haywain_shared::scene::Place;

use super::names::{self, Named, OUTSIDE};
use super::resolve::{Found, How, Member};
use super::text::{self, Said};

/// Where all files lie.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The files, and where each is read.
    pub(super) files: BTreeMap<RelativePath, PathBuf>,
    pub(super) places: BTreeSet<Place>,
    /// Files whose paths no scene can have, and why.
    pub(super) refused: Vec<String>,
}

/// Lays files out around a root.
pub(super) struct Plan<'a> {
    root: &'a Path,
    layout: Layout,
    /// What the places say so far.
    told: BTreeMap<String, Option<RelativePath>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, layout: Layout::default(), told: BTreeMap::new() }
    }

    /// Lays a file that nothing calls by an absolute path; its path in the scene's folder.
    pub(super) fn add_file(&mut self, file: &Path) -> Option<RelativePath> {
        let named = self.lay(&Member { laid: file.to_owned(), source: file.to_owned() }, Side::ByPath)?;
        if let Named::Changed(path) = &named {
            self.tell(file.display().to_string(), Some(path.clone()));
            self.tell_root();
        }
        Some(named.path().clone())
    }

    /// Lays the files of a reference, and tells where they lie if the reference alone does not.
    pub(super) fn add_found(&mut self, found: &Found) {
        let beside = matches!(text::said(&found.reference.path), Said::Beside(_));
        let side = if beside && !found.reference.base.starts_with(self.root) { Side::Outside } else { Side::ByPath };
        for member in &found.members {
            let Some(named) = self.lay(member, side) else { continue };
            if let (Named::Changed(path), true) = (&named, beside || found.members.len() > 1) {
                self.tell(member.laid.display().to_string(), Some(path.clone()));
                self.tell_root();
            }
        }
        if beside {
            if found.how == How::ByCase {
                self.tell_said(found, side);
            }
            if side == Side::ByPath && !found.laid.starts_with(self.root) {
                // It leaves the scene's folder: the farm follows it from where the .blend was to where that led.
                self.tell_root();
                self.tell_folder_of(&found.laid.display().to_string(), &found.laid);
            }
        } else if found.how == How::AsSaid && found.laid.starts_with(self.root) && self.keeps_its_name(&found.laid) {
            self.tell_root();
        } else {
            self.tell_folder_of(&found.reference.path, &found.laid);
        }
    }

    /// Tells where the path leads that a .blend says beside itself, when it leads nowhere as it stands.
    fn tell_said(&mut self, found: &Found, side: Side) {
        let said = text::local(&found.reference.path, &found.reference.base);
        if let (Some(said), Ok(Some(named))) = (said, self.destination(&found.laid, side)) {
            self.tell(said.display().to_string(), Some(named.path().clone()));
            self.tell_root();
        }
    }

    /// `--map` without anybody who knows what the .blend says: the place itself.
    pub(super) fn add_place(&mut self, original: &str, local: &Path) {
        if let Ok(named) = self.destination(local, Side::ByPath) {
            self.tell(original.to_owned(), named.map(|named| named.path().clone()));
        }
    }

    /// Tells where the root was, for absolute paths below it.
    pub(super) fn tell_root(&mut self) {
        self.tell(self.root.display().to_string(), None);
    }

    pub(super) fn finish(mut self) -> Layout {
        self.layout.places = self.told.into_iter().map(|(original, path)| Place { original, path }).collect();
        self.layout
    }

    fn lay(&mut self, member: &Member, side: Side) -> Option<Named> {
        let named = match self.destination(&member.laid, side) {
            Ok(Some(named)) => named,
            Ok(None) => return None,
            Err(error) => {
                self.layout.refused.push(format!("{}: {error}", member.source.display()));
                return None;
            }
        };
        let path = named.path().clone();
        if let Some(other) =
            self.layout.files.insert(path, member.source.clone()).filter(|other| *other != member.source)
        {
            let fault = format!("{} and {} would be one file", other.display(), member.source.display());
            self.layout.refused.push(fault);
        }
        Some(named)
    }

    /// Where a path lies in the scene's folder; `None` for that folder itself.
    fn destination(&self, path: &Path, side: Side) -> Result<Option<Named>, Unlaid> {
        let parts = match path.strip_prefix(self.root) {
            Ok(below) if side == Side::ByPath => parts_of(below)?,
            _ => std::iter::once(Ok(OUTSIDE.to_owned()))
                .chain(parts_of(path)?.into_iter().map(Ok))
                .collect::<Result<_, Unlaid>>()?,
        };
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(names::named(&parts)?))
    }

    fn keeps_its_name(&self, path: &Path) -> bool {
        matches!(self.destination(path, Side::ByPath), Ok(Some(Named::Kept(_)) | None))
    }

    /// Tells where the folder of `original` lies, now that the path itself lies as `laid` does; or where the path itself
    /// does, when its name has changed or its folder has been told to be elsewhere.
    fn tell_folder_of(&mut self, original: &str, laid: &Path) {
        let Ok(Some(named)) = self.destination(laid, Side::ByPath) else { return };
        let path = named.path();
        let (folder, name) = text::split(original);
        let to = path.as_str().rsplit_once('/').and_then(|(folder, _)| RelativePath::new(folder).ok());
        if name == path.file_name() && self.told.get(folder).is_none_or(|told| *told == to) {
            self.tell(folder.to_owned(), to);
        } else {
            self.tell(original.to_owned(), Some(path.clone()));
        }
    }

    fn tell(&mut self, original: String, path: Option<RelativePath>) {
        self.told.entry(original).or_insert(path);
    }
}

/// On which side of the root a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Where its path says.
    ByPath,
    /// Outside, also when it lies below the root: a library from outside looks for it there.
    Outside,
}

/// Why a file can't be laid.
#[derive(Debug, thiserror::Error)]
enum Unlaid {
    #[error("its name is not Unicode; rename it")]
    NotUnicode,
    #[error("{0}; move it to a shorter path")]
    Path(#[from] BadPath),
}

/// The parts of a path, a drive or a share as parts of their own.
fn parts_of(path: &Path) -> Result<Vec<String>, Unlaid> {
    let text = |text: &std::ffi::OsStr| text.to_str().map(str::to_owned).ok_or(Unlaid::NotUnicode);
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(text(name)?),
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(drive) | Prefix::VerbatimDisk(drive) => parts.push(char::from(drive).to_string()),
                Prefix::UNC(host, share) | Prefix::VerbatimUNC(host, share) => {
                    parts.extend([text(host)?, text(share)?]);
                }
                Prefix::Verbatim(name) | Prefix::DeviceNS(name) => parts.push(text(name)?),
            },
            Component::RootDir | Component::CurDir | Component::ParentDir => {}
        }
    }
    Ok(parts)
}

/// The folder that both have in common.
pub(super) fn common(one: &Path, other: &Path) -> PathBuf {
    one.components().zip(other.components()).take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
}
