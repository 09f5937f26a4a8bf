//! Digests of a scene's files: remembered where a file has not changed, read in parallel where it has, with one buffer for
//! each reader however large the files are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::scene::BlobRef;
use tokio_util::sync::CancellationToken;

use crate::cache::{Hashes, Stamp, now_ns};

/// The most files that are read at once.
const MOST_READERS: usize = 4;
/// What is read of a file at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Why a file has no digest.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It can't be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was written to while it was read.
    #[error("{} changed while it was read: submit again when nothing writes to it any more", .0.display())]
    Changed(PathBuf),
    /// The user does not want to wait.
    #[error("stopped")]
    Stopped,
}

/// The blobs that these files are, by path. `progress` is told the bytes as they are read; what is remembered counts at once.
pub fn blobs_of(
    files: &[PathBuf],
    hashes: &mut Hashes,
    progress: &(dyn Fn(u64) + Sync),
    stop: &CancellationToken,
) -> Result<BTreeMap<PathBuf, BlobRef>, HashError> {
    let mut blobs = BTreeMap::new();
    let mut unknown = Vec::new();
    for path in files {
        let stamp = stamp_of(path)?;
        if let Some(sha256) = hashes.get(path, &stamp) {
            progress(stamp.size_bytes);
            blobs.insert(path.clone(), BlobRef { sha256, size_bytes: stamp.size_bytes });
        } else {
            unknown.push(path);
        }
    }
    let next = AtomicUsize::new(0);
    let read = Mutex::new((Vec::new(), None));
    let readers = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, MOST_READERS).min(unknown.len());
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                let mut buffer = vec![0; PIECE_BYTES];
                while let Some(path) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let digest = digest_of(path, &mut buffer, progress, stop);
                    let Ok(mut read) = read.lock() else { return };
                    match digest {
                        Ok(digest) => read.0.push(((*path).clone(), digest)),
                        Err(error) => {
                            read.1.get_or_insert(error);
                            // Nobody begins another one.
                            next.store(unknown.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (read, error) = read.into_inner().unwrap_or_default();
    for (path, (stamp, sha256, at_ns)) in read {
        hashes.learn(&path, stamp, sha256, at_ns);
        blobs.insert(path, BlobRef { sha256, size_bytes: stamp.size_bytes });
    }
    // Also when one of them failed: the others need not be read again.
    hashes.save();
    match error {
        Some(error) => Err(error),
        None => Ok(blobs),
    }
}

fn stamp_of(path: &Path) -> Result<Stamp, HashError> {
    let metadata = std::fs::metadata(path).map_err(|source| HashError::Unreadable { path: path.to_owned(), source })?;
    Ok(Stamp::from_metadata(&metadata))
}

/// The digest of a file, its stamp while it was read, and when that began.
fn digest_of(
    path: &Path,
    buffer: &mut [u8],
    progress: &(dyn Fn(u64) + Sync),
    stop: &CancellationToken,
) -> Result<(Stamp, Sha256Digest, u64), HashError> {
    let unreadable = |source| HashError::Unreadable { path: path.to_owned(), source };
    let at_ns = now_ns();
    let mut file = File::open(path).map_err(unreadable)?;
    let before = Stamp::from_metadata(&file.metadata().map_err(unreadable)?);
    let mut hasher = Hasher::default();
    let mut size_bytes = 0;
    loop {
        if stop.is_cancelled() {
            return Err(HashError::Stopped);
        }
        let length = file.read(buffer).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        size_bytes += length as u64;
        progress(length as u64);
    }
    if stamp_of(path)? != before || before.size_bytes != size_bytes {
        return Err(HashError::Changed(path.to_owned()));
    }
    Ok((before, hasher.finish(), at_ns))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn all_files_get_their_digests_and_one_fault_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..9).map(|number| folder.path().join(number.to_string())).collect();
        for file in &files {
            std::fs::write(file, file.display().to_string()).unwrap();
        }
        let told = AtomicU64::new(0);
        let progress = |bytes: u64| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        let stop = CancellationToken::new();
        let blobs = blobs_of(&files, &mut Hashes::default(), &progress, &stop).unwrap();
        for file in &files {
            assert_eq!(blobs[file].sha256, Sha256Digest::of(file.display().to_string().as_bytes()));
        }
        assert_eq!(told.into_inner(), blobs.values().map(|blob| blob.size_bytes).sum::<u64>());

        let missing = [files[0].clone(), folder.path().join("none")];
        let error = blobs_of(&missing, &mut Hashes::default(), &|_| {}, &stop).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        stop.cancel();
        let stopped = blobs_of(&files, &mut Hashes::default(), &|_| {}, &stop);
        assert!(matches!(stopped, Err(HashError::Stopped)), "{stopped:?}");
    }
}
