//! By what a file is recognised without being read: its size, when it was changed, and its inode. A file that was changed
//! so lately that a further change could carry the same time is not to be recognised by it.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How old a change must be to be told from the next one: file systems with coarse clocks count in steps of two seconds.
const SETTLED_NS: u64 = 2_000_000_000;

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was changed, in nanoseconds since 1970.
    mtime_ns: u64,
    /// Its number in its file system, where there is one.
    inode: u64,
}

impl Stamp {
    /// The file's stamp now; `None` when there is no such file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::from_metadata(&metadata))
    }

    /// The stamp that these say.
    #[must_use]
    pub fn from_metadata(metadata: &Metadata) -> Self {
        let mtime = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { size_bytes: metadata.len(), mtime_ns: nanoseconds(mtime.unwrap_or_default()), inode: inode(metadata) }
    }

    /// Whether the last change lies so far back that the next one would show.
    #[must_use]
    pub const fn is_settled(&self, now_ns: u64) -> bool {
        self.mtime_ns.saturating_add(SETTLED_NS) <= now_ns
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
const fn inode(_: &Metadata) -> u64 {
    0
}

/// The time, in nanoseconds since 1970: to be compared with the times of files, which are the system's too.
#[must_use]
pub fn now_ns() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the only place; what decides by it takes it as a value")]
    let now = std::time::SystemTime::now();
    nanoseconds(now.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Enough for the next five centuries.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
