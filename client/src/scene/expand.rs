//! The files on disk that one path of a .blend stands for: one, the frames of a sequence, or all of a folder.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::walk;

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The file.
    File,
    /// All files that differ from it in their last number alone.
    Sequence,
    /// Everything below a folder.
    Folder,
}

/// The files that `path` stands for; none when nothing is there.
pub(super) fn files(path: &Path, shape: Shape) -> io::Result<Vec<PathBuf>> {
    match shape {
        Shape::File => Ok(if path.is_file() { vec![path.to_owned()] } else { Vec::new() }),
        Shape::Folder if path.is_dir() => walk::below(path),
        Shape::Folder => Ok(Vec::new()),
        Shape::Sequence => beside(path, |name| is_of_sequence(name, file_name(path))),
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn beside(path: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let Some(folder) = path.parent().filter(|folder| folder.is_dir()) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Whether two names differ in their last number alone. What has no number is a sequence of one.
fn is_of_sequence(name: &str, first: &str) -> bool {
    let (Some((before, after)), Some((first_before, first_after))) = (around_number(name), around_number(first)) else {
        return name == first;
    };
    before == first_before && after == first_after
}

fn around_number(name: &str) -> Option<(&str, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    // What stands before may be of more bytes than one.
    let start =
        (start..end).find(|at| name.is_char_boundary(*at) && name[*at..end].bytes().all(|b| b.is_ascii_digit()))?;
    Some((&name[..start], &name[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_differ_in_their_last_number() {
        for (name, first, expected) in [
            ("water_0001.png", "water_0100.png", true),
            ("water_7.png", "water_0100.png", true),
            ("water_0001.exr", "water_0100.png", false),
            ("v2_0001.png", "v2_0005.png", true),
            ("v1_0001.png", "v2_0005.png", false),
            ("ü1.png", "ü20.png", true),
            ("still.png", "still.png", true),
            ("still2.png", "still.png", false),
            ("0007", "0001", true),
        ] {
            assert_eq!(is_of_sequence(name, first), expected, "{name} of {first}");
        }
    }
}
