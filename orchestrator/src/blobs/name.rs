//! What a frame's file may be called: an agent's word, so that it is looked at before it becomes part of a path.

use std::fmt;

/// The longest name, in bytes.
const MAX_BYTES: usize = 512;
/// The longest part of it, in bytes: file systems take 255, and the mark and what `object_store` puts behind a file that is
/// being written need room.
const MAX_PART_BYTES: usize = 200;

/// A relative name with forward slashes that stays inside its folder on every system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameFileName(String);

/// A name that a frame's file can't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a frame's file: a relative path with forward slashes is expected")]
pub struct BadName(String);

impl FrameFileName {
    /// Takes a name if it is a good one.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let good_part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART_BYTES;
        let good_char = |c: char| !c.is_control() && !matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
        // `object_store` marks its unfinished files so, and takes no such name.
        let unfinished = |name: &str| {
            name.rsplit('/')
                .next()
                .and_then(|file| file.split_once('#'))
                .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let good_parts = name.split('/').all(good_part) && name.chars().all(good_char);
        if name.len() <= MAX_BYTES && good_parts && !unfinished(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadName(name.to_owned()))
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with a mark before its extension: `left/0001.png` becomes `left/0001.mark.png`.
    pub(super) fn marked(&self, mark: &str) -> String {
        let folder_end = self.0.rfind('/').map_or(0, |slash| slash + 1);
        match self.0.rfind('.').filter(|dot| *dot > folder_end) {
            Some(dot) => format!("{}.{mark}{}", &self.0[..dot], &self.0[dot..]),
            None => format!("{}.{mark}", self.0),
        }
    }
}

impl fmt::Display for FrameFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for good in ["0001.png", "left/0001.png", "Sonnenuntergang über dem Feld 0001.exr", "..0001.png", "a/.b"] {
            assert!(FrameFileName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(513);
        for bad in
            ["", "/etc/passwd", "../0001.png", "a/../b", "a//b", "a/", ".", "a\\b", "C:/a", "a\0", "a\nb", "a?", &long]
        {
            assert!(FrameFileName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_mark_stands_before_the_extension() {
        let cases = [
            ("0001.png", "0001.m.png"),
            ("left.view/0001", "left.view/0001.m"),
            ("left/0001.png", "left/0001.m.png"),
            ("a/.hidden", "a/.hidden.m"),
        ];
        for (name, marked) in cases {
            assert_eq!(FrameFileName::new(name).unwrap().marked("m"), marked);
        }
    }
}
