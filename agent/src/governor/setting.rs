//! How many frames are rendered at once, and with how many threads each: as a setting that is in force, and as people write
//! one that they want kept.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most slots that anybody may ask for.
const MOST_SLOTS: u32 = 1024;

/// How an agent uses its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting {
    /// Frames rendered at once.
    pub slots: u32,
    /// Threads of each.
    pub threads: u32,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.slots, self.threads)
    }
}

/// What the owner wants of it: `4` slots, or `4x2` for two threads each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct WantedSlots {
    /// Frames rendered at once.
    pub slots: u32,
    /// Threads of each, if they are not the governor's to choose.
    pub threads: Option<u32>,
}

impl WantedSlots {
    /// The threads that it takes at least.
    pub(super) const fn least_threads(self) -> u32 {
        let threads = match self.threads {
            Some(threads) => threads,
            None => 1,
        };
        self.slots.saturating_mul(threads)
    }
}

/// A file of settings has numbers, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl FromStr for WantedSlots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|number| (1..=MOST_SLOTS).contains(number));
        let (slots, threads) = match text.split_once('x') {
            None => (number(text), Some(None)),
            Some((slots, threads)) => (number(slots), number(threads).map(Some)),
        };
        match (slots, threads) {
            (Some(slots), Some(threads)) => Ok(Self { slots, threads }),
            _ => Err(format!(
                "{text:?} is no number of slots: 1 to {MOST_SLOTS} is, such as 4, or 4x2 for two threads each"
            )),
        }
    }
}

impl TryFrom<Written> for WantedSlots {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<WantedSlots> for String {
    fn from(wanted: WantedSlots) -> Self {
        match wanted {
            WantedSlots { slots, threads: None } => slots.to_string(),
            WantedSlots { slots, threads: Some(threads) } => Setting { slots, threads }.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_a_number_perhaps_with_one_of_threads() {
        for (text, slots, threads) in [("1", 1, None), ("1024", 1024, None), ("4x2", 4, Some(2))] {
            let wanted: WantedSlots = text.parse().unwrap();
            assert_eq!(wanted, WantedSlots { slots, threads });
            assert_eq!(String::from(wanted), text);
        }
        for text in ["", "0", "1025", "x2", "4x", "4x0", "4x2x1", "-1", "four"] {
            assert!(text.parse::<WantedSlots>().is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<WantedSlots>("3").unwrap(), WantedSlots { slots: 3, threads: None });
    }
}
