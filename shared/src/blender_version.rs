//! Versions of Blender: what one says of itself, what a file says of the one that saved it, and what a job asks for.

use std::fmt;
use std::str::FromStr;

use semver::{Op, VersionReq};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version of a Blender: `3.4.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlenderVersion {
    /// The release that it belongs to.
    pub release: Release,
    /// Its number in that release.
    pub patch: u32,
}

/// A release of Blender, as files name it: `3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// What is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of Blender: 4.2 is, or 4.2.1")]
pub struct NotAVersion(String);

/// The numbers that a text begins with; what follows them, such as ` LTS` or ` Alpha`, does not count.
fn numbers(text: &str) -> Result<[u32; 3], NotAVersion> {
    let wrong = || NotAVersion(text.to_owned());
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let numbers: Vec<u32> = text[..end].split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match numbers[..] {
        [major, minor] => Ok([major, minor, 0]),
        [major, minor, patch] => Ok([major, minor, patch]),
        _ => Err(wrong()),
    }
}

impl FromStr for BlenderVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let [major, minor, patch] = numbers(text.trim())?;
        Ok(Self { release: Release { major, minor }, patch })
    }
}

impl FromStr for Release {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        text.parse().map(|version: BlenderVersion| version.release)
    }
}

impl TryFrom<String> for Release {
    type Error = NotAVersion;

    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

impl fmt::Display for BlenderVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.release, self.patch)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Which versions of Blender a job may be rendered by: `>=4.2, <5`, `4.2` (any 4.2.x), `5` (any 5.x), `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = ">=4.2, <5")]
pub struct VersionRequirement(VersionReq);

/// What is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no requirement such as \">=4.2, <5\", \"4.2\" or \"*\": {reason}")]
pub struct NotARequirement {
    text: String,
    reason: String,
}

impl VersionRequirement {
    /// Whether a version meets it.
    #[must_use]
    pub fn matches(&self, version: BlenderVersion) -> bool {
        let BlenderVersion { release: Release { major, minor }, patch } = version;
        self.0.matches(&semver::Version::new(major.into(), minor.into(), patch.into()))
    }
}

impl FromStr for VersionRequirement {
    type Err = NotARequirement;

    fn from_str(text: &str) -> Result<Self, NotARequirement> {
        let wrong = |reason: String| NotARequirement { text: text.to_owned(), reason };
        let mut read = VersionReq::parse(text.trim()).map_err(|error| wrong(error.to_string()))?;
        for (comparator, part) in read.comparators.iter_mut().zip(text.split(',')) {
            if !comparator.pre.is_empty() {
                return Err(wrong("Blender's releases are numbers only".to_owned()));
            }
            // A bare number means that version, where the crate takes it for "compatible with that one".
            if comparator.op == Op::Caret && !part.trim_start().starts_with('^') {
                comparator.op = Op::Exact;
            }
        }
        Ok(Self(read))
    }
}

impl TryFrom<String> for VersionRequirement {
    type Error = NotARequirement;

    fn try_from(text: String) -> Result<Self, NotARequirement> {
        text.parse()
    }
}

impl From<VersionRequirement> for String {
    fn from(requirement: VersionRequirement) -> Self {
        requirement.to_string()
    }
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, comparator) in self.0.comparators.iter().enumerate() {
            let comparator = comparator.to_string();
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{}", comparator.strip_prefix('=').unwrap_or(&comparator))?;
        }
        if self.0.comparators.is_empty() { f.write_str("*") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_numbers() {
        for (text, shown) in [
            ("3.4.1", "3.4.1"),
            ("5.0.1 LTS", "5.0.1"),
            ("4.2.23 LTS", "4.2.23"),
            ("5.1.0 Alpha", "5.1.0"),
            ("2.79 (sub 0)", "2.79.0"),
            (" 4.10.0\n", "4.10.0"),
        ] {
            assert_eq!(text.parse::<BlenderVersion>().unwrap().to_string(), shown);
        }
        for text in ["", "5", "LTS", "5.", "5.x", "1.2.3.4", "-3.4", "99999999999.0"] {
            assert!(text.parse::<BlenderVersion>().is_err(), "{text:?}");
        }
        let mut versions = ["3.4.1", "5.0.1", "4.2.23", "4.10.0", "2.93.18"];
        versions.sort_by_key(|version| version.parse::<BlenderVersion>().unwrap());
        assert_eq!(versions, ["2.93.18", "3.4.1", "4.2.23", "4.10.0", "5.0.1"]);
    }

    #[test]
    fn a_requirement_is_met_as_a_person_means_it() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str], &[&str]); 12] = [
            ("*", &["2.79.0", "5.0.1"], &[]),
            ("5", &["5.0.0", "5.3.1"], &["4.5.9", "6.0.0"]),
            ("4.2", &["4.2.0", "4.2.23"], &["4.1.9", "4.3.0", "5.0.0"]),
            ("4.2.3", &["4.2.3"], &["4.2.2", "4.2.4"]),
            ("=4.2", &["4.2.23"], &["4.3.0"]),
            (">=4.2, <5", &["4.2.0", "4.5.1"], &["4.1.2", "5.0.0"]),
            (">=4.2,<5", &["4.2.0"], &["5.0.0"]),
            ("<=4.2", &["3.4.1", "4.2.23"], &["4.3.0"]),
            (">4.2", &["4.3.0"], &["4.2.23"]),
            ("^4.2", &["4.2.0", "4.5.0"], &["4.1.0", "5.0.0"]),
            ("~4.2", &["4.2.23"], &["4.3.0"]),
            ("4.*", &["4.0.0", "4.5.0"], &["5.0.0"]),
        ];
        for (text, met, unmet) in cases {
            let requirement: VersionRequirement = text.parse().unwrap();
            let matches = |version: &&&str| requirement.matches(version.parse().unwrap());
            assert!(met.iter().all(|version| matches(&version)), "{text}");
            assert!(!unmet.iter().any(|version| matches(&version)), "{text}");
            assert_eq!(requirement.to_string().parse(), Ok(requirement), "{text}");
        }
        for (text, shown) in [("5", "5"), ("=4.2", "4.2"), (" >=4.2,<5", ">=4.2, <5"), ("*", "*"), ("4.*", "4.*")] {
            assert_eq!(text.parse::<VersionRequirement>().unwrap().to_string(), shown);
        }
        for text in ["", "new", "4.2 LTS", "4.2-beta", ">=", "4.2 5.0", "4.2 || 5"] {
            let said = text.parse::<VersionRequirement>().unwrap_err().to_string();
            assert!(said.contains("is no requirement such as"), "{text}: {said}");
        }
    }
}
