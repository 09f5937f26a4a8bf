//! A project folder in a zip file. Its table of contents is judged whole before anything is unpacked, and nothing is unpacked
//! to a path that it names: every file becomes a blob.

use std::fs::File;
use std::io::Read as _;

use bytes::Bytes;
use haywain_shared::file_kind::{FileKind, HEAD_BYTES};
use haywain_shared::path::RelativePath;
use haywain_shared::scene::{Manifest, SceneFile};
use tokio::sync::mpsc;
use zip::ZipArchive;
use zip::result::ZipError;

use super::SceneError;
use crate::blobs::{Blobs, Staged, Whole};
use crate::intake;
use crate::store::{Sight, Store};

mod contents;

pub use self::contents::ProjectFault;
use self::contents::{Contents, Listed};

/// How much is unpacked at once.
const PIECE_BYTES: u64 = 256 * 1024;
/// Pieces that are unpacked before they are written.
const PIECES_AHEAD: usize = 4;

/// What the thread that unpacks has to say.
enum Unpacked {
    /// More of the present file.
    Piece(Bytes),
    /// The present file is whole.
    End,
}

/// Makes a scene of a zip file: every file in it is a blob afterwards.
pub(super) async fn take_in(
    name: &RelativePath,
    entry: Option<RelativePath>,
    whole: &Whole,
    blobs: &Blobs,
    store: &dyn Store,
    sight: Sight,
) -> Result<Manifest, SceneError> {
    let refused = |fault| SceneError::Project { name: name.to_string(), fault };
    let reader = whole.reader().map_err(|source| refused(ProjectFault::Unreadable(source.to_string())))?;
    let size_bytes = whole.size_bytes();
    let (archive, contents) = blocking(move || open(reader, size_bytes, entry)).await.map_err(refused)?;
    let (sender, mut unpacked) = mpsc::channel(PIECES_AHEAD);
    let files = contents.files.clone();
    let thread = tokio::task::spawn_blocking(move || unpack(archive, &files, &sender));
    let mut files = Vec::with_capacity(contents.files.len());
    for listed in &contents.files {
        let Some(file) = store_next(&mut unpacked, listed, blobs, store, sight).await? else { break };
        files.push(file);
    }
    drop(unpacked);
    let outcome = thread.await.map_err(|error| ProjectFault::Unreadable(error.to_string())).and_then(|done| done);
    outcome.map_err(refused)?;
    Ok(Manifest { entry: contents.entry, files, places: Vec::new(), color_config: None, missing: Vec::new() })
}

/// Makes a blob of the file that is being unpacked; `None` when it can't be unpacked.
async fn store_next(
    unpacked: &mut mpsc::Receiver<Unpacked>,
    listed: &Listed,
    blobs: &Blobs,
    store: &dyn Store,
    sight: Sight,
) -> Result<Option<SceneFile>, SceneError> {
    let mut staged: Staged = blobs.staging().begin_unnamed().await?;
    loop {
        match unpacked.recv().await {
            Some(Unpacked::Piece(piece)) => staged.write(piece).await?,
            Some(Unpacked::End) => break,
            None => {
                staged.discard().await;
                return Ok(None);
            }
        }
    }
    let whole = staged.finish().await?;
    let file = SceneFile { path: listed.path.clone(), size_bytes: whole.size_bytes(), sha256: whole.digest() };
    intake::keep(store, blobs, whole, sight).await?;
    Ok(Some(file))
}

fn open(
    mut file: File,
    size_bytes: u64,
    entry: Option<RelativePath>,
) -> Result<(ZipArchive<File>, Contents), ProjectFault> {
    contents::check_count(&mut file, size_bytes)?;
    let mut archive = ZipArchive::new(file).map_err(no_zip)?;
    if archive.has_duplicate_names() {
        return Err(ProjectFault::Damaged("two of its files have the same name".to_owned()));
    }
    if archive.has_overlapping_entries().map_err(no_zip)? {
        return Err(ProjectFault::Damaged("its files lie over one another, as only a zip bomb's do".to_owned()));
    }
    let contents = contents::judge(&archive, size_bytes, entry)?;
    Ok((archive, contents))
}

/// Unpacks one file after the other. Ends early when nobody wants more.
fn unpack(
    mut archive: ZipArchive<File>,
    files: &[Listed],
    sender: &mpsc::Sender<Unpacked>,
) -> Result<(), ProjectFault> {
    for listed in files {
        let damaged = |error: String| ProjectFault::Damaged(format!("{} can't be unpacked: {error}", listed.path));
        let mut file = archive.by_index(listed.index).map_err(|error| damaged(error.to_string()))?;
        let mut left = listed.size_bytes;
        let mut is_first = true;
        loop {
            // One byte more than there should be, to see whether there is.
            let wanted = PIECE_BYTES.min(left + 1);
            let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
            let read =
                file.by_ref().take(wanted).read_to_end(&mut piece).map_err(|error| damaged(error.to_string()))?;
            left = left
                .checked_sub(read as u64)
                .ok_or_else(|| damaged(format!("it is larger than the {} bytes that it says", listed.size_bytes)))?;
            if is_first && listed.is_blend() {
                let kind = FileKind::of(&piece[..piece.len().min(HEAD_BYTES)]);
                if kind != FileKind::Blend {
                    return Err(ProjectFault::NotABlend { path: listed.path.clone(), kind });
                }
            }
            is_first = false;
            if read == 0 {
                break;
            }
            if sender.blocking_send(Unpacked::Piece(piece.into())).is_err() {
                return Ok(());
            }
        }
        if left > 0 {
            return Err(damaged(format!("it is smaller than the {} bytes that it says", listed.size_bytes)));
        }
        if sender.blocking_send(Unpacked::End).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProjectFault> + Send + 'static,
) -> Result<T, ProjectFault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ProjectFault::Unreadable(error.to_string()))?
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn no_zip(error: ZipError) -> ProjectFault {
    ProjectFault::Damaged(error.to_string())
}
