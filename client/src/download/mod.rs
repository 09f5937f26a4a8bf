//! Fetches a job's frames into a folder as they are recorded. A file appears whole under its name or not at all, what is
//! there already and matches is left, and nothing is overwritten but what an earlier fetch of the same job has put there.

mod record;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use haywain_shared::client::CallError;
use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use haywain_shared::job::RecordedFrame;
use haywain_shared::protocol::OutputFile;
use tempfile::NamedTempFile;

use crate::api::Api;
use crate::cache::{Hashes, Stamp, now_ns};
use record::Record;

/// How many files are fetched at once.
const AT_ONCE: usize = 4;
/// How often a file that does not arrive as it should is fetched anew.
const MOST_TRIES: u32 = 3;

/// Why fetching can't go on now.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The orchestrator.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The disk.
    #[error("frames can't be put there: {}: {source}\nMake that possible, or name another folder with --out", path.display())]
    Disk {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is here now.
    Fetched,
    /// It was here already.
    Kept,
    /// It is not here, for this reason.
    Failed(String),
}

/// A frame's file, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The frame.
    pub frame: FrameNumber,
    /// Where the file is, or would be.
    pub path: PathBuf,
    /// What became of it.
    pub fate: Fate,
}

/// Fetches one job's frames into one folder.
#[derive(Debug)]
pub struct Downloader {
    api: Api,
    job: JobId,
    folder: PathBuf,
    record: Record,
    hashes: Hashes,
    /// Everything up to here has been seen to.
    cursor: u64,
    /// Files that are here because of this.
    fetched: u64,
    /// Files that could not be put here, and why. A frame that is rendered anew may still bring them.
    failed: BTreeMap<PathBuf, String>,
}

/// A file that is to be fetched.
struct Wanted {
    frame: FrameNumber,
    file: OutputFile,
    /// What it is called here.
    name: String,
    path: PathBuf,
}

impl Downloader {
    /// Makes the folder if need be.
    pub fn open(api: &Api, job: JobId, folder: &Path, since: u64) -> Result<Self, FetchError> {
        let disk = |source| FetchError::Disk { path: folder.to_owned(), source };
        check_folder(folder)?;
        let folder = std::path::absolute(folder).map_err(disk)?;
        let record = Record::open(&folder, job).map_err(disk)?;
        let (api, hashes) = (api.clone(), Hashes::open());
        Ok(Self { api, job, folder, record, hashes, cursor: since, fetched: 0, failed: BTreeMap::new() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What to give as `since` next time.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// How many files have been fetched.
    #[must_use]
    pub const fn fetched(&self) -> u64 {
        self.fetched
    }

    /// Files that could not be put here, and why.
    #[must_use]
    pub const fn failed(&self) -> &BTreeMap<PathBuf, String> {
        &self.failed
    }

    /// Fetches all frames that are recorded and not here. After an error it can be called again, and goes on.
    pub async fn fetch_new(&mut self, told: &mut dyn FnMut(FileReport)) -> Result<(), FetchError> {
        loop {
            let page = self.api.frames(self.job, self.cursor).await?;
            if page.frames.is_empty() {
                return Ok(());
            }
            self.fetch(page.frames, told).await?;
            self.cursor = page.cursor;
            self.hashes.save();
        }
    }

    async fn fetch(&mut self, frames: Vec<RecordedFrame>, told: &mut dyn FnMut(FileReport)) -> Result<(), FetchError> {
        let mut wanted = Vec::new();
        for frame in latest(frames) {
            for file in frame.files {
                let name = self.record.name_for(&file.name, frame.frame);
                let path = self.folder.join(&name);
                let fate = self.look_at(&file, &name, &path, frame.frame)?;
                match fate {
                    None => wanted.push(Wanted { frame: frame.frame, file, name, path }),
                    Some(fate) => self.settle(FileReport { frame: frame.frame, path, fate }, told),
                }
            }
        }
        let (api, job) = (self.api.clone(), self.job);
        let mut arriving = stream::iter(wanted)
            .map(|wanted| async {
                let file = arrive(&api, job, &wanted).await?;
                Ok::<_, FetchError>((wanted, file))
            })
            .buffer_unordered(AT_ONCE);
        while let Some((wanted, arrived)) = arriving.try_next().await? {
            let fate = match arrived {
                Ok(file) => self.put_in_place(&wanted, file)?,
                Err(reason) => Fate::Failed(reason),
            };
            self.settle(FileReport { frame: wanted.frame, path: wanted.path, fate }, told);
        }
        Ok(())
    }

    fn settle(&mut self, report: FileReport, told: &mut dyn FnMut(FileReport)) {
        match &report.fate {
            Fate::Failed(reason) => {
                self.failed.insert(report.path.clone(), reason.clone());
            }
            Fate::Fetched | Fate::Kept => {
                self.fetched += u64::from(report.fate == Fate::Fetched);
                self.failed.remove(&report.path);
            }
        }
        told(report);
    }

    /// What becomes of a file without fetching it; `None` when it is to be fetched.
    fn look_at(
        &mut self,
        file: &OutputFile,
        name: &str,
        path: &Path,
        frame: FrameNumber,
    ) -> Result<Option<Fate>, FetchError> {
        let disk = |source| FetchError::Disk { path: path.to_owned(), source };
        let Some(stamp) = Stamp::of(path) else {
            return Ok(path.exists().then(|| Fate::Failed("something that is no file has this name".to_owned())));
        };
        let digest = if let Some(digest) = self.hashes.get(path, &stamp) {
            digest
        } else {
            let at_ns = now_ns();
            let digest = digest_of(path).map_err(disk)?;
            self.hashes.learn(path, stamp, digest, at_ns);
            digest
        };
        Ok(if digest == file.sha256 {
            // Also written down when somebody else has put it here: the name is this frame's.
            self.record.add(name, frame, digest).map_err(disk)?;
            Some(Fate::Kept)
        } else if self.record.has(name, digest) {
            // An earlier rendering of the same frame.
            None
        } else {
            let reason = "another file of this name is there, which did not come from this job: move it away, or choose \
                          another folder with --out";
            Some(Fate::Failed(reason.to_owned()))
        })
    }

    /// Gives a file that has arrived its name. What it is is written down before: whoever stops here has not lost it.
    fn put_in_place(&mut self, wanted: &Wanted, file: NamedTempFile) -> Result<Fate, FetchError> {
        let disk = |source| FetchError::Disk { path: wanted.path.clone(), source };
        self.record.add(&wanted.name, wanted.frame, wanted.file.sha256).map_err(disk)?;
        file.persist(&wanted.path).map_err(|error| disk(error.error))?;
        Ok(Fate::Fetched)
    }
}

/// Makes the folder if need be; fails where no frames can be put.
pub fn check_folder(folder: &Path) -> Result<(), FetchError> {
    let disk = |source| FetchError::Disk { path: folder.to_owned(), source };
    if folder.is_file() {
        return Err(disk(io::Error::other("it is a file, not a folder")));
    }
    std::fs::create_dir_all(folder).map_err(disk)?;
    tempfile::tempfile_in(folder).map(drop).map_err(disk)
}

/// Each frame once, by its last recording.
fn latest(frames: Vec<RecordedFrame>) -> Vec<RecordedFrame> {
    let mut seen = HashSet::new();
    let mut latest: Vec<_> = frames.into_iter().rev().filter(|frame| seen.insert(frame.frame)).collect();
    latest.reverse();
    latest
}

/// Fetches a file beside where it is to be. The inner error says why it can't be had.
async fn arrive(api: &Api, job: JobId, wanted: &Wanted) -> Result<Result<NamedTempFile, String>, FetchError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match arrive_once(api, job, wanted).await {
            Ok(Some(file)) => return Ok(Ok(file)),
            Ok(None) if tries == MOST_TRIES => {
                return Ok(Err(format!("it did not arrive as it was recorded, {MOST_TRIES} times")));
            }
            Ok(None) => {}
            // Rendered anew, or deleted, since the list was read.
            Err(FetchError::Call(CallError::Refused { problem, .. })) => return Ok(Err(problem.detail)),
            Err(error) => return Err(error),
        }
    }
}

/// `None` when it is not what was recorded.
async fn arrive_once(api: &Api, job: JobId, wanted: &Wanted) -> Result<Option<NamedTempFile>, FetchError> {
    let disk = |source| FetchError::Disk { path: wanted.path.clone(), source };
    let mut pieces = std::pin::pin!(api.frame_file(job, wanted.frame, &wanted.file.name).await?);
    let mut file = beside(&wanted.path).map_err(disk)?;
    let (mut hasher, mut size_bytes) = (Hasher::default(), 0);
    while let Some(piece) = pieces.try_next().await? {
        size_bytes += piece.len() as u64;
        if size_bytes > wanted.file.size_bytes {
            return Ok(None);
        }
        hasher.update(&piece);
        file.write_all(&piece).map_err(disk)?;
    }
    let is_whole = size_bytes == wanted.file.size_bytes && hasher.finish() == wanted.file.sha256;
    Ok(is_whole.then_some(file))
}

/// A temporary file in the folder of `path`, for everybody to read as other new files are.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".haywain-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn digest_of(path: &Path) -> io::Result<Sha256Digest> {
    let (mut file, mut hasher) = (File::open(path)?, Hasher::default());
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}
