//! The end of a process that this one has started: it is asked first, and killed when it takes too long.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How often a process is looked at that is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The process alone: it looks after those that it has started.
    Process,
    /// All of the process group that [`set_apart`] made.
    Group,
}

/// Gives the process that `command` will start a group of its own. Ctrl-C on the terminal then reaches this program only,
/// which can end its children in the right order.
pub(crate) fn set_apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Asks a process to end: SIGTERM where there is such a thing.
pub(crate) fn ask_to_stop(child: &mut Child, reach: Reach) {
    if cfg!(unix) {
        signal("TERM", child, reach);
    } else {
        // An error says that it has ended already.
        let _ = child.kill();
    }
}

/// Ends a process that has been asked to: waits for it, and kills it at the end of `grace`.
pub(crate) fn make_sure(child: &mut Child, reach: Reach, grace: Duration) -> io::Result<ExitStatus> {
    if let Some(status) = wait(child, grace)? {
        return Ok(status);
    }
    if cfg!(unix) && reach == Reach::Group {
        signal("KILL", child, reach);
    }
    child.kill()?;
    child.wait()
}

/// Waits for the end of a process, but not for longer than `limit`.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}

/// Sends a signal by the shell's own `kill`: bare machines have no program of that name, and calling the system would take
/// unsafe code.
pub(crate) fn signal(name: &str, child: &mut Child, reach: Reach) {
    // Once it has been waited for, its number may be another's.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let target = match reach {
        Reach::Process => child.id().to_string(),
        Reach::Group => format!("-{}", child.id()),
    };
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", name, &target]).stdin(Stdio::null()).stderr(Stdio::null());
    // An error says that nobody is left to get the signal; whether the child is gone is seen by waiting for it.
    let _ = kill.status();
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;

    /// A shell that has come as far as to say that it is ready.
    #[cfg(unix)]
    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        set_apart(&mut command);
        let mut child = command.spawn().unwrap();
        let mut said = [0; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        child
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_listens_is_only_asked() {
        let mut child = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
        ask_to_stop(&mut child, Reach::Process);
        assert_eq!(make_sure(&mut child, Reach::Process, Duration::from_secs(10)).unwrap().code(), Some(7));
    }

    #[cfg(unix)]
    #[test]
    fn one_that_does_not_is_killed_with_its_group() {
        let mut child = shell("trap '' TERM; sleep 60 & echo ready; wait");
        ask_to_stop(&mut child, Reach::Group);
        let status = make_sure(&mut child, Reach::Group, Duration::from_millis(100)).unwrap();
        assert_eq!(status.code(), None, "{status}");
    }
}
