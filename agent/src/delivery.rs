//! Brings the orchestrator what there is to tell, in order and until it has been answered: frames from the outbox, failures,
//! frames given back, batches done.

use haywain_shared::cause::Cause;
use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::ids::LeaseId;
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{FailureReport, ReleaseRequest, UPLOAD_META_PART};
use haywain_shared::retry::{GaveUp, Patience, until_answered};
use reqwest::multipart::{Form, Part};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::book::Book;
use crate::outbox::Parcel;

/// How often a frame is sent that arrives otherwise than it left.
const SENDS: u32 = 3;

/// Something to tell the orchestrator.
#[derive(Debug)]
pub enum Report {
    /// A frame is finished.
    Frame(Parcel),
    /// An attempt has failed.
    Failure(LeaseId, FailureReport),
    /// Frames go back without an attempt.
    Release(LeaseId, ReleaseRequest),
    /// Nothing more will come of this lease.
    BatchDone(LeaseId),
}

/// Whoever delivers.
pub struct Courier {
    /// The calls.
    pub client: AgentClient,
    /// Where a lease ends once all of it has been told.
    pub book: Book,
    /// Cancelled when what is undelivered is to stay in the outbox.
    pub stop: CancellationToken,
}

impl Courier {
    /// Delivers until all who report are gone, or until `stop`.
    pub async fn run(self, mut reports: mpsc::UnboundedReceiver<Report>) {
        while let Some(report) = reports.recv().await {
            let delivered = match report {
                Report::Frame(parcel) => self.frame(&parcel).await,
                Report::Failure(lease, report) => {
                    let told = self.tell(|| self.client.fail(lease, &report)).await;
                    told.map(|answer| log_refusal("failure", lease, answer))
                }
                Report::Release(lease, request) => {
                    let told = self.tell(|| self.client.release(lease, &request)).await;
                    told.map(|answer| log_refusal("release", lease, answer))
                }
                Report::BatchDone(lease) => {
                    let told = self.tell(|| self.client.complete(lease)).await;
                    self.book.end(lease);
                    told.map(|answer| log_refusal("batch done", lease, answer))
                }
            };
            if delivered.is_err() {
                return;
            }
        }
    }

    async fn frame(&self, parcel: &Parcel) -> Result<(), Stopped> {
        let label = &parcel.label;
        let (lease, frame) = (label.lease_id, label.frame);
        let size_bytes = label.upload.files.iter().map(|file| file.size_bytes).sum();
        for send in 1..=SENDS {
            let call = async || {
                let form = form(parcel).await?;
                self.client.put_frame(lease, frame, form, size_bytes).await
            };
            let error = match self.tell(call).await? {
                Ok(answer) => {
                    tracing::info!(%lease, %frame, outcome = ?answer.outcome, "frame delivered");
                    remove(parcel);
                    return Ok(());
                }
                Err(error) => error,
            };
            tracing::error!(%lease, %frame, %error, send, "the orchestrator does not take the frame");
            let cause = match error.refusal() {
                Some(ProblemKind::DigestMismatch) if send < SENDS => continue,
                Some(ProblemKind::InvalidOutput) => Cause::InvalidOutput,
                // Nobody there would know what a failure report is about.
                Some(ProblemKind::UnknownLease) => break,
                _ => Cause::UploadFailed,
            };
            let report = FailureReport { frame, cause, message: error.to_string(), log_tail: String::new() };
            let answer = self.tell(|| self.client.fail(lease, &report)).await?;
            log_refusal("failure", lease, answer);
            break;
        }
        remove(parcel);
        Ok(())
    }

    /// One call, repeated until it is answered.
    async fn tell<T, F>(&self, call: impl FnMut() -> F) -> Result<Result<T, CallError>, Stopped>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        match until_answered(Patience::ORCHESTRATOR, &self.stop, call).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(GaveUp::Refused(error)) => Ok(Err(error)),
            Err(GaveUp::Stopped) => Err(Stopped),
        }
    }
}

/// The agent has stopped before an answer came.
struct Stopped;

fn log_refusal(what: &str, lease: LeaseId, answer: Result<(), CallError>) {
    if let Err(error) = answer {
        tracing::warn!(%lease, what, %error, "the orchestrator does not want to know");
    }
}

fn remove(parcel: &Parcel) {
    if let Err(error) = parcel.remove() {
        tracing::warn!(lease = %parcel.label.lease_id, frame = %parcel.label.frame, %error, "emptying the outbox");
    }
}

/// A frame's upload: what is said of the files, then the files. Made anew for each try, as it is used up by sending.
async fn form(parcel: &Parcel) -> Result<Form, CallError> {
    let unreadable = |error: &dyn std::fmt::Display| CallError::Unreadable {
        call: "put frame",
        reason: format!("the outbox cannot be read: {error}"),
    };
    let meta = serde_json::to_string(&parcel.label.upload).map_err(|error| unreadable(&error))?;
    let mut form = Form::new().text(UPLOAD_META_PART, meta);
    for file in &parcel.label.upload.files {
        let part = Part::file(parcel.file(&file.name)).await.map_err(|error| unreadable(&error))?;
        form = form.part("file", part);
    }
    Ok(form)
}
