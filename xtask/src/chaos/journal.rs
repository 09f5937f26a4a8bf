//! What the processes wrote, as JSON, one object a line.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::moment::Moment;

/// A line of a log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// When it was written.
    pub(super) at: Moment,
    /// What it says.
    message: String,
    fields: Value,
}

impl Entry {
    /// Takes a line apart, if it is one of the program's.
    pub(super) fn read(line: &str) -> Option<Self> {
        let fields: Value = serde_json::from_str(line).ok()?;
        let at = Moment::parse(fields["timestamp"].as_str()?)?;
        Some(Self { at, message: fields["message"].as_str()?.to_owned(), fields })
    }

    /// Whether it says this.
    pub(super) fn says(&self, message: &str) -> bool {
        self.message == message
    }

    /// A field as text, whatever it is; empty if it is not there.
    pub(super) fn text(&self, field: &str) -> String {
        match &self.fields[field] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// A field that is a number.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        let value = &self.fields[field];
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// All lines of a log, in order. What is no such line is not one of the program's (or was cut off by its end).
pub(super) fn read(log: &Path) -> anyhow::Result<Vec<Entry>> {
    let bytes = std::fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(Entry::read).collect())
}

/// What is no range has none.
#[expect(clippy::reversed_empty_ranges, reason = "that is how an empty one is written")]
const NO_FRAMES: RangeInclusive<u64> = 1..=0;

/// The frames of a range as people read it: `7`, or `3-7`.
pub(super) fn frames(text: &str) -> RangeInclusive<u64> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => first..=last,
        _ => NO_FRAMES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = r#"{"timestamp":"2026-11-24T05:44:31.5Z","level":"INFO","message":"batch leased","frames":"3-7","epoch":9}"#;
        let entry = Entry::read(line).unwrap();
        assert!(entry.says("batch leased"));
        assert_eq!(
            (frames(&entry.text("frames")), entry.number("epoch"), entry.text("x")),
            (3..=7, Some(9), String::new())
        );
        assert!(Entry::read("Error: listening on").is_none());
        assert_eq!(frames("7"), 7..=7);
        assert!(frames("?").is_empty());
    }
}
