//! Processes that an earlier life of the agent has left, where nobody was there any more to end them: found by a mark in their
//! environment, which every child inherits, and never by a name or a number, which could be somebody else's by now. The mark is drawn
//! for a data folder and kept there: another agent's is another one, whatever path its folder has.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use uuid::Uuid;

/// The variable that says whose a process is.
pub const MARK: &str = "HAYWAIN_AGENT_MARK";
/// Where the mark is kept, in the data folder.
const FILE: &str = "mark";

/// The mark of a data folder: drawn when it is first wanted.
pub(crate) fn mark_of(folder: &Path) -> io::Result<String> {
    if let Some(mark) = kept(folder)? {
        return Ok(mark);
    }
    let mark = Uuid::now_v7().to_string();
    std::fs::write(folder.join(FILE), &mark)?;
    Ok(mark)
}

/// The mark that has been drawn. One that was not written to its end marks nobody.
fn kept(folder: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(folder.join(FILE)) {
        Ok(mark) => Ok(mark.parse::<Uuid>().ok().map(|mark| mark.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends every process that carries the mark of this folder; how many there were. Only while no session lives.
pub fn end_all_of(folder: &Path) -> io::Result<usize> {
    let Some(mark) = kept(folder)? else { return Ok(0) };
    let mut system = System::new().map_err(io::Error::other)?;
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let mark = OsString::from(format!("{MARK}={mark}"));
    let left = system.processes().values().filter(|process| process.environ().contains(&mark));
    Ok(left.filter(|process| process.kill()).count())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_has_the_folder_s_mark_is_ended_and_nothing_else() {
        let marked = |mark: &str| Command::new("sleep").arg("60").env(MARK, mark).spawn().unwrap();
        let [own, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        assert_eq!(end_all_of(own.path()).unwrap(), 0, "nobody has been marked yet");
        let mark = mark_of(own.path()).unwrap();
        assert_eq!(mark_of(own.path()).unwrap(), mark);
        let mut left = marked(&mark);
        let mut others = [marked(&mark_of(other.path()).unwrap()), marked(own.path().to_str().unwrap())];
        assert_eq!(end_all_of(own.path()).unwrap(), 1);
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        for child in &mut others {
            assert_eq!(child.try_wait().unwrap(), None);
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn half_a_mark_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "").unwrap();
        assert_eq!(end_all_of(folder.path()).unwrap(), 0);
        assert_eq!(mark_of(folder.path()).unwrap(), mark_of(folder.path()).unwrap());
    }
}
