//! Colour, on terminals alone, for the one thing that is looked for in a list: where things stand.

use haywain_shared::job::{AgentState, JobState};

/// Whether there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// There is.
    Colour,
    /// There is none.
    Plain,
}

impl Style {
    /// A job's state in a word.
    #[must_use]
    pub fn job(self, state: JobState) -> String {
        let (word, code) = match state {
            JobState::Pending => ("pending", ""),
            JobState::Running => ("running", "36"),
            JobState::Paused => ("paused", "33"),
            JobState::Completed => ("completed", "32"),
            JobState::Failed => ("failed", "31"),
            JobState::Cancelled => ("cancelled", "2"),
        };
        self.coloured(word, code)
    }

    /// An agent's state in a word.
    #[must_use]
    pub fn agent(self, state: AgentState) -> String {
        let (word, code) = match state {
            AgentState::Online => ("online", "32"),
            AgentState::Draining => ("draining", "33"),
            AgentState::SetAside => ("set aside", "31"),
            AgentState::Offline => ("offline", "2"),
        };
        self.coloured(word, code)
    }

    /// A heading.
    #[must_use]
    pub fn heading(self, text: &str) -> String {
        self.coloured(text, "1")
    }

    fn coloured(self, text: &str, code: &str) -> String {
        match self {
            Self::Colour if !code.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Colour | Self::Plain => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_leaves_no_trace() {
        assert_eq!(Style::Plain.job(JobState::Failed), "failed");
        assert_eq!(Style::Colour.job(JobState::Failed), "\u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(Style::Colour.job(JobState::Pending), "pending");
    }
}
