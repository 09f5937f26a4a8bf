//! What a file that is called .blend really is, by its first bytes. Nothing is sent that Blender could not open.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// As many bytes as tell all kinds apart.
const START_BYTES: u64 = 512;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A .blend, plain or compressed.
    Blend,
    /// Nothing.
    Empty,
    /// What Git keeps in place of a large file.
    LfsPointer,
    /// A page, perhaps of a download that failed.
    Html,
    /// A ZIP archive.
    Zip,
    /// Something else, and how it begins.
    Other(String),
}

/// Looks at the first bytes of a file.
pub fn kind_of(path: &Path) -> io::Result<FileKind> {
    let mut start = Vec::new();
    File::open(path)?.take(START_BYTES).read_to_end(&mut start)?;
    Ok(kind_by(&start))
}

fn kind_by(start: &[u8]) -> FileKind {
    let text = String::from_utf8_lossy(start);
    let words = text.trim_start().to_lowercase();
    match start {
        [] => FileKind::Empty,
        _ if start.starts_with(b"BLENDER") => FileKind::Blend,
        // Zstandard (RFC 8878) and gzip (RFC 1952), by which Blender compresses.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x1f, 0x8b, ..] => FileKind::Blend,
        _ if words.starts_with("version https://git-lfs") => FileKind::LfsPointer,
        [b'P', b'K', 3, 4, ..] => FileKind::Zip,
        _ if words.starts_with("<!doctype html") || words.starts_with("<html") || words.starts_with("<?xml") => {
            FileKind::Html
        }
        _ => FileKind::Other(text.chars().take(24).collect()),
    }
}

/// What it is and what to do, to follow "… is not a .blend file but ".
impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blend => f.write_str("a .blend file"),
            Self::Empty => f.write_str("empty (0 bytes): its copy or download failed, get it again"),
            Self::LfsPointer => f.write_str("a Git LFS pointer, not the file itself: run `git lfs pull` first"),
            Self::Html => f.write_str("an HTML or XML page, perhaps of a failed download: get it again"),
            Self::Zip => f.write_str("a ZIP archive: unpack it and submit the .blend inside"),
            Self::Other(start) => write!(f, "something else: it begins with {start:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_their_bytes_say() {
        let cases: [(&[u8], FileKind); 9] = [
            (b"BLENDER-v304REND", FileKind::Blend),
            (b"BLENDER17-01v0500", FileKind::Blend),
            (&[0x28, 0xb5, 0x2f, 0xfd, 1], FileKind::Blend),
            (&[0x1f, 0x8b, 8], FileKind::Blend),
            (b"", FileKind::Empty),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n", FileKind::LfsPointer),
            (b"\n<!DOCTYPE html><html>", FileKind::Html),
            (b"PK\x03\x04rest", FileKind::Zip),
            (b"hello", FileKind::Other("hello".to_owned())),
        ];
        for (start, kind) in cases {
            assert_eq!(kind_by(start), kind, "{start:?}");
        }
    }
}
