//! The folder of a job's frames that people read: its name and id, then the artist's own names. What is in it are hard links
//! to outputs that lie elsewhere under keys that no other upload can have; so a frame that is done is always there, whole,
//! and what people do with the folder harms nothing.
//!
//! A link is made just before the commit that records the frame, and taken back if there was nothing to record. A crash in
//! between is put right at the next start.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use haywain_shared::ids::JobId;
use haywain_shared::path::RelativePath;

use super::local::files_below;
use super::staging::blocking;
use super::{BlobError, Blobs, outputs_key, thumbnails_key};

/// The longest part of a job's name in its folder's, in bytes: its id and the file's name need room too.
const MAX_NAME_BYTES: usize = 80;
const SHOWING: &str = "showing a frame as";
const REMOVING: &str = "removing";
const LOOKING: &str = "looking for unused files in";
/// What a link is called until it takes its place.
const NEW: &str = "haywain-new";

/// A job that was under way when the orchestrator ended, and what it has on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFiles {
    /// The job.
    pub job: JobId,
    /// What people call it.
    pub name: Option<String>,
    /// The outputs of its done frames, in the order that they were recorded in: names and keys.
    pub outputs: Vec<(RelativePath, String)>,
    /// Keys that are recorded for another reason: outputs of earlier generations, thumbnails.
    pub others: Vec<String>,
}

impl Blobs {
    /// The folder that a job's frames are in.
    #[must_use]
    pub fn folder_of(&self, job: JobId, name: Option<&str>) -> PathBuf {
        self.root.join("frames").join(folder_name(job, name))
    }

    /// Puts outputs into the job's folder, in place of what has their names there.
    pub async fn show(&self, folder: PathBuf, outputs: Vec<(RelativePath, String)>) -> Result<(), BlobError> {
        for (name, key) in outputs {
            let (path, output) = (folder.join(name), self.root.join(key));
            let shown = path.clone();
            blocking(SHOWING, &shown, move || link(&output, &path)).await?;
        }
        Ok(())
    }

    /// Takes files out of the job's folder: they were shown and not recorded.
    pub async fn hide(&self, folder: PathBuf, names: Vec<RelativePath>) -> Result<(), BlobError> {
        for name in names {
            let path = folder.join(name);
            let shown = path.clone();
            blocking(REMOVING, &shown, move || remove(&path)).await?;
        }
        Ok(())
    }

    /// Puts a job's folders right after an end in the midst of work: removes what uploads left that were never recorded, and
    /// shows what was. Only right while no upload can be under way.
    pub fn tidy(&self, files: &JobFiles) -> Result<(), BlobError> {
        let recorded: HashSet<PathBuf> =
            files.outputs.iter().map(|(_, key)| key).chain(&files.others).map(|key| self.root.join(key)).collect();
        let folder = self.folder_of(files.job, files.name.as_deref());
        let outputs = self.root.join(outputs_key(files.job).as_ref());
        for path in files_below(&outputs).map_err(failed(LOOKING, &outputs))? {
            if recorded.contains(&path) {
                continue;
            }
            tracing::info!(job = %files.job, path = %path.display(), "removing a file that was never recorded");
            // Its name is what comes behind the upload's own folder.
            let shown = path.strip_prefix(&outputs).ok().map(|path| path.components().skip(1).collect::<PathBuf>());
            if let Some(shown) = shown.map(|name| folder.join(name)).filter(|shown| same_file(shown, &path)) {
                remove(&shown).map_err(failed(REMOVING, &shown))?;
            }
            remove(&path).map_err(failed(REMOVING, &path))?;
        }
        let thumbnails = self.root.join(thumbnails_key(files.job).as_ref());
        for path in files_below(&thumbnails).map_err(failed(LOOKING, &thumbnails))? {
            if !recorded.contains(&path) {
                remove(&path).map_err(failed(REMOVING, &path))?;
            }
        }
        for (name, key) in &files.outputs {
            let (path, output) = (folder.join(name), self.root.join(key));
            if !same_file(&path, &output) {
                link(&output, &path).map_err(failed(SHOWING, &path))?;
            }
        }
        Ok(())
    }
}

/// Makes `path` the same file as `output`, in one step. A copy where the file system has no hard links.
fn link(output: &Path, path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let new = folder.join(format!("{NEW}-{}", path.file_name().unwrap_or_default().to_string_lossy()));
    remove(&new)?;
    if fs::hard_link(output, &new).is_err() {
        fs::copy(output, &new)?;
    }
    fs::rename(&new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| BlobError::File { doing, path, source }
}

/// Whether two paths are one file. Where that can't be told they count as two.
#[cfg(unix)]
fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(not(unix))]
fn same_file(_one: &Path, _other: &Path) -> bool {
    false
}

/// A folder's name that tells a person which job it is, and that no other job has.
fn folder_name(job: JobId, name: Option<&str>) -> String {
    let Some(name) = name else { return job.to_string() };
    let safe = |c: char| if c.is_control() || "/\\:*?\"<>|#".contains(c) { '_' } else { c };
    let name: String = name.chars().map(safe).collect();
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    match name[..end].trim_matches([' ', '.']) {
        "" => job.to_string(),
        name => format!("{name}-{job}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_after_its_job() {
        let job = JobId::generate();
        let long = "ü".repeat(60);
        let cases = [
            (None, String::new()),
            (Some("Shot 12, final"), "Shot 12, final-".to_owned()),
            (Some("../../etc: now?"), "_.._etc_ now_-".to_owned()),
            (Some("..."), String::new()),
            (Some(&long), format!("{}-", "ü".repeat(40))),
        ];
        for (name, start) in cases {
            assert_eq!(folder_name(job, name), format!("{start}{job}"), "{name:?}");
        }
    }

    #[tokio::test]
    async fn what_was_never_recorded_goes_and_what_was_is_shown() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::open_local(root.path()).unwrap();
        let job = JobId::generate();
        let output = |upload: &str, name: &str| {
            let key = format!("outputs/{job}/{upload}/{name}");
            fs::create_dir_all(root.path().join(&key).parent().unwrap()).unwrap();
            fs::write(root.path().join(&key), upload).unwrap();
            (RelativePath::new(name).unwrap(), key)
        };
        let folder = blobs.folder_of(job, Some("shot"));
        let (kept, lost) = (output("a", "left/0001.png"), output("b", "left/0002.png"));
        let (again, beside) = (output("c", "left/0001.png"), output("d", "0003.png"));
        blobs.show(folder.clone(), vec![lost, again]).await.unwrap();
        fs::write(folder.join("mine.mp4"), "a person's").unwrap();
        let files =
            JobFiles { job, name: Some("shot".to_owned()), outputs: vec![kept, beside.clone()], others: vec![] };
        blobs.tidy(&files).unwrap();
        let shown = |name: &str| fs::read_to_string(folder.join(name)).ok();
        assert_eq!(shown("left/0001.png").as_deref(), Some("a"));
        assert_eq!(shown("left/0002.png"), None);
        assert_eq!(shown("0003.png").as_deref(), Some("d"));
        assert_eq!(shown("mine.mp4").as_deref(), Some("a person's"));
        assert!(!root.path().join(format!("outputs/{job}/b/left/0002.png")).exists());
        assert!(root.path().join(&beside.1).exists());
    }
}
