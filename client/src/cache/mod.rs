//! What the client remembers between calls, in the user's cache folder. Whatever is wrong with it costs time and nothing
//! else: what can't be read is taken for empty, what can't be written is left.

mod hashes;
mod links;
mod stamp;

use std::path::PathBuf;

use directories::ProjectDirs;

pub use hashes::Hashes;
pub use links::{Remembered, recall, remember};
pub use stamp::{Stamp, now_ns};

/// The folder; `None` where the platform names none.
fn folder() -> Option<PathBuf> {
    ProjectDirs::from("", "", "haywain").map(|dirs| dirs.cache_dir().to_owned())
}

/// Writes a file whole or not at all.
fn write(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, content)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
