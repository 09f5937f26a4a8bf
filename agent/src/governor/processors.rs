//! Processors as people write them in settings: so many, or a share of those that the machine has.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// So many processors: `6`, or `75%` of the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum Processors {
    /// A number of them; at least one.
    Count(u32),
    /// A share of all, 1 to 100.
    Percent(u32),
}

/// A file of settings has numbers, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl Processors {
    /// How many that are on a machine with `all`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "processors are few")]
    pub fn of(self, all: u32) -> f32 {
        match self {
            Self::Count(count) => count.min(all) as f32,
            Self::Percent(percent) => all as f32 * percent as f32 / 100.0,
        }
    }

    /// How many whole ones that are: at least one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "processors are few, and not negative")]
    pub fn whole_of(self, all: u32) -> u32 {
        (self.of(all) as u32).max(1)
    }
}

impl FromStr for Processors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
        let read = match text.strip_suffix('%') {
            Some(percent) => number(percent).filter(|percent| *percent <= 100).map(Self::Percent),
            None => number(text).map(Self::Count),
        };
        read.ok_or_else(|| {
            format!(
                "{text:?} is no number of processors: a whole number, such as 6, is, or a share of all, such as 75%"
            )
        })
    }
}

impl TryFrom<Written> for Processors {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Processors> for String {
    fn from(processors: Processors) -> Self {
        match processors {
            Processors::Count(count) => count.to_string(),
            Processors::Percent(percent) => format!("{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_a_number_or_a_share() {
        let cases = [("6", 6.0, 6), ("1", 1.0, 1), ("64", 8.0, 8), ("75%", 6.0, 6), ("99%", 7.92, 7), ("1%", 0.08, 1)];
        for (text, of_eight, whole) in cases {
            let processors: Processors = text.parse().unwrap();
            assert!((processors.of(8) - of_eight).abs() < 1e-6, "{text}");
            assert_eq!(processors.whole_of(8), whole, "{text}");
            assert_eq!(String::from(processors), text);
        }
        for text in ["", "0", "0%", "101%", "-1", "1.5", "%", "six"] {
            assert!(text.parse::<Processors>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_has_them_as_numbers_or_as_text() {
        for (json, expected) in
            [("6", Processors::Count(6)), ("\"6\"", Processors::Count(6)), ("\"75%\"", Processors::Percent(75))]
        {
            assert_eq!(serde_json::from_str::<Processors>(json).unwrap(), expected, "{json}");
        }
        assert!(serde_json::from_str::<Processors>("0").is_err());
    }
}
