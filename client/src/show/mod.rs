//! What people and programs get to see: results on standard output, progress and words on standard error. With `--json`
//! standard output has JSON and nothing else.

mod inspection;
mod progress;
mod style;
mod table;
mod terminal;
mod words;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

pub use inspection::{Objection, inspected, objections};
pub use progress::{Bytes, FramesBar, Spinner};
pub use style::Style;
pub use table::{Align, Table};
pub use words::{ago, bytes, duration, short, speed};

use crate::exit::Failure;

/// In which form results are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The way out.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// In which form results are given.
    pub form: Form,
    /// How standard output may be coloured.
    pub style: Style,
    /// Whether somebody looks at standard error.
    pub live: bool,
    /// How wide standard output is, where that is a terminal.
    pub columns: Option<usize>,
}

impl Show {
    /// By what standard output and standard error are.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = if io::stdout().is_terminal() && !plain { Style::Colour } else { Style::Plain };
        // Progress is for somebody who looks on; who reads either of both into a file does not.
        let live = io::stderr().is_terminal() && io::stdout().is_terminal();
        let columns = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Self { form, style, live, columns }
    }

    /// A result.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.form {
            Form::Text => say(&text()),
            Form::Json => json(value),
        }
    }

    /// A word about how things go, on standard error.
    pub fn note(&self, text: &str) {
        // Where nobody can be told, there is nothing to be done about it either.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn json(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::error(format!("writing JSON: {error}")))?;
    say(&line)
}

/// A line, or several, on standard output. Whoever reads it may have heard enough: `haywain jobs | head`.
pub fn say(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::error(format!("writing to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
