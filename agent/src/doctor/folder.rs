//! The agent's data folder, the disk that it is on, and a place in it to try things at.

use std::path::{Path, PathBuf};

use super::{Finding, words};
use crate::clock;
use crate::machine;
use crate::status::tell;

const SUBJECT: &str = "data folder";

/// Whether an agent runs with the folder.
pub(super) fn running(data_dir: &Path) -> Vec<Finding> {
    let found = tell::of(data_dir, clock::wall());
    let seen = match &found {
        Ok(found) if found.running => "an agent runs here: `haywain-agent status` says what it is at",
        Ok(_) => "no agent runs here",
        Err(_) => "whether an agent runs here cannot be read",
    };
    vec![Finding::good("agent", seen)]
}

/// A folder of the doctor's own. It goes with this value.
pub(super) struct Workplace(PathBuf);

impl Workplace {
    /// In the data folder, where the agent works; in the system's folder for such things if that is not to be had.
    pub(super) fn beside(data_dir: &Path) -> (Option<Self>, Vec<Finding>) {
        let mut findings = Vec::new();
        let own = format!("doctor-{}", std::process::id());
        let in_data_dir = if data_dir.exists() {
            let made = std::fs::create_dir(data_dir.join(&own));
            findings.push(match &made {
                Ok(()) => of_whom(data_dir),
                Err(error) => words::unwritable(data_dir, error),
            });
            made.is_ok().then(|| data_dir.join(&own))
        } else {
            let seen = format!("{} is not there yet: the agent makes it at its first start", data_dir.display());
            findings.push(Finding::good(SUBJECT, seen));
            None
        };
        let there = data_dir.ancestors().find(|folder| folder.exists()).unwrap_or(data_dir);
        findings.extend(machine::free_bytes(there).map(words::disk));
        let elsewhere = || {
            let folder = std::env::temp_dir().join(format!("haywain-{own}"));
            std::fs::create_dir(&folder).map(|()| folder)
        };
        match in_data_dir.map_or_else(elsewhere, Ok) {
            Ok(folder) => (Some(Self(folder)), findings),
            Err(error) => {
                findings.push(words::unwritable(&std::env::temp_dir(), &error));
                (None, findings)
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What one user can do says little of another.
fn of_whom(data_dir: &Path) -> Finding {
    #[cfg(target_os = "linux")]
    if let Ok(found) = data_dir.metadata() {
        let owner = std::os::unix::fs::MetadataExt::uid(&found);
        let own = rustix::process::geteuid().as_raw();
        if owner != own {
            return words::another_user(data_dir, owner, own);
        }
    }
    Finding::good(SUBJECT, format!("{} can be written", data_dir.display()))
}
