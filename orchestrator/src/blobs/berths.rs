//! Which files on their way in there are, and which of them have a writer: at most one each. Of those of a blob that were cut
//! off, only the longest is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::RequestId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// An upload that nothing has come of for this long is given up when somebody asks to go on with it: its line may have
/// broken without a word.
const STALLED: Duration = Duration::from_secs(2);
/// What stands in the name of a file whose whole size, or whose digest, nobody has said.
const UNKNOWN: &str = "x";

/// The files on their way in.
#[derive(Debug, Clone, Default)]
pub(super) struct Berths(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<Vec<Known>>,
    /// Told each time that a file has lost its writer.
    freed: Notify,
}

#[derive(Debug, Clone)]
struct Known {
    path: PathBuf,
    digest: Sha256Digest,
    total_bytes: Option<u64>,
    standing: Standing,
}

#[derive(Debug, Clone)]
enum Standing {
    Written { arrived: Arc<AtomicU64>, cut: CancellationToken },
    CutOff { size_bytes: u64 },
}

impl Known {
    /// The file that is called so, if it is one of a blob: `<digest>.<whole size>.<id>`.
    fn parse(path: PathBuf, size_bytes: u64) -> Option<Self> {
        let mut parts = path.file_name()?.to_str()?.split('.');
        let digest = parts.next()?.parse().ok()?;
        let total_bytes = parts.next()?.parse().ok();
        Some(Self { path, digest, total_bytes, standing: Standing::CutOff { size_bytes } })
    }

    /// Where its sender is to go on. Before the end, even if all is here: an empty rest could not be sent.
    fn offset(&self) -> Option<u64> {
        let Standing::CutOff { size_bytes } = self.standing else { return None };
        let last = self.total_bytes.unwrap_or(size_bytes).saturating_sub(1);
        Some(size_bytes.min(last))
    }
}

/// A file's place, for its one writer.
#[derive(Debug)]
pub(super) struct Berth {
    path: PathBuf,
    arrived: Arc<AtomicU64>,
    cut: CancellationToken,
    /// None for a file without a name: nobody could go on with it.
    berths: Option<Berths>,
    /// It is no longer there, or no longer ours.
    gone: bool,
}

impl Berth {
    fn new(path: PathBuf, berths: Option<Berths>) -> Self {
        Self { path, arrived: Arc::default(), cut: CancellationToken::new(), berths, gone: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn arrived(&self) -> &AtomicU64 {
        &self.arrived
    }

    pub(super) const fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// The file has been renamed.
    pub(super) fn published(mut self) {
        self.leave();
    }

    /// The file is to go.
    pub(super) fn discard(mut self) {
        remove(&self.path);
        self.leave();
    }

    fn leave(&mut self) {
        self.gone = true;
        if let Some(berths) = &self.berths {
            berths.files().retain(|known| known.path != self.path);
            berths.0.freed.notify_waiters();
        }
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        match &self.berths {
            Some(berths) => berths.cut_off(&self.path),
            None => remove(&self.path),
        }
    }
}

impl Berths {
    /// What lies in the folder. Files without a name are removed: nobody could go on with them.
    pub(super) fn find(folder: &Path) -> io::Result<Self> {
        let berths = Self::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match Known::parse(entry.path(), entry.metadata()?.len()) {
                Some(known) => berths.files().push(known),
                None => remove(&entry.path()),
            }
        }
        Ok(berths)
    }

    fn files(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new file of a blob.
    pub(super) fn add(&self, folder: &Path, digest: Sha256Digest, total_bytes: Option<u64>) -> Berth {
        let total = total_bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| bytes.to_string());
        let path = folder.join(format!("{digest}.{total}.{}", RequestId::generate()));
        let berth = Berth::new(path.clone(), Some(self.clone()));
        let standing = Standing::Written { arrived: Arc::clone(&berth.arrived), cut: berth.cut.clone() };
        self.files().push(Known { path, digest, total_bytes, standing });
        berth
    }

    /// A place for a file that has no name yet.
    pub(super) fn unnamed(folder: &Path) -> Berth {
        Berth::new(folder.join(format!("{UNKNOWN}.{UNKNOWN}.{}", RequestId::generate())), None)
    }

    /// How many bytes of a blob can be gone on with.
    pub(super) fn held(&self, digest: Sha256Digest) -> u64 {
        let files = self.files();
        files.iter().filter(|known| known.digest == digest).filter_map(Known::offset).max().unwrap_or(0)
    }

    /// Makes its caller the writer of the file of a blob that was cut off at `offset`, if there is one.
    pub(super) fn take(&self, digest: Sha256Digest, offset: u64) -> Option<Berth> {
        let mut files = self.files();
        let known = files.iter_mut().find(|known| known.digest == digest && known.offset() == Some(offset))?;
        let berth = Berth::new(known.path.clone(), Some(self.clone()));
        berth.arrived.store(offset, Ordering::Relaxed);
        known.standing = Standing::Written { arrived: Arc::clone(&berth.arrived), cut: berth.cut.clone() };
        Some(berth)
    }

    /// Gives the writers of a blob the time to notice that their lines are cut, and takes the file from those that stand
    /// still.
    pub(super) async fn settle(&self, digest: Sha256Digest) {
        let before = self.written(digest);
        self.end_of(digest, &before).await;
        let now = self.written(digest);
        let stalled: Vec<_> = now
            .into_iter()
            .filter(|upload| before.iter().any(|(path, arrived, _)| (path, arrived) == (&upload.0, &upload.1)))
            .collect();
        for (_, _, cut) in &stalled {
            cut.cancel();
        }
        self.end_of(digest, &stalled).await;
    }

    /// Waits for the end of some uploads, but not for long.
    async fn end_of(&self, digest: Sha256Digest, uploads: &[(PathBuf, u64, CancellationToken)]) {
        let all = async {
            loop {
                let freed = self.0.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                let written = self.written(digest);
                if !uploads.iter().any(|upload| written.iter().any(|(path, ..)| path == &upload.0)) {
                    return;
                }
                freed.await;
            }
        };
        // Those that take longer go on.
        let _ = tokio::time::timeout(STALLED, all).await;
    }

    fn written(&self, digest: Sha256Digest) -> Vec<(PathBuf, u64, CancellationToken)> {
        let files = self.files();
        let of_blob = files.iter().filter(|known| known.digest == digest);
        of_blob
            .filter_map(|known| match &known.standing {
                Standing::Written { arrived, cut } => {
                    Some((known.path.clone(), arrived.load(Ordering::Relaxed), cut.clone()))
                }
                Standing::CutOff { .. } => None,
            })
            .collect()
    }

    /// A file has lost its writer. Of the files of a blob that nobody writes the longest stays.
    fn cut_off(&self, path: &Path) {
        let size_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut files = self.files();
        let Some(known) = files.iter_mut().find(|known| known.path == path) else { return };
        known.standing = Standing::CutOff { size_bytes };
        let digest = known.digest;
        let longest = files.iter().filter(|known| known.digest == digest).filter_map(Known::offset).max();
        let mut seen = false;
        files.retain(|known| {
            let Some(offset) = known.offset().filter(|_| known.digest == digest) else { return true };
            let stays = offset > 0 && Some(offset) == longest && !seen;
            seen |= stays;
            if !stays {
                remove(&known.path);
            }
            stays
        });
        drop(files);
        self.0.freed.notify_waiters();
    }

    /// Removes the files of a blob that nobody writes.
    pub(super) fn discard_idle(&self, digest: Sha256Digest) {
        self.files().retain(|known| {
            let goes = known.digest == digest && matches!(known.standing, Standing::CutOff { .. });
            if goes {
                remove(&known.path);
            }
            !goes
        });
    }

    /// Removes the files that nobody writes and nobody has written since `before_ms`. Returns how many.
    pub(super) fn discard_untouched(&self, before_ms: i64) -> io::Result<usize> {
        let before = UNIX_EPOCH + Duration::from_millis(u64::try_from(before_ms).unwrap_or(0));
        let mut files = self.files();
        let count = files.len();
        let mut failure = None;
        files.retain(|known| {
            if matches!(known.standing, Standing::Written { .. }) {
                return true;
            }
            let touched = fs::metadata(&known.path).and_then(|metadata| metadata.modified());
            match touched {
                Ok(touched) if touched > before => true,
                Ok(_) => {
                    remove(&known.path);
                    false
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        });
        failure.map_or(Ok(count - files.len()), Err)
    }
}

/// What can't be removed harms nobody, and goes at a later start.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a file that came in and is not wanted can't be removed");
    }
}
