//! The outbox: finished frames, on disk until the orchestrator has answered for them. A parcel appears whole, by one rename,
//! and goes only after its answer: what was rendered survives an orchestrator that is away and the agent's own end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::FrameUpload;
use serde::{Deserialize, Serialize};

const META: &str = "parcel.json";

/// What a parcel is: a frame, whose it is, and what its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// The lease that it was rendered under.
    pub lease_id: LeaseId,
    /// The frame.
    pub frame: FrameNumber,
    /// What is said of its files.
    pub upload: FrameUpload,
}

/// A finished frame in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What it is.
    pub label: Label,
    folder: PathBuf,
}

impl Parcel {
    /// Where one of its files lies.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Takes it out of the outbox: it has been answered for.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

/// The folder of parcels.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// Opens the outbox in the agent's data folder.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join("outbox");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Puts a frame in: `rendered` is the folder with its files, and becomes the parcel.
    pub fn put(&self, label: Label, rendered: &Path) -> io::Result<Parcel> {
        fs::write(rendered.join(META), serde_json::to_vec(&label)?)?;
        let folder = self.folder.join(format!("{}_{}", label.lease_id, label.frame));
        fs::rename(rendered, &folder)?;
        Ok(Parcel { label, folder })
    }

    /// The parcels that an earlier life has left, oldest first: the ids of leases are in the order of their grants. What is
    /// no parcel is removed.
    pub fn left_over(&self) -> io::Result<Vec<Parcel>> {
        let mut parcels = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let folder = entry?.path();
            let label = fs::read(folder.join(META)).and_then(|text| Ok(serde_json::from_slice(&text)?));
            match label {
                Ok(label) => parcels.push(Parcel { label, folder }),
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "removing what is no parcel from the outbox");
                    fs::remove_dir_all(&folder)?;
                }
            }
        }
        parcels.sort_by_key(|parcel| (parcel.label.lease_id, parcel.label.frame));
        Ok(parcels)
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::digest::Sha256Digest;
    use haywain_shared::ids::JobId;
    use haywain_shared::protocol::OutputFile;

    use super::*;

    #[test]
    fn parcels_survive_in_order_until_they_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(data.path()).unwrap();
        let older = LeaseId::generate();
        let newer = LeaseId::generate();
        for (lease_id, frame) in [(newer, 7), (older, 10), (older, 9)] {
            let rendered = data.path().join("work");
            fs::create_dir(&rendered).unwrap();
            fs::write(rendered.join("0001.png"), b"pixels").unwrap();
            let file = OutputFile {
                name: "0001.png".to_owned(),
                size_bytes: 6,
                sha256: Sha256Digest::of(b"pixels"),
                width: 1,
                height: 1,
            };
            let upload =
                FrameUpload { job_id: JobId::generate(), render_ms: 5, peak_memory_bytes: None, files: vec![file] };
            let label = Label { lease_id, frame: FrameNumber::try_from(frame).unwrap(), upload };
            outbox.put(label, &rendered).unwrap();
        }
        // A crash between making the folder and naming it can't happen; a stray one is not taken for a parcel.
        fs::create_dir(data.path().join("outbox/stray")).unwrap();

        let parcels = Outbox::open(data.path()).unwrap().left_over().unwrap();
        let frames: Vec<_> = parcels.iter().map(|parcel| parcel.label.frame.get()).collect();
        assert_eq!(frames, [9, 10, 7]);
        assert_eq!(fs::read(parcels[0].file("0001.png")).unwrap(), b"pixels");
        parcels[0].remove().unwrap();
        assert_eq!(outbox.left_over().unwrap().len(), 2);
    }
}
