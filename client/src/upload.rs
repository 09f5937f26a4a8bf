//! Sends the blobs that the orchestrator lacks: several at once, each from where an earlier try was cut off, and again for as
//! long as something comes of it. A blob that does not arrive as it was read is an error, never sent anew in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{TryStreamExt as _, stream};
use haywain_shared::client::CallError;
use haywain_shared::problem::ProblemKind;
use haywain_shared::scene::BlobRef;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::api::{Api, BlobStanding, Piece, Sent};
use crate::exit::{Exit, Failure, Outcome};
use crate::perseverance::{Gain, LIMIT, LIMIT_IN_WORDS, NoAnswer, until_answered};

/// How many blobs are sent at once.
const AT_ONCE: usize = 3;
/// Below this size it is not worth asking how much of a blob is held.
const SMALL_BYTES: u64 = 256 * 1024;
/// What is read of a file at once.
const PIECE_BYTES: usize = 256 * 1024;
/// How long nothing may move before a try is given up.
const STILL: Duration = Duration::from_mins(1);
/// How long the orchestrator may take to look at a blob that it has whole.
const TO_CHECK: Duration = Duration::from_mins(10);

/// What is told of an upload.
pub trait Watcher: Send + Sync {
    /// So many bytes more are sent, or held from an earlier try.
    fn moved(&self, bytes: u64);
    /// So many bytes that counted are to be sent again.
    fn lost(&self, bytes: u64);
    /// A try has failed and is to be repeated.
    fn trying_again(&self, error: &CallError);
}

/// Sends each blob from its file.
pub async fn send_all(api: &Api, blobs: &BTreeMap<BlobRef, PathBuf>, watcher: &dyn Watcher) -> Outcome<()> {
    stream::iter(blobs.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |(blob, path)| Box::pin(send(api, *blob, path, watcher)))
        .await
}

/// Sends one blob until it is there.
async fn send(api: &Api, blob: BlobRef, path: &Path, watcher: &dyn Watcher) -> Outcome<()> {
    let (counted, gain) = (Arc::new(AtomicU64::new(0)), Gain::default());
    let sending = Sending { api, blob, path, watcher, counted: &counted, gain: &gain };
    match until_answered(LIMIT, &gain, |error| watcher.trying_again(error), || sending.try_once()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::error(format!("{}: {error}", path.display()))),
        Err(NoAnswer::Refused(CallError::Refused { problem, .. })) if problem.kind == ProblemKind::DigestMismatch => {
            Err(Failure::error(format!("{} changed while it was sent: submit again", path.display())))
        }
        Err(NoAnswer::Refused(error)) => {
            let failure = Failure::from(error);
            Err(Failure { message: format!("{}: {}", path.display(), failure.message), ..failure })
        }
        Err(NoAnswer::InVain(error)) => Err(Failure {
            exit: Exit::Unreachable,
            message: format!(
                "{}: given up, as the orchestrator has taken no byte more of it for {LIMIT_IN_WORDS}: {error}\n\
                 What it has, it keeps: the same command goes on from there",
                path.display()
            ),
        }),
    }
}

/// A blob on its way.
struct Sending<'a> {
    api: &'a Api,
    blob: BlobRef,
    path: &'a Path,
    watcher: &'a dyn Watcher,
    /// How much the watcher has been told of.
    counted: &'a Arc<AtomicU64>,
    /// How much the orchestrator has said that it has.
    gain: &'a Gain,
}

impl Sending<'_> {
    /// One try. The inner error is the disk's, and not worth repeating.
    async fn try_once(&self) -> Result<std::io::Result<()>, CallError> {
        let blob = self.blob;
        let mut from = 0;
        if blob.size_bytes > SMALL_BYTES {
            match self.api.blob_standing(blob).await? {
                BlobStanding::Stored => {
                    self.count_as(blob.size_bytes);
                    return Ok(Ok(()));
                }
                // Held whole and not stored: it is not what it should be, or not looked at yet.
                BlobStanding::Held(held) => from = if held < blob.size_bytes { held } else { 0 },
            }
        }
        loop {
            self.gain.is(from);
            self.count_as(from);
            match self.put(from).await? {
                Ok(Sent::Stored) => {
                    self.count_as(blob.size_bytes);
                    return Ok(Ok(()));
                }
                Ok(Sent::Elsewhere(held)) if held < blob.size_bytes && held != from => from = held,
                Ok(Sent::Elsewhere(held)) => {
                    let reason = format!("it holds {held} bytes of a blob of {} and takes no more", blob.size_bytes);
                    return Err(CallError::Unreadable { call: "send a file", reason });
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    fn count_as(&self, bytes: u64) {
        let before = self.counted.swap(bytes, Ordering::Relaxed);
        if bytes >= before { self.watcher.moved(bytes - before) } else { self.watcher.lost(before - bytes) }
    }

    async fn put(&self, from: u64) -> Result<std::io::Result<Sent>, CallError> {
        let piece = Piece { blob: self.blob, from };
        let file = async {
            let mut file = tokio::fs::File::open(self.path).await?;
            file.seek(std::io::SeekFrom::Start(piece.from)).await?;
            std::io::Result::Ok(file)
        };
        let file = match file.await {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let sent = Arc::new(AtomicU64::new(piece.from));
        let (moved, total) = (Arc::clone(&sent), piece.blob.size_bytes);
        // No more than was promised, also when the file has grown meanwhile.
        let pieces = ReaderStream::with_capacity(file.take(total - piece.from), PIECE_BYTES);
        let body = reqwest::Body::wrap_stream(pieces.inspect_ok(move |bytes| {
            moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }));
        let mut call = std::pin::pin!(self.api.put_blob(piece, body));
        let mut look = tokio::time::interval(Duration::from_millis(100));
        let mut last_move = tokio::time::Instant::now();
        loop {
            tokio::select! {
                answer = &mut call => return answer.map(Ok),
                _ = look.tick() => {}
            }
            let now = sent.load(Ordering::Relaxed);
            let before = self.counted.swap(now, Ordering::Relaxed);
            if now > before {
                self.watcher.moved(now - before);
                last_move = tokio::time::Instant::now();
            }
            let patience = if now == total { TO_CHECK } else { STILL };
            if last_move.elapsed() > patience {
                let reason = format!("nothing moved for {} s", patience.as_secs());
                return Err(CallError::Unreachable { call: "send a file", reason });
            }
        }
    }
}
