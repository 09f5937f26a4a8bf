//! The outbox: finished frames, on disk until the orchestrator has answered for them. A parcel appears whole, by one rename,
//! and goes only after its answer: what was rendered survives an orchestrator that is away and the agent's own end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::FrameUpload;
use haywain_shared::scene::BlobRef;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::status::Holding;

const META: &str = "parcel.json";
/// No file of a frame's can have this name: see `RelativePath`.
const THUMBNAIL: &str = "thumbnail#0";

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

    /// Everything that is sent of it, in the order in which it is: its files, and its thumbnail if it has one.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.label.upload.files.iter().map(|file| self.file(file.name.as_str()));
        files.chain(self.label.upload.thumbnail.map(|_| self.file(THUMBNAIL))).collect()
    }

    fn size_bytes(&self) -> u64 {
        self.label.upload.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// What an outbox holds.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    parcels: u64,
    bytes: u64,
}

/// The folder of parcels. Clones share it.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
    max_bytes: u64,
    /// What is in it now.
    held: watch::Sender<Held>,
}

impl Outbox {
    /// Opens the outbox in the agent's data folder. It counts as full once it holds `max_bytes`.
    pub fn open(data_dir: &Path, max_bytes: u64) -> io::Result<Self> {
        let folder = data_dir.join("outbox");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, max_bytes, held: watch::Sender::default() })
    }

    /// Waits until there is room for another frame.
    pub async fn room(&self) {
        let mut held = self.held.subscribe();
        let bytes = held.borrow().bytes;
        if bytes >= self.max_bytes {
            tracing::warn!(bytes, "the outbox is full: no frame is begun until some are delivered");
        }
        // An error says that the sender is gone, and it is `self`.
        let _ = held.wait_for(|held| held.bytes < self.max_bytes).await;
    }

    /// What is in it, and its bound.
    #[must_use]
    pub fn holding(&self) -> Holding {
        let Held { parcels, bytes } = *self.held.borrow();
        Holding { count: parcels, bytes, max_bytes: self.max_bytes }
    }

    /// Takes a parcel out: it has been answered for.
    pub fn remove(&self, parcel: &Parcel) -> io::Result<()> {
        self.held.send_modify(|held| {
            held.parcels = held.parcels.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(parcel.size_bytes());
        });
        fs::remove_dir_all(&parcel.folder)
    }

    /// Lays a thumbnail beside a frame's files, in the folder that is to become the parcel.
    pub fn add_thumbnail(rendered: &Path, jpeg: &[u8]) -> io::Result<BlobRef> {
        fs::write(rendered.join(THUMBNAIL), jpeg)?;
        Ok(BlobRef { sha256: Sha256Digest::of(jpeg), size_bytes: jpeg.len() as u64 })
    }

    /// Puts a frame in: `rendered` is the folder with its files, and becomes the parcel.
    pub fn put(&self, label: Label, rendered: &Path) -> io::Result<Parcel> {
        fs::write(rendered.join(META), serde_json::to_vec(&label)?)?;
        let folder = self.folder.join(format!("{}_{}", label.lease_id, label.frame));
        fs::rename(rendered, &folder)?;
        let parcel = Parcel { label, folder };
        self.held.send_modify(|held| {
            held.parcels += 1;
            held.bytes += parcel.size_bytes();
        });
        Ok(parcel)
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
        let bytes = parcels.iter().map(Parcel::size_bytes).sum();
        self.held.send_replace(Held { parcels: parcels.len() as u64, bytes });
        Ok(parcels)
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::ids::JobId;
    use haywain_shared::protocol::OutputFile;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parcels_survive_in_order_until_they_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(data.path(), 18).unwrap();
        let older = LeaseId::generate();
        let newer = LeaseId::generate();
        for (lease_id, frame) in [(newer, 7), (older, 10), (older, 9)] {
            let rendered = data.path().join("work");
            fs::create_dir(&rendered).unwrap();
            fs::write(rendered.join("0001.png"), b"pixels").unwrap();
            let thumbnail = Some(Outbox::add_thumbnail(&rendered, b"small").unwrap()).filter(|_| frame == 9);
            let file = OutputFile {
                name: "0001.png".parse().unwrap(),
                size_bytes: 6,
                sha256: Sha256Digest::of(b"pixels"),
                width: 1,
                height: 1,
            };
            let upload = FrameUpload {
                job_id: JobId::generate(),
                generation: 1,
                render_ms: 5,
                peak_memory_bytes: None,
                files: vec![file],
                thumbnail,
            };
            let label = Label { lease_id, frame: FrameNumber::try_from(frame).unwrap(), upload };
            outbox.put(label, &rendered).unwrap();
        }
        // A crash between making the folder and naming it can't happen; a stray one is not taken for a parcel.
        fs::create_dir(data.path().join("outbox/stray")).unwrap();

        let outbox = Outbox::open(data.path(), 18).unwrap();
        let parcels = outbox.left_over().unwrap();
        let frames: Vec<_> = parcels.iter().map(|parcel| parcel.label.frame.get()).collect();
        assert_eq!(frames, [9, 10, 7]);
        assert_eq!(fs::read(parcels[0].file("0001.png")).unwrap(), b"pixels");
        // The thumbnail is sent last, and only where the label tells of it.
        let sent = |parcel: &Parcel| parcel.files().iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
        assert_eq!(sent(&parcels[0]), [b"pixels".to_vec(), b"small".to_vec()]);
        assert_eq!(sent(&parcels[1]), [b"pixels".to_vec()]);
        assert!("thumbnail#0".parse::<haywain_shared::path::RelativePath>().is_err(), "an artist could have it");
        // Three parcels of six bytes fill it.
        let waited = tokio::time::timeout(std::time::Duration::from_mins(1), outbox.room()).await;
        assert!(waited.is_err(), "there is no room");
        assert_eq!(outbox.holding(), Holding { count: 3, bytes: 18, max_bytes: 18 });
        outbox.remove(&parcels[0]).unwrap();
        outbox.room().await;
        assert_eq!(outbox.holding(), Holding { count: 2, bytes: 12, max_bytes: 18 });
        assert_eq!(outbox.left_over().unwrap().len(), 2);
    }
}
