//! `haywain-agent doctor`: looks at all that an agent needs, tries what can be tried, and says what to do about what is wrong. It
//! changes nothing, and works beside a running agent as without one.

mod blenders;
mod folder;
mod line;
mod words;

use std::fmt;
use std::path::Path;

use tokio_util::task::TaskTracker;

use self::folder::Workplace;
use crate::config::Settings;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Good,
    /// The agent works with it, and somebody should know of it.
    Doubtful,
    /// The agent does not work with it.
    Bad,
}

/// What was found out of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Of what.
    pub subject: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    fn good(subject: &'static str, seen: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Good, seen: seen.into(), advice: None }
    }

    fn doubtful(subject: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Doubtful, seen: seen.into(), advice: Some(advice.into()) }
    }

    fn bad(subject: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Bad, seen: seen.into(), advice: Some(advice.into()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Doubtful => "note",
            Verdict::Bad => "FAILED",
        };
        write!(f, "{mark:<8}{:<14}{}", self.subject, self.seen)?;
        if let Some(advice) = &self.advice {
            write!(f, "\n{:<22}-> {advice}", "")?;
        }
        Ok(())
    }
}

/// Looks at everything, and tells each finding as it comes. Whether nothing is bad.
pub async fn examine(settings: &Settings, data_dir: &Path, mut tell: impl FnMut(&Finding)) -> bool {
    let mut is_well = true;
    let mut tell = |findings: Vec<Finding>| {
        for finding in findings {
            is_well &= finding.verdict != Verdict::Bad;
            tell(&finding);
        }
    };
    tell(folder::running(data_dir));
    let (workplace, findings) = Workplace::beside(data_dir);
    tell(findings);
    tell(line::check(settings, data_dir).await);
    if let Some(workplace) = workplace {
        let tasks = TaskTracker::new();
        blenders::check(settings, workplace.path(), &tasks, &mut tell).await;
        tasks.close();
        tasks.wait().await;
    }
    is_well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_how_it_is_and_what_to_do() {
        assert_eq!(Finding::good("clock", "right").to_string(), "ok      clock         right");
        let bad = Finding::bad("disk", "full", "free some space").to_string();
        assert_eq!(bad, "FAILED  disk          full\n                      -> free some space");
    }
}
