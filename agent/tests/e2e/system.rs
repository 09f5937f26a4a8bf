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

/// The processes that live and have `NAME=value` in their environment.
pub(crate) fn processes_with(variable: &str) -> Vec<u64> {
    let numbers =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let has = |process: &u64| {
        let environment =
            std::fs::read(Path::new("/proc").join(process.to_string()).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    numbers.filter(has).collect()
}
