//! What a Blender has died of, by how it ended and what it said last.

use std::process::ExitStatus;

use haywain_shared::cause::Cause;

/// SIGKILL: on Linux the kernel's way when memory runs out, and nobody's else who would not say so.
const KILLED: i32 = 9;
/// What Blender and its libraries print when they get no memory, and die of it in some other way.
const NO_MEMORY: [&str; 4] = ["alloc returns null", "bad_alloc", "out of memory", "memoryerror"];
/// Lines that count as its last words.
const LAST_LINES: usize = 20;

/// Whether the kernel has killed for want of memory lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelHas {
    Killed,
    KilledNobody,
}

/// How a process ended, if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// Whether it ended well, by its own word.
    pub(super) is_success: bool,
}

impl End {
    #[cfg(unix)]
    pub(super) fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self { signal: status.signal(), is_success: status.success() }
    }

    #[cfg(not(unix))]
    pub(super) fn of(status: ExitStatus) -> Self {
        Self { signal: None, is_success: status.success() }
    }
}

/// The cause of a death that nobody here has wanted.
pub(super) fn cause_of_death(end: Option<End>, kernel: KernelHas, log_tail: &str) -> Cause {
    let was_killed = end.is_some_and(|end| end.signal == Some(KILLED));
    let starved = || {
        let last = log_tail.lines().rev().take(LAST_LINES).map(str::to_ascii_lowercase);
        last.into_iter().any(|line| NO_MEMORY.iter().any(|words| line.contains(words)))
    };
    if (was_killed && kernel == KernelHas::Killed) || (!end.is_some_and(|end| end.is_success) && starved()) {
        Cause::OutOfMemory
    } else {
        Cause::Crashed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_shows_in_several_ways() {
        use Cause::*;
        use KernelHas::*;
        let by = |signal| Some(End { signal: Some(signal), is_success: false });
        let exit = |is_success| Some(End { signal: None, is_success });
        let cases = [
            // how it ended, the kernel, what it printed -> the cause
            (by(9), Killed, "", OutOfMemory),
            // Somebody else has killed it.
            (by(9), KilledNobody, "", Crashed),
            // Somebody else was killed.
            (by(11), Killed, "", Crashed),
            (exit(false), KilledNobody, "Error: Malloc returns null: len=9 in Mesh, total 9\n", OutOfMemory),
            (by(6), KilledNobody, "terminate called after throwing an instance of 'std::bad_alloc'\nwhat", OutOfMemory),
            (by(11), KilledNobody, "Fra:1 Mem:9M\nSystem is out of memory\n", OutOfMemory),
            (exit(true), KilledNobody, "out of memory", Crashed),
            (by(11), KilledNobody, "Fra:1 Mem:9M (Peak 9M)\n", Crashed),
            (None, KilledNobody, "", Crashed),
        ];
        for (end, kernel, printed, cause) in cases {
            assert_eq!(cause_of_death(end, kernel, printed), cause, "{end:?}, {kernel:?}, {printed:?}");
        }
        let long_ago = format!("out of memory{}", "\nanother line".repeat(LAST_LINES));
        assert_eq!(cause_of_death(by(11), KilledNobody, &long_ago), Crashed);
    }
}
