//! Sizes as people write them in settings.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes as people write it: `500MB`, `20GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size {
    /// The bytes.
    pub bytes: u64,
}

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no size: a whole number and MB, GB, TB, MiB, GiB or TiB, such as 20GiB, is");
        let (number, unit_bytes) =
            UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes))).ok_or_else(wrong)?;
        let number: u64 = number.trim_end().parse().map_err(|_| wrong())?;
        number.checked_mul(unit_bytes).map(|bytes| Self { bytes }).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        // Every size was read from a whole number of one of the units, and KiB and MB have no common smaller one.
        let unit = UNITS.iter().rev().find(|(_, bytes)| size.bytes.is_multiple_of(*bytes));
        unit.map_or_else(|| "0MB".to_owned(), |(unit, bytes)| format!("{}{unit}", size.bytes / bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        for (text, bytes) in [
            ("500MB", 500_000_000),
            ("20GiB", 20 << 30),
            ("20 GiB", 20 << 30),
            ("1TB", 1_000_000_000_000),
            ("64KiB", 64 << 10),
            ("0MB", 0),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.bytes, bytes, "{text}");
            assert_eq!(String::from(size).parse(), Ok(size), "{text}");
        }
        for text in ["", "GB", "20", "-1GB", "1.5GB", "20gb", "99999999TB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
