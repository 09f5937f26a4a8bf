//! What happens in a run, line by line with the virtual time: two runs of a seed give the same lines. Ids are random and
//! differ, and so they are numbered in the order in which they appear.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::{Arc, Mutex};

use crate::time::Calendar;

/// The log of a run.
pub(crate) struct Log {
    calendar: Arc<Calendar>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
    numbers: HashMap<(char, String), usize>,
    drawn: HashMap<char, usize>,
}

impl Log {
    pub(crate) fn new(calendar: Arc<Calendar>) -> Self {
        Self { calendar, kept: Mutex::default() }
    }

    /// Something happened.
    pub(crate) fn note(&self, line: impl Display) {
        let ms = self.calendar.now_ms();
        let line = format!("{:>4}.{:03} {line}", ms / 1000, ms % 1000);
        self.kept.lock().unwrap().lines.push(line);
    }

    /// One more of something that is counted.
    pub(crate) fn count(&self, what: &'static str) {
        *self.kept.lock().unwrap().counts.entry(what).or_default() += 1;
    }

    /// Something happened that must not.
    pub(crate) fn broken(&self, what: impl Display) {
        self.note(format_args!("BROKEN: {what}"));
        self.kept.lock().unwrap().broken.push(what.to_string());
    }

    /// The name of an id here: a letter for its kind, and its number.
    pub(crate) fn name(&self, kind: char, id: impl Display) -> String {
        let mut kept = self.kept.lock().unwrap();
        let Kept { numbers, drawn, .. } = &mut *kept;
        let number = numbers.entry((kind, id.to_string())).or_insert_with(|| {
            let drawn = drawn.entry(kind).or_default();
            *drawn += 1;
            *drawn
        });
        format!("{kind}{number}")
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap().lines.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.kept.lock().unwrap().counts.clone()
    }

    pub(crate) fn all_broken(&self) -> Vec<String> {
        self.kept.lock().unwrap().broken.clone()
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.kept.lock().unwrap().broken.is_empty()
    }
}
