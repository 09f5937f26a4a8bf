//! What the operating system says of processes.

use std::path::Path;
use std::process::Command;

/// Whether a process lives. A zombie that nobody has reaped yet has ended, too.
pub(crate) fn is_running(process: u64) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

/// Sends a signal by its name.
pub(crate) fn signal(process: u64, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

/// The processes that live and work in a folder, or below it.
pub(crate) fn processes_in(folder: &Path) -> Vec<u64> {
    let works_there = |process: &u64| {
        std::fs::read_link(Path::new("/proc").join(process.to_string()).join("cwd"))
            .is_ok_and(|place| place.starts_with(folder))
    };
    processes().filter(works_there).collect()
}

/// The children of a process, also those that have ended and that it has not reaped.
pub(crate) fn children_of(process: u64) -> Vec<u64> {
    let is_child = |child: &u64| {
        let stat = std::fs::read_to_string(Path::new("/proc").join(child.to_string()).join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        parent == Some(process)
    };
    processes().filter(is_child).collect()
}

fn processes() -> impl Iterator<Item = u64> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
}
