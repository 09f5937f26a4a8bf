//! Paths as a .blend says them, of this system or another: told apart and taken to pieces as text, since a path of
//! Windows is nothing on Linux but a name with backslashes.

use std::path::{Component, Path, PathBuf};

use haywain_shared::scene::is_absolute;

/// How a .blend says that a path begins beside it.
const BESIDE: &str = "//";

/// A path as a .blend says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Relative to the file that says it: what follows the two slashes.
    Beside(&'a str),
    /// Absolute, on a system where it may mean something.
    Absolute(&'a str),
    /// Neither: Blender finds nothing by it.
    Bare(&'a str),
}

pub(super) fn said(text: &str) -> Said<'_> {
    match text.strip_prefix(BESIDE) {
        // On Windows a path of a share may be written with these slashes too; there they are kept for it by Blender itself.
        Some(rest) => Said::Beside(rest),
        None if is_absolute(text) => Said::Absolute(text),
        None => Said::Bare(text),
    }
}

/// The path on this system that is meant, whether something is there or not; `None` when it is another system's.
pub(super) fn local(text: &str, base: &Path) -> Option<PathBuf> {
    match said(text) {
        Said::Beside(rest) => Some(normal(&base.join(turned(rest)))),
        Said::Absolute(path) if is_foreign(path) => None,
        Said::Absolute(path) => Some(normal(Path::new(path))),
        Said::Bare(_) => None,
    }
}

/// Whether an absolute path is another system's.
fn is_foreign(path: &str) -> bool {
    if cfg!(windows) { path.starts_with('/') } else { !path.starts_with('/') }
}

/// Slashes as this system has them: Blender reads a path that was saved on Windows anywhere.
fn turned(text: &str) -> String {
    if cfg!(windows) { text.to_owned() } else { text.replace('\\', "/") }
}

/// A path without `.` and `..`, by its text alone, as Blender does it.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                // Nothing is above the root.
                if normal.file_name().is_some() {
                    normal.pop();
                }
            }
            other => normal.push(other),
        }
    }
    normal
}

/// The parts of a path of any system, without drive and root.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let rest = match text.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &text[2..],
        _ => text,
    };
    let slashes: &[char] = if is_of_windows(text) { &['/', '\\'] } else { &['/'] };
    rest.split(slashes).filter(|part| !part.is_empty() && *part != ".").collect()
}

/// Whether a path is written as on Windows, where capitals and small letters are the same.
pub(super) fn is_of_windows(text: &str) -> bool {
    text.starts_with("\\\\") || matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// A path as text, cut before its last part: `D:\tex\a.png` is `D:\tex` and `a.png`. A root keeps its slash.
pub(super) fn split(text: &str) -> (&str, &str) {
    let slashes: &[char] = if is_of_windows(text) { &['/', '\\'] } else { &['/'] };
    let whole = text.trim_end_matches(slashes);
    let Some(at) = whole.rfind(slashes) else { return ("", whole) };
    let folder = &whole[..at];
    let is_root = folder.is_empty() || (folder.len() == 2 && folder.ends_with(':'));
    (if is_root { &whole[..=at] } else { folder }, &whole[at + 1..])
}

/// What follows `prefix` in `text`, if it begins with it at the end of a part.
pub(super) fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let windows = is_of_windows(prefix);
    let slashes: &[char] = if windows { &['/', '\\'] } else { &['/'] };
    let prefix = prefix.trim_end_matches(slashes);
    let head = text.get(..prefix.len())?;
    let same = head.chars().zip(prefix.chars()).all(|(one, other)| {
        let both_slashes = windows && slashes.contains(&one) && slashes.contains(&other);
        one == other || both_slashes || (windows && one.to_lowercase().eq(other.to_lowercase()))
    });
    let rest = text.get(prefix.len()..)?;
    (same && (rest.is_empty() || rest.starts_with(slashes))).then(|| rest.trim_start_matches(slashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_as_their_own_system_would() {
        for (text, folder, name) in [
            ("/a/b.png", "/a", "b.png"),
            ("/b.png", "/", "b.png"),
            ("D:\\tex\\a.png", "D:\\tex", "a.png"),
            ("D:\\a.png", "D:\\", "a.png"),
            ("D:/tex\\a.png", "D:/tex", "a.png"),
            ("\\\\nas\\share\\a.png", "\\\\nas\\share", "a.png"),
            ("/a/b\\c.png", "/a", "b\\c.png"),
            ("/sim/fluid/", "/sim", "fluid"),
        ] {
            assert_eq!(split(text), (folder, name), "{text}");
        }
        assert_eq!(parts("D:\\tex//a.png"), ["tex", "a.png"]);
        assert_eq!(parts("/home/x/./a.png"), ["home", "x", "a.png"]);
        assert_eq!(parts("\\\\nas\\share\\a.png"), ["nas", "share", "a.png"]);
    }

    #[test]
    fn a_prefix_ends_with_a_part() {
        for (text, prefix, rest) in [
            ("D:\\tex\\a.png", "D:\\tex", Some("a.png")),
            ("d:/TEX/sub/a.png", "D:\\tex\\", Some("sub/a.png")),
            ("D:\\texture\\a.png", "D:\\tex", None),
            ("/a/b", "/a", Some("b")),
            ("/A/b", "/a", None),
            ("/a", "/a", Some("")),
            ("/a/b", "/", Some("a/b")),
        ] {
            assert_eq!(after(text, prefix), rest, "{text} after {prefix}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_meant_here() {
        let base = Path::new("/p/shots");
        for (text, path) in [
            ("//tex/a.png", Some("/p/shots/tex/a.png")),
            ("//../tex\\b/a.png", Some("/p/tex/b/a.png")),
            ("//../../../a.png", Some("/a.png")),
            ("/x/../y/a.png", Some("/y/a.png")),
            ("D:\\tex\\a.png", None),
            ("a.png", None),
        ] {
            assert_eq!(local(text, base), path.map(PathBuf::from), "{text}");
        }
    }
}
