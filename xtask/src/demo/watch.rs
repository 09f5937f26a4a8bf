//! A client that waits for its job as the tutorial's would, and shows how it goes.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::bail;

use super::progress::Progress;
use crate::farm::Farm;
use crate::http::Client;
use crate::interrupt;

/// The time from one look at the job to the next.
const POLL: Duration = Duration::from_millis(500);

/// Returns when the job is completed; a job that fails is an error.
pub(super) fn until_done(client: &Client, path: &str, farm: &mut Farm) -> anyhow::Result<()> {
    let mut line = Line::new();
    loop {
        farm.check()?;
        let answer = client.get(path)?;
        let progress = Progress::read(&client.get_json(path)?);
        line.show(&progress);
        match answer.status {
            202 => interrupt::pause(POLL)?,
            200 if answer.body == "Job completed" => return Ok(()),
            status => bail!("GET {path} answers {status}: {}", answer.body.trim()),
        }
    }
}

/// The progress line: rewritten in place on a terminal; elsewhere one line for each change.
struct Line {
    place: Place,
}

/// What the standard output is, and what is on it already.
enum Place {
    /// A terminal, with a line of so many columns.
    Terminal { columns_used: usize },
    /// A file or a pipe, and what its last line told.
    File { last: Option<Progress> },
}

impl Line {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { place: if terminal { Place::Terminal { columns_used: 0 } } else { Place::File { last: None } } }
    }

    fn show(&mut self, progress: &Progress) {
        match &mut self.place {
            Place::Terminal { columns_used } => {
                let text = progress.line();
                print!("\r{text:<columns_used$}");
                // Nothing depends on it that the line is seen at once.
                let _ = std::io::stdout().flush();
                *columns_used = text.chars().count();
            }
            Place::File { last } => {
                if !last.as_ref().is_some_and(|last| last.is_the_same_step(progress)) {
                    println!("{}", progress.line());
                    *last = Some(progress.clone());
                }
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Place::Terminal { columns_used: 1.. } = self.place {
            println!();
        }
    }
}
