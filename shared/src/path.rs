//! A path inside a folder of ours: a scene's file, or a frame's. It comes from strangers, so that it is looked at before it
//! becomes part of a path on disk. Whatever is a [`RelativePath`] stays inside its folder, and means the same file, on every
//! system.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest path, in bytes.
pub const MAX_BYTES: usize = 512;
/// The longest part of it, in bytes: file systems take 255, and what is written beside a file needs room for a mark.
pub const MAX_PART_BYTES: usize = 200;
/// Names that Windows keeps for devices, whatever their extension and case.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A relative path with forward slashes that stays inside its folder on every system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct RelativePath(String);

/// A path that can't be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is no path that every system can have: {reason}")]
pub struct BadPath {
    path: String,
    reason: &'static str,
}

impl RelativePath {
    /// Takes a path if it is a good one.
    pub fn new(path: impl Into<String>) -> Result<Self, BadPath> {
        let path = path.into();
        match fault(&path) {
            None => Ok(Self(path)),
            Some(reason) => Err(BadPath { path, reason }),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last part.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path with a mark before its extension: `left/0001.png` becomes `left/0001.mark.png`.
    #[must_use]
    pub fn marked(&self, mark: &str) -> String {
        let folder_end = self.0.rfind('/').map_or(0, |slash| slash + 1);
        match self.0.rfind('.').filter(|dot| *dot > folder_end) {
            Some(dot) => format!("{}.{mark}{}", &self.0[..dot], &self.0[dot..]),
            None => format!("{}.{mark}", self.0),
        }
    }
}

/// Why a path can't be taken, if it can't.
fn fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > MAX_BYTES {
        return Some("it is longer than 512 bytes");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.contains('\\') {
        return Some("it has a backslash: parts are separated by forward slashes");
    }
    if path.chars().any(|c| c.is_control() || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
        return Some("it has a character that some systems can't have in a name");
    }
    path.split('/').find_map(part_fault)
}

fn part_fault(part: &str) -> Option<&'static str> {
    let stem = part.split('.').next().unwrap_or_default().trim_end();
    match part {
        "" => Some("it has an empty part"),
        "." | ".." => Some("it leaves its folder, or could"),
        _ if part.len() > MAX_PART_BYTES => Some("one of its parts is longer than 200 bytes"),
        _ if part.ends_with(['.', ' ']) => Some("one of its parts ends with a dot or a space"),
        _ if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) => Some("it is the name of a device"),
        // `object_store` marks its unfinished files so, and takes no such name.
        _ if part.rsplit_once('#').is_some_and(|(_, number)| all_digits(number)) => {
            Some("one of its parts ends with # and a number")
        }
        _ => None,
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<std::path::Path> for RelativePath {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl FromStr for RelativePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        Self::new(text)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::new(text)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_their_folder_on_every_system() {
        for good in [
            "0001.png",
            "left/0001.png",
            "Sonnenuntergang über dem Feld 0001.exr",
            "..0001.png",
            "a/.b",
            "console.png",
            "take #7 b.png",
        ] {
            assert!(RelativePath::new(good).is_ok(), "{good}");
        }
        let (long, long_part) = (format!("{}/b", "a/".repeat(256)), "a".repeat(201));
        for bad in [
            "",
            "/etc/passwd",
            "../0001.png",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "a\\b",
            "C:/a",
            "a\0",
            "a\nb",
            "a?",
            "nul",
            "a/Con.png",
            "lpt1 .txt",
            "a.",
            "a /b",
            "take#7",
            &long,
            &long_part,
        ] {
            assert!(RelativePath::new(bad).is_err(), "{bad}");
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
        for (path, marked) in cases {
            assert_eq!(RelativePath::new(path).unwrap().marked("m"), marked);
        }
    }
}
