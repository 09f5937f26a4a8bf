//! How blobs come in. The row says that a blob is stored if and only if its file is there: this is where the two are changed
//! together, and where they are held against each other at the start.

use std::collections::HashMap;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::BlobRef;

use crate::blobs::{BlobError, Blobs, Whole};
use crate::store::{BlobStanding, Sight, Store, StoreError, Thing};

/// Whether a blob was here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is here now, and was not before.
    New,
    /// It was here.
    Known,
}

/// Why a blob did not come in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It is being deleted at this moment.
    #[error("blob {0} is being deleted: send it again in a second")]
    Going(Sha256Digest),
    /// It could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a blob of a file that has come in whole. `sight` is of whoever has sent it: to whoever has not sent it before, it is
/// new.
pub async fn keep(store: &dyn Store, blobs: &Blobs, whole: Whole, sight: Sight) -> Result<Arrival, IntakeError> {
    let blob = BlobRef { sha256: whole.digest(), size_bytes: whole.size_bytes() };
    // The collector, too, is alone with what it deletes: between this look and the row's change nobody takes the file away.
    let _alone = blobs.alone_with(blob.sha256).await;
    let arrival = match store.blob(blob.sha256).await? {
        BlobStanding::Going => return Err(IntakeError::Going(blob.sha256)),
        BlobStanding::Stored { .. } => {
            store.touch_blob(blob.sha256).await?;
            whole.discard();
            Arrival::Known
        }
        BlobStanding::Missing => {
            blobs.publish(whole).await?;
            store.blob_arrived(blob).await?;
            Arrival::New
        }
    };
    let Sight::Token(token) = sight else { return Ok(arrival) };
    let sent_before = store.sees(sight, Thing::Blob(blob.sha256)).await?;
    store.blob_came_by(blob.sha256, token).await?;
    Ok(if sent_before { Arrival::Known } else { Arrival::New })
}

/// What is to be put right where rows and files differ.
#[derive(Debug, PartialEq, Eq)]
struct Differences {
    /// Files that no row knows: published, and then the power failed.
    unknown: Vec<BlobRef>,
    /// Rows whose file is not there.
    lost: Vec<Sha256Digest>,
    /// Rows whose file has another size.
    damaged: Vec<Sha256Digest>,
}

fn differences(rows: Vec<BlobRef>, files: Vec<BlobRef>) -> Differences {
    let mut files: HashMap<_, _> = files.into_iter().map(|file| (file.sha256, file.size_bytes)).collect();
    let mut differences = Differences { unknown: Vec::new(), lost: Vec::new(), damaged: Vec::new() };
    for row in rows {
        match files.remove(&row.sha256) {
            None => differences.lost.push(row.sha256),
            Some(size_bytes) if size_bytes != row.size_bytes => differences.damaged.push(row.sha256),
            Some(_) => {}
        }
    }
    let unknown = files.into_iter().map(|(sha256, size_bytes)| BlobRef { sha256, size_bytes });
    differences.unknown = unknown.collect();
    differences
}

/// At the start: holds rows and files against each other. Only right while nothing comes in and nothing is deleted.
pub async fn reconcile(store: &dyn Store, blobs: &Blobs) -> Result<(), IntakeError> {
    let Differences { unknown, lost, damaged } = differences(store.stored_blobs().await?, blobs.all().await?);
    for blob in unknown {
        // It was whole and checked before it got its name. One that is to go is deleted by the collector.
        if store.blob(blob.sha256).await? == BlobStanding::Missing {
            tracing::info!(blob = %blob.sha256, "a blob is here that was not recorded: it is now");
            store.blob_arrived(blob).await?;
        }
    }
    for blob in damaged {
        tracing::error!(%blob, "a blob's file has another size than it had: it is removed and must be sent again");
        // The file first: should this be interrupted, the next start finds a row without one.
        blobs.remove(blob).await?;
        store.blob_lost(blob).await?;
    }
    for blob in lost {
        tracing::error!(%blob, "a blob's file is not there any more: it must be sent again");
        store.blob_lost(blob).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_files_are_held_against_each_other() {
        let blob = |text: &str, size_bytes| BlobRef { sha256: Sha256Digest::of(text.as_bytes()), size_bytes };
        let found = differences(
            vec![blob("same", 1), blob("lost", 2), blob("cut", 3)],
            vec![blob("cut", 2), blob("same", 1), blob("new", 4)],
        );
        let expected = Differences {
            unknown: vec![blob("new", 4)],
            lost: vec![blob("lost", 2).sha256],
            damaged: vec![blob("cut", 3).sha256],
        };
        assert_eq!(found, expected);
    }
}
