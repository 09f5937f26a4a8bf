//! Brings the orchestrator what there is to tell, in order and until it has been answered: frames from the outbox, failures,
//! frames given back, batches done.

use haywain_shared::cause::Cause;
use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::ids::{AgentId, LeaseId};
use haywain_shared::inspection::{Inspection, InspectionFailure};
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{FailureReport, InspectionFailureReport, ReleaseRequest, Stage, UploadOutcome};
use haywain_shared::retry::{GaveUp, until_answered};
use haywain_shared::scene::SceneId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::book::Book;
use crate::outbox::{Outbox, Parcel};

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
    /// A scene was opened whose content nobody knew.
    Inspection(SceneId, Box<Inspection>),
    /// Somebody wants to know what is in a scene, and it can't be said here.
    NoInspection(SceneId, InspectionFailure),
    /// Nothing more will come of this lease.
    BatchDone(LeaseId),
    /// Whoever waits for it knows that everything before it has been told.
    Told(oneshot::Sender<()>),
}

/// Whoever delivers.
pub struct Courier {
    /// Whose it is.
    pub agent_id: AgentId,
    /// The calls.
    pub client: AgentClient,
    /// Where frames wait.
    pub outbox: Outbox,
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
                Report::Inspection(scene, inspection) => {
                    let told = self.tell(|| self.client.inspected(scene, &inspection)).await;
                    told.map(|answer| log_untaken(scene, answer))
                }
                Report::NoInspection(scene, failure) => {
                    let report = InspectionFailureReport { agent_id: self.agent_id, failure };
                    let told = self.tell(|| self.client.not_inspected(scene, &report)).await;
                    told.map(|answer| log_untaken(scene, answer))
                }
                Report::BatchDone(lease) => {
                    let told = self.tell(|| self.client.complete(lease)).await;
                    self.book.end(lease);
                    told.map(|answer| log_refusal("batch done", lease, answer))
                }
                Report::Told(waiting) => {
                    // Whoever has stopped waiting need not know.
                    let _ = waiting.send(());
                    Ok(())
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
        for send in 1..=SENDS {
            let call = || self.client.put_frame(lease, frame, &label.upload, parcel.files());
            let error = match self.tell(call).await? {
                Ok(answer) => {
                    tracing::info!(%lease, %frame, outcome = ?answer.outcome, "frame delivered");
                    self.remove(parcel);
                    if answer.outcome == UploadOutcome::JobGone {
                        // The next heartbeat would say so, an interval later.
                        self.book.job_gone(label.upload.job_id);
                    }
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
            let report = FailureReport {
                frame,
                cause,
                stage: Stage::Rendering,
                peak_memory_bytes: label.upload.peak_memory_bytes,
                message: error.to_string(),
                log_tail: String::new(),
            };
            let answer = self.tell(|| self.client.fail(lease, &report)).await?;
            log_refusal("failure", lease, answer);
            break;
        }
        self.remove(parcel);
        Ok(())
    }

    fn remove(&self, parcel: &Parcel) {
        if let Err(error) = self.outbox.remove(parcel) {
            tracing::warn!(lease = %parcel.label.lease_id, frame = %parcel.label.frame, %error, "emptying the outbox");
        }
    }

    /// One call, repeated until it is answered.
    async fn tell<T, F>(&self, call: impl FnMut() -> F) -> Result<Result<T, CallError>, Stopped>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        match until_answered(self.client.patience(), &self.stop, call).await {
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

fn log_untaken(scene: SceneId, answer: Result<(), CallError>) {
    if let Err(error) = answer {
        tracing::warn!(%scene, %error, "the orchestrator does not take the inspection");
    }
}
