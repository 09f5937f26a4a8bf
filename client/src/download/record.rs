//! What has been put into a folder for a job, and for which frame: lines of a digest, a frame and a name, in the folder itself.
//! By it a file that may be replaced is told from one that may not, and two frames whose files have one name stay two files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::JobId;
use haywain_shared::path::RelativePath;

/// What is known of a name.
#[derive(Debug)]
struct Known {
    /// Whose it is.
    frame: FrameNumber,
    /// What has been there.
    digests: HashSet<Sha256Digest>,
}

/// What has been put into a folder for a job.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    known: HashMap<String, Known>,
    /// Names that a frame of this run has taken, written down or not.
    taken: HashMap<String, FrameNumber>,
}

impl Record {
    pub(super) fn open(folder: &Path, job: JobId) -> io::Result<Self> {
        let path = folder.join(format!(".haywain-{job}"));
        let mut known = HashMap::new();
        for (digest, frame, name) in std::fs::read_to_string(&path).unwrap_or_default().lines().filter_map(read) {
            note(&mut known, name, frame, digest);
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self { file, known, taken: HashMap::new() })
    }

    /// What a file is called here: its own name, unless that is another frame's.
    pub(super) fn name_for(&mut self, name: &RelativePath, frame: FrameNumber) -> String {
        let plain = name.as_str().to_owned();
        let owner = self.known.get(&plain).map(|known| known.frame).or_else(|| self.taken.get(&plain).copied());
        match owner {
            Some(owner) if owner != frame => name.marked(&format!("frame{frame}")),
            _ => {
                self.taken.insert(plain.clone(), frame);
                plain
            }
        }
    }

    /// Whether these bytes were put under this name.
    pub(super) fn has(&self, name: &str, digest: Sha256Digest) -> bool {
        self.known.get(name).is_some_and(|known| known.digests.contains(&digest))
    }

    pub(super) fn add(&mut self, name: &str, frame: FrameNumber, digest: Sha256Digest) -> io::Result<()> {
        if note(&mut self.known, name, frame, digest) {
            self.file.write_all(format!("{digest} {frame} {name}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// Whether it is news.
fn note(known: &mut HashMap<String, Known>, name: &str, frame: FrameNumber, digest: Sha256Digest) -> bool {
    let entry = known.entry(name.to_owned()).or_insert_with(|| Known { frame, digests: HashSet::new() });
    entry.digests.insert(digest)
}

/// A line; `None` when it was cut off.
fn read(line: &str) -> Option<(Sha256Digest, FrameNumber, &str)> {
    let mut parts = line.splitn(3, ' ');
    let digest = parts.next()?.parse().ok()?;
    let frame = FrameNumber::try_from(parts.next()?.parse::<i64>().ok()?).ok()?;
    Some((digest, frame, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_frame_s_and_stays_it() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobId::generate();
        let frame = |number: i64| FrameNumber::try_from(number).unwrap();
        let name = RelativePath::new("left/still image.png").unwrap();
        let (one, other) = (Sha256Digest::of(b"one"), Sha256Digest::of(b"other"));
        let mut record = Record::open(folder.path(), job).unwrap();
        assert_eq!(record.name_for(&name, frame(-1)), "left/still image.png");
        assert_eq!(record.name_for(&name, frame(2)), "left/still image.frame2.png");
        record.add("left/still image.png", frame(-1), one).unwrap();
        record.add("left/still image.frame2.png", frame(2), other).unwrap();

        let mut again = Record::open(folder.path(), job).unwrap();
        assert_eq!(again.name_for(&name, frame(2)), "left/still image.frame2.png");
        assert_eq!(again.name_for(&name, frame(-1)), "left/still image.png");
        assert!(again.has("left/still image.png", one) && !again.has("left/still image.png", other));
        assert!(!Record::open(folder.path(), JobId::generate()).unwrap().has("left/still image.png", one));
    }
}
