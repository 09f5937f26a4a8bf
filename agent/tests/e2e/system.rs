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
