//! Taking in one file of a frame: streamed, hashed on the way, and looked at before it counts.

use bytes::Bytes;
use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::ids::RequestId;
use haywain_shared::protocol::OutputFile;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};

use super::BlobError;
use crate::store::StoredFile;

/// Parts that may be on their way to the storage at once.
const PARTS_IN_FLIGHT: usize = 4;
/// How much of a file's beginning is kept to read its header from.
const HEAD_BYTES: usize = 64 * 1024;

/// Why an uploaded file does not count.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It arrived otherwise than it was sent.
    #[error(
        "{name} arrived with {arrived_bytes} bytes and SHA-256 {arrived}, not with {expected_bytes} and {expected}"
    )]
    Mismatch {
        /// The file.
        name: String,
        /// What was said.
        expected: Sha256Digest,
        /// What was said.
        expected_bytes: u64,
        /// What came.
        arrived: Sha256Digest,
        /// What came.
        arrived_bytes: u64,
    },
    /// More of it came than was said.
    #[error("more of {name} came than the {expected_bytes} bytes that were announced")]
    TooLong {
        /// The file.
        name: String,
        /// What was said.
        expected_bytes: u64,
    },
    /// It is no image of the size that was said.
    #[error("{name} is not an image of {width} by {height} pixels: {found}")]
    NotTheImage {
        /// The file.
        name: String,
        /// What was said.
        width: u32,
        /// What was said.
        height: u32,
        /// What it is instead.
        found: String,
    },
    /// The storage could not take it.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// A file on its way in. Dropped before [`Self::finish`], it leaves nothing.
pub struct FrameFileUpload {
    key: Key,
    expected: OutputFile,
    writer: WriteMultipart,
    hasher: Hasher,
    size_bytes: u64,
    head: Vec<u8>,
}

impl FrameFileUpload {
    pub(super) async fn begin(objects: &dyn ObjectStore, folder: Key, expected: OutputFile) -> Result<Self, BlobError> {
        // Parsed, not converted: converting would write "ü" as "%C3%BC".
        let key = Key::parse(format!("{folder}/{}/{}", RequestId::generate(), expected.name))
            .map_err(|error| BlobError::storage("naming a frame")(error.into()))?;
        let upload = objects.put_multipart(&key).await.map_err(BlobError::storage("beginning to write a frame"))?;
        let writer = WriteMultipart::new(upload);
        Ok(Self { key, expected, writer, hasher: Hasher::default(), size_bytes: 0, head: Vec::new() })
    }

    /// Takes the next piece, if it is one of what was announced.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), UploadError> {
        let size_bytes = self.size_bytes + piece.len() as u64;
        let OutputFile { name, size_bytes: expected_bytes, .. } = &self.expected;
        if size_bytes > *expected_bytes {
            return Err(UploadError::TooLong { name: name.to_string(), expected_bytes: *expected_bytes });
        }
        self.writer.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(BlobError::storage("writing a frame"))?;
        self.hasher.update(&piece);
        self.size_bytes = size_bytes;
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..missing.min(piece.len())]);
        self.writer.put(piece);
        Ok(())
    }

    /// Checks the file against what was said of it and, if it is that, makes it durable.
    pub async fn finish(self) -> Result<StoredFile, UploadError> {
        let expected = self.expected;
        let arrived = self.hasher.finish();
        let checked = if arrived == expected.sha256 && self.size_bytes == expected.size_bytes {
            check_image(&self.head, &expected)
        } else {
            Err(UploadError::Mismatch {
                name: expected.name.to_string(),
                expected: expected.sha256,
                expected_bytes: expected.size_bytes,
                arrived,
                arrived_bytes: self.size_bytes,
            })
        };
        if let Err(error) = checked {
            self.writer.abort().await.map_err(BlobError::storage("dropping a frame"))?;
            return Err(error);
        }
        self.writer.finish().await.map_err(BlobError::storage("finishing a frame"))?;
        Ok(StoredFile {
            name: expected.name,
            blob_key: self.key.to_string(),
            size_bytes: self.size_bytes,
            sha256: arrived,
            width: expected.width,
            height: expected.height,
        })
    }
}

/// Looks at a file's header. A format whose size stands beyond the head (TIFF may have it at the end) passes by its
/// signature: the agent has decoded the whole file.
fn check_image(head: &[u8], expected: &OutputFile) -> Result<(), UploadError> {
    let not_the_image = |found: String| UploadError::NotTheImage {
        name: expected.name.to_string(),
        width: expected.width,
        height: expected.height,
        found,
    };
    imagesize::image_type(head).map_err(|_| not_the_image("it has no image's signature".to_owned()))?;
    match imagesize::blob_size(head) {
        Ok(size) if size.width == expected.width as usize && size.height == expected.height as usize => Ok(()),
        Ok(size) => Err(not_the_image(format!("it has {} by {}", size.width, size.height))),
        Err(_) if head.len() == HEAD_BYTES => Ok(()),
        Err(error) => Err(not_the_image(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::path::RelativePath;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn no_more_is_taken_than_was_announced() {
        let expected = OutputFile {
            name: RelativePath::new("0001.png".to_owned()).unwrap(),
            size_bytes: 10,
            sha256: Sha256Digest::of(b""),
            width: 2,
            height: 2,
        };
        let objects = InMemory::new();
        let mut file = FrameFileUpload::begin(&objects, Key::from("outputs"), expected).await.unwrap();
        file.write(Bytes::from_static(b"123456789")).await.unwrap();
        let refused = file.write(Bytes::from_static(b"01")).await.unwrap_err();
        assert!(matches!(refused, UploadError::TooLong { expected_bytes: 10, .. }), "{refused}");
        file.write(Bytes::from_static(b"0")).await.unwrap();
    }
}
