//! What a file that is called .blend really is, by its first bytes, whatever its name says: client and orchestrator refuse
//! the same files before Blender has to. What to do about it is for each to say.

/// How many of a file's first bytes say what it is.
pub const HEAD_BYTES: usize = 512;

/// How the files begin that Blender reads as .blend: plain, compressed by Zstandard (RFC 8878), compressed by gzip
/// (RFC 1952).
const BLEND_SIGNATURES: [&[u8]; 3] = [b"BLENDER", &[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b]];
/// A zip file with something in it, and an empty one.
const ZIP_SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// How the stand-ins begin that Git LFS leaves where a file was not fetched.
const LFS_POINTER: &str = "version https://git-lfs";

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A .blend.
    Blend,
    /// A zip file.
    Zip,
    /// No bytes at all.
    Empty,
    /// A Git LFS pointer.
    LfsPointer,
    /// A page: what a server sends in place of a file, often.
    Html,
    /// Something else, and how it begins, in words.
    Other(String),
}

impl FileKind {
    /// What a file is that begins so.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let begins = |signatures: &[&[u8]]| signatures.iter().any(|signature| head.starts_with(signature));
        let text = String::from_utf8_lossy(head.trim_ascii_start()).to_ascii_lowercase();
        if head.is_empty() {
            Self::Empty
        } else if begins(&BLEND_SIGNATURES) {
            Self::Blend
        } else if begins(&ZIP_SIGNATURES) {
            Self::Zip
        } else if text.starts_with(LFS_POINTER) {
            Self::LfsPointer
        } else if ["<!doctype html", "<html", "<head", "<?xml"].iter().any(|tag| text.starts_with(tag)) {
            Self::Html
        } else if head.iter().all(|byte| *byte == 0) {
            Self::Other("it begins with nothing but zeros".to_owned())
        } else {
            Self::Other(format!("it begins with {:?}", String::from_utf8_lossy(&head[..head.len().min(24)])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let other = |begins: &str| FileKind::Other(begins.to_owned());
        let cases: [(&[u8], FileKind); 14] = [
            (b"BLENDER-v304", FileKind::Blend),
            (b"BLENDER-v304REND", FileKind::Blend),
            (b"BLENDER17-01v0500", FileKind::Blend),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0], FileKind::Blend),
            (&[0x1f, 0x8b, 8, 0], FileKind::Blend),
            (b"PK\x03\x04rest", FileKind::Zip),
            (b"PK\x05\x06", FileKind::Zip),
            (b"", FileKind::Empty),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 1234\n", FileKind::LfsPointer),
            (b"\r\n <!DOCTYPE HTML><title>404", FileKind::Html),
            (b"\n<!DOCTYPE html><html>", FileKind::Html),
            (&[0; 40], other("it begins with nothing but zeros")),
            (b"hello", other("it begins with \"hello\"")),
            (b"P6 640 480", other("it begins with \"P6 640 480\"")),
        ];
        for (head, kind) in cases {
            assert_eq!(FileKind::of(head), kind, "{head:?}");
        }
    }
}
