//! Reading files: whole or a part, in large pieces, and the next one while the last is being sent.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use haywain_shared::digest::Sha256Digest;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore as _, ObjectStoreExt as _};
use tokio::task::JoinHandle;

use super::{BlobError, Blobs, content_key};

/// How much of a file is read at once.
const PIECE_BYTES: u64 = 1024 * 1024;
const DOING: &str = "reading a blob";

/// Bytes as they are read.
pub type Pieces = BoxStream<'static, Result<Bytes, BlobError>>;

impl Blobs {
    /// How large a blob is.
    pub async fn size_of(&self, digest: Sha256Digest) -> Result<u64, BlobError> {
        let found = self.objects.head(&content_key(digest)).await.map_err(unknown(digest))?;
        Ok(found.size)
    }

    /// Some of a blob's bytes. The range lies within its size.
    pub async fn read(&self, digest: Sha256Digest, range: Range<u64>) -> Result<Pieces, BlobError> {
        self.read_key(&content_key(digest), range).await.map_err(unknown(digest))
    }

    /// Some of the bytes of a frame's file. The range lies within its size.
    pub async fn read_output(&self, key: &str, range: Range<u64>) -> Result<Pieces, BlobError> {
        let failed = |source| BlobError::Storage { doing: "reading a frame", source };
        let key = Key::parse(key).map_err(|error| failed(error.into()))?;
        self.read_key(&key, range).await.map_err(failed)
    }

    /// Some of the bytes under a key.
    async fn read_key(&self, key: &Key, range: Range<u64>) -> Result<Pieces, object_store::Error> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let found = self.objects.get_opts(key, options).await?;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => file_pieces(file, range).boxed(),
            GetResultPayload::Stream(pieces) => {
                pieces.map_err(|source| BlobError::Storage { doing: DOING, source }).boxed()
            }
        })
    }

    /// The first bytes of a blob: `count`, or as many as it has.
    pub async fn head_of(&self, digest: Sha256Digest, count: u64) -> Result<Vec<u8>, BlobError> {
        let end = self.size_of(digest).await?.min(count);
        let pieces: Vec<Bytes> = self.read(digest, 0..end).await?.try_collect().await?;
        Ok(pieces.concat())
    }
}

fn unknown(digest: Sha256Digest) -> impl FnOnce(object_store::Error) -> BlobError {
    move |error| match error {
        object_store::Error::NotFound { .. } => BlobError::Unknown(digest),
        source => BlobError::Storage { doing: DOING, source },
    }
}

/// A piece that is being read, and the file for the one after it.
type Reading = JoinHandle<std::io::Result<(Bytes, std::fs::File)>>;

/// The crate's own stream of a file comes in pieces of 8 KiB, each by a journey to another thread.
fn file_pieces(
    mut file: std::fs::File,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = Result<Bytes, BlobError>> {
    let Range { start, end } = range;
    let first = tokio::task::spawn_blocking(move || {
        file.seek(SeekFrom::Start(start))?;
        read_piece(file, end - start)
    });
    stream::try_unfold((first, end - start), |(reading, left): (Reading, u64)| async move {
        if left == 0 {
            return Ok(None);
        }
        let (piece, file) = reading.await.map_err(std::io::Error::other).and_then(|read| read).map_err(broken)?;
        let left = left - piece.len() as u64;
        let next = tokio::task::spawn_blocking(move || read_piece(file, left));
        Ok(Some((piece, (next, left))))
    })
}

fn read_piece(file: std::fs::File, left: u64) -> std::io::Result<(Bytes, std::fs::File)> {
    let wanted = left.min(PIECE_BYTES);
    let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    let mut part = file.take(wanted);
    let read = part.read_to_end(&mut piece)?;
    if read as u64 != wanted {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok((piece.into(), part.into_inner()))
}

fn broken(source: std::io::Error) -> BlobError {
    let source = object_store::Error::Generic { store: "local folder", source: Box::new(source) };
    BlobError::Storage { doing: DOING, source }
}
