//! What a zip file says that is in it, and whether that can be a project: judged before anything is unpacked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use haywain_shared::file_kind::FileKind;
use haywain_shared::path::{BadPath, RelativePath};
use haywain_shared::scene::MAX_FILES;
use zip::{CompressionMethod, ZipArchive};

use crate::scenes::kind::said;
use crate::store::SomePaths;

/// The most bytes that a project may have, unpacked.
const MAX_TOTAL_BYTES: u64 = 100 * 1024 * 1024 * 1024;
/// From this size on, what is unpacked may not be more than so many times as large as the zip file. Projects are 1 to 20
/// times as large; zip bombs begin at a thousand.
const FREE_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_RATIO: u64 = 200;
/// Folders may be listed too.
const MAX_LISTED: u64 = 2 * MAX_FILES as u64;
/// What systems put into zip files that is nobody's: its own folder on a Mac, and how a folder looks there.
const MAC_FOLDER: &str = "__MACOSX/";
const MAC_VIEW: &str = ".DS_Store";

/// Why a zip file can't be taken for a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectFault {
    /// The disk did not give it back.
    #[error("it could not be read again: {0}")]
    Unreadable(String),
    /// It is no whole zip file.
    #[error("it is no zip file that can be read: {0}")]
    Damaged(String),
    /// A path in it leaves the folder, or can't be on every system.
    #[error("in it, {0}")]
    Path(#[from] BadPath),
    /// It has a link in it.
    #[error("in it, {0} is a link: put the file itself there")]
    Link(String),
    /// Something in it wants a password.
    #[error("in it, {0} is encrypted: make the zip file without a password")]
    Encrypted(String),
    /// Something in it is packed in a way that is not understood here.
    #[error("in it, {path} is packed by {method}: make the zip file anew, by \"deflate\"")]
    Method {
        /// Which.
        path: String,
        /// How.
        method: String,
    },
    /// Two of its files would be one on some system.
    #[error("in it, {0} and {1} are the same file on systems that do not tell capitals from small letters")]
    Collision(String, String),
    /// It has more files than a scene can have.
    #[error("it has {0} files; {MAX_FILES} are the most that a scene can have")]
    TooMany(u64),
    /// It is too large once it is unpacked.
    #[error("unpacked it has {0} bytes; {MAX_TOTAL_BYTES} are the most that are taken")]
    TooLarge(u128),
    /// It is a zip bomb, or so like one that it does not matter.
    #[error("it has {size_bytes} bytes and {total_bytes} once it is unpacked: no project does, only a zip bomb")]
    Bomb {
        /// Its own size.
        size_bytes: u64,
        /// The sizes of what is in it.
        total_bytes: u64,
    },
    /// Nothing in it can be rendered.
    #[error("there is no .blend file in it")]
    NoBlend,
    /// Nobody can know which is to be rendered.
    #[error("there are several .blend files in it ({0}): name the one to render, with ?entry=PATH")]
    ManyBlends(SomePaths),
    /// The one that was named is not there.
    #[error("the entry {entry} is not in it; its .blend files are: {blends}")]
    NoEntry {
        /// What was named.
        entry: RelativePath,
        /// What there is.
        blends: SomePaths,
    },
    /// Something in it is called .blend and is none.
    #[error("in it, {path} is not a .blend file: {}", said(.kind))]
    NotABlend {
        /// Which.
        path: RelativePath,
        /// What it is.
        kind: FileKind,
    },
}

/// A file in a zip file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) index: usize,
    pub(super) path: RelativePath,
    pub(super) size_bytes: u64,
}

impl Listed {
    /// Whether it says of itself that it is a .blend.
    pub(super) fn is_blend(&self) -> bool {
        let name = self.path.file_name().as_bytes();
        name.len() > 6 && name[name.len() - 6..].eq_ignore_ascii_case(b".blend")
    }
}

/// What is in a zip file that can be a project.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) entry: RelativePath,
    pub(super) files: Vec<Listed>,
}

/// Looks at everything that is in a zip file of so many bytes.
pub(super) fn judge(
    archive: &ZipArchive<File>,
    size_bytes: u64,
    entry: Option<RelativePath>,
) -> Result<Contents, ProjectFault> {
    let mut files = Vec::new();
    let mut total_bytes = 0_u128;
    for index in 0..archive.len() {
        let damaged = |error: zip::result::ZipError| ProjectFault::Damaged(error.to_string());
        let listed = archive.by_index_data(index).map_err(damaged)?;
        let name = listed.name().map_err(damaged)?.into_owned();
        if name.starts_with(MAC_FOLDER) || name.rsplit('/').next() == Some(MAC_VIEW) {
            continue;
        }
        if listed.is_symlink() {
            return Err(ProjectFault::Link(name));
        }
        if listed.encrypted() {
            return Err(ProjectFault::Encrypted(name));
        }
        if listed.is_dir() {
            RelativePath::new(name.trim_end_matches('/'))?;
            continue;
        }
        let path = RelativePath::new(name)?;
        let method = listed.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ProjectFault::Method { path: path.to_string(), method: method.to_string() });
        }
        total_bytes += u128::from(listed.size());
        files.push(Listed { index, path, size_bytes: listed.size() });
    }
    check_size(size_bytes, total_bytes)?;
    if files.len() > MAX_FILES {
        return Err(ProjectFault::TooMany(files.len() as u64));
    }
    check_collisions(&files)?;
    let blends: Vec<_> = files.iter().filter(|file| file.is_blend()).map(|file| &file.path).collect();
    let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
    let entry = choose(&blends, &paths, entry)?;
    Ok(Contents { entry, files })
}

fn check_size(size_bytes: u64, total_bytes: u128) -> Result<(), ProjectFault> {
    let total = u64::try_from(total_bytes).ok().filter(|total| *total <= MAX_TOTAL_BYTES);
    let total_bytes = total.ok_or(ProjectFault::TooLarge(total_bytes))?;
    if total_bytes > FREE_BYTES && total_bytes / MAX_RATIO > size_bytes {
        return Err(ProjectFault::Bomb { size_bytes, total_bytes });
    }
    Ok(())
}

fn check_collisions(files: &[Listed]) -> Result<(), ProjectFault> {
    let mut seen: HashMap<String, &RelativePath> = HashMap::with_capacity(files.len());
    for file in files {
        if let Some(other) = seen.insert(file.path.as_str().to_lowercase(), &file.path) {
            return Err(ProjectFault::Collision(other.to_string(), file.path.to_string()));
        }
    }
    for file in files {
        let lower = file.path.as_str().to_lowercase();
        let mut folders = lower.match_indices('/').map(|(end, _)| &lower[..end]);
        if let Some(other) = folders.find_map(|folder| seen.get(folder)) {
            return Err(ProjectFault::Collision(other.to_string(), file.path.to_string()));
        }
    }
    Ok(())
}

/// Which .blend is rendered: the one that was named, the only one, or the only one at the top. The top is below the folders
/// that everything is in: file managers pack a folder with its name.
fn choose(
    blends: &[&RelativePath],
    all: &[&RelativePath],
    wanted: Option<RelativePath>,
) -> Result<RelativePath, ProjectFault> {
    let some = || SomePaths::of(blends.iter().map(ToString::to_string));
    if let Some(entry) = wanted {
        return if all.contains(&&entry) { Ok(entry) } else { Err(ProjectFault::NoEntry { entry, blends: some() }) };
    }
    let top = common_folder(all);
    let mut at_top = blends.iter().filter(|path| !path.as_str()[top..].contains('/'));
    match (blends, at_top.next(), at_top.next()) {
        ([], ..) => Err(ProjectFault::NoBlend),
        ([only], ..) | (_, Some(only), None) => Ok((*only).clone()),
        _ => Err(ProjectFault::ManyBlends(some())),
    }
}

/// The length of the path, with its slash, of the folder that all paths are in.
fn common_folder(paths: &[&RelativePath]) -> usize {
    let Some(first) = paths.first() else { return 0 };
    let folders = first.as_str().match_indices('/').map(|(end, _)| end + 1);
    let common = folders.take_while(|end| paths.iter().all(|path| path.as_str().starts_with(&first.as_str()[..*end])));
    common.last().unwrap_or(0)
}

/// Looks how many files a zip file says that it has, before its table is read into memory.
pub(super) fn check_count(file: &mut File, size_bytes: u64) -> Result<(), ProjectFault> {
    let unreadable = |error: std::io::Error| ProjectFault::Unreadable(error.to_string());
    // The record at the end has 22 bytes, and a comment of up to 65,535 may follow; one of 20 bytes may come before it.
    let tail_bytes = size_bytes.min(22 + 65_535 + 20);
    file.seek(SeekFrom::Start(size_bytes - tail_bytes)).map_err(unreadable)?;
    let mut tail = Vec::new();
    file.take(tail_bytes).read_to_end(&mut tail).map_err(unreadable)?;
    let number = |bytes: &[u8], at: usize, count: usize| -> Option<u64> {
        let bytes = bytes.get(at..at + count)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    let end = end.ok_or_else(|| ProjectFault::Damaged("it has no end: was it sent whole?".to_owned()))?;
    let mut listed = number(&tail, end + 10, 2).unwrap_or(0);
    if listed == u64::from(u16::MAX)
        && let Some(locator) = end.checked_sub(20).filter(|at| tail[*at..].starts_with(b"PK\x06\x07"))
        && let Some(offset) = number(&tail, locator + 8, 8)
    {
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut record = Vec::new();
        file.take(40).read_to_end(&mut record).map_err(unreadable)?;
        listed = number(&record, 32, 8).unwrap_or(u64::MAX);
    }
    if listed > MAX_LISTED { Err(ProjectFault::TooMany(listed)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str], wanted: Option<&str>) -> Result<String, String> {
        let paths: Vec<RelativePath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let all: Vec<_> = paths.iter().collect();
        let blends: Vec<_> = all
            .iter()
            .copied()
            .filter(|path| path.as_str().rsplit_once('.').is_some_and(|(_, end)| end == "blend"))
            .collect();
        let chosen = choose(&blends, &all, wanted.map(|wanted| wanted.parse().unwrap()));
        chosen.map(|path| path.to_string()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_entry_is_the_one_that_nobody_can_doubt() {
        let good: [(&[&str], Option<&str>, &str); 6] = [
            (&["a.blend", "tex/a.png"], None, "a.blend"),
            (&["p/tex/a.png", "p/scenes/a.blend"], None, "p/scenes/a.blend"),
            (&["a.blend", "lib/b.blend", "lib/c.blend"], None, "a.blend"),
            (&["p/lib/b.blend", "p/a.blend"], None, "p/a.blend"),
            (&["a.blend", "b.blend"], Some("b.blend"), "b.blend"),
            (&["p/q/lib/b.blend", "p/q/a.blend"], None, "p/q/a.blend"),
        ];
        for (paths, wanted, entry) in good {
            assert_eq!(chosen(paths, wanted).as_deref(), Ok(entry), "{paths:?}");
        }
        let bad: [(&[&str], Option<&str>, &str); 5] = [
            (&["tex/a.png"], None, "no .blend"),
            (&[], None, "no .blend"),
            (&["a.blend", "b.blend"], None, "a.blend, b.blend"),
            (&["lib/a.blend", "lib2/b.blend"], None, "lib/a.blend, lib2/b.blend"),
            (&["a.blend"], Some("c.blend"), "entry c.blend is not in it"),
        ];
        for (paths, wanted, words) in bad {
            let fault = chosen(paths, wanted).unwrap_err();
            assert!(fault.contains(words), "{paths:?}: {fault}");
        }
    }

    #[test]
    fn no_project_is_so_much_larger_than_its_zip_file() {
        const MIB: u64 = 1024 * 1024;
        for (size, total) in [(1, MIB), (MIB, 1024 * MIB), (10 * MIB, 2000 * MIB), (60 * 1024 * MIB, 100 * 1024 * MIB)]
        {
            assert_eq!(check_size(size, total.into()), Ok(()), "{size}, {total}");
        }
        assert!(matches!(check_size(42_000, (5 * 1024 * MIB).into()), Err(ProjectFault::Bomb { .. })));
        assert!(matches!(check_size(u64::MAX, (101 * 1024 * MIB).into()), Err(ProjectFault::TooLarge(_))));
        assert!(matches!(check_size(u64::MAX, u128::MAX), Err(ProjectFault::TooLarge(_))));
    }
}
