//! Small disks that can be filled: each a file system in memory, mounted for the run and for it alone.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{io, thread};

use anyhow::Context as _;

/// How often it is tried to unmount a disk that is still in use.
const TRIES: u32 = 20;
/// The time between two tries.
const GLANCE: Duration = Duration::from_millis(100);
/// The sizes in which a disk is filled: to the last block.
const PIECES: [usize; 2] = [1 << 20, 1 << 12];

/// A mounted disk; unmounted when it is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk of `megabytes` on `folder`, which is made. The inner error says why that may not be done here.
    pub(super) fn mount(folder: &Path, megabytes: u32) -> anyhow::Result<Result<Self, String>> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        if !cfg!(target_os = "linux") {
            return Ok(Err("this system has no tmpfs".to_owned()));
        }
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "haywain-chaos"])
            .arg(folder)
            .stdin(Stdio::null())
            .output();
        Ok(match mounted {
            Ok(output) if output.status.success() => Ok(Self { folder: folder.to_owned() }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("there is no program `mount` ({error})")),
        })
    }

    /// Fills it to the last block. Called again, it fills what has become free meanwhile.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        for size in PIECES {
            let piece = vec![0; size];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Takes away what fills it.
    pub(super) fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmount = |flags: &[&str]| {
            let mut command = Command::new("umount");
            command.args(flags).arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        for _ in 0..TRIES {
            if unmount(&[]) {
                return;
            }
            thread::sleep(GLANCE);
        }
        // Out of sight at once, and gone with its last user.
        if !unmount(&["--lazy"]) {
            eprintln!("{} could not be unmounted: do it by `umount {0}`", self.folder.display());
        }
    }
}
