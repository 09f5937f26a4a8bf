//! The end of a Blender's log: what it printed last, bounded, for whoever has to find out why a frame failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::signs::Heard;

/// The most lines that are kept.
const MAX_LINES: usize = 200;
/// The most bytes of one line that are kept.
const MAX_LINE_BYTES: usize = 1000;

/// The last lines of a log.
#[derive(Debug, Default)]
pub struct LogTail(VecDeque<String>);

impl LogTail {
    /// Adds a line and lets the oldest go when there are too many.
    pub fn push(&mut self, line: &str) {
        if self.0.len() == MAX_LINES {
            self.0.pop_front();
        }
        let mut end = line.len().min(MAX_LINE_BYTES);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_back(line[..end].to_owned());
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// The most bytes of a log that a heartbeat carries.
const END_BYTES: usize = 2000;

/// A log that is still being written, as others may read it.
#[derive(Clone)]
pub struct LogView(pub(super) Arc<Mutex<Heard>>);

impl LogView {
    /// What was printed last: short enough to be told with every heartbeat.
    #[must_use]
    pub fn end(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).tail.text();
        let mut start = text.len().saturating_sub(END_BYTES);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = LogTail::default();
        for number in 0..1000 {
            tail.push(&format!("line {number}"));
        }
        tail.push(&"ä".repeat(1000));
        let text = tail.text();
        assert_eq!(text.lines().count(), MAX_LINES);
        assert!(text.starts_with("line 801\n"), "{text}");
        assert_eq!(text.lines().last().unwrap().len(), MAX_LINE_BYTES);
    }
}
