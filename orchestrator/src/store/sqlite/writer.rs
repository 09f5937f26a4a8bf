//! The single writer: one task owns the write connection and commits for many callers at once. A durable commit costs the
//! disk a sync however much is in it, so that a group of operations costs little more than one.
//!
//! The order that everything rests on: operations run, each in a savepoint of its own; one commit makes all of them
//! durable; only then do their effects reach memory and waiters, and only then do callers get their answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use haywain_shared::ids::{AgentId, LeaseId};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Memory;
use crate::clock::{Clock, UnixMs};
use crate::store::StoreError;
use crate::store::terms::Heard;

/// The most operations in one commit.
const GROUP: usize = 256;
/// Operations that may wait for the writer before their callers do.
const QUEUE: usize = 1024;

/// What an operation works with: the connection, inside the group's transaction.
pub(super) struct Tx {
    pub(super) conn: SqliteConnection,
    /// The wall's time when the group began.
    pub(super) now_ms: UnixMs,
    effects: Effects,
}

/// What is to happen in memory once the transaction is committed.
#[derive(Debug, Default)]
struct Effects {
    work_made: bool,
    event_made: bool,
    terms: Vec<TermChange>,
}

#[derive(Debug)]
enum TermChange {
    Begins { lease: LeaseId, agent: AgentId },
    Extends { lease: LeaseId },
    Ends { lease: LeaseId },
}

impl Tx {
    /// Something became pending: those who wait for work are to look.
    pub(super) const fn work_made(&mut self) {
        self.effects.work_made = true;
    }

    /// There are new events to read.
    pub(super) const fn event_made(&mut self) {
        self.effects.event_made = true;
    }

    pub(super) fn lease_begins(&mut self, lease: LeaseId, agent: AgentId) {
        self.effects.terms.push(TermChange::Begins { lease, agent });
    }

    /// A lease is told to its holder again, which counts its term from then.
    pub(super) fn lease_extends(&mut self, lease: LeaseId) {
        self.effects.terms.push(TermChange::Extends { lease });
    }

    pub(super) fn lease_ends(&mut self, lease: LeaseId) {
        self.effects.terms.push(TermChange::Ends { lease });
    }
}

/// A handle on the writer. The writer ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Operation>>);

impl Writer {
    /// Starts the writer. `gone` is cancelled when it has ended, for whatever reason: without it nothing can be answered.
    pub(super) fn start(
        conn: SqliteConnection,
        memory: Arc<Memory>,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
        gone: CancellationToken,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let tx = Tx { conn, now_ms: clock.unix_ms(), effects: Effects::default() };
        tasks.spawn(async move {
            let _guard = gone.drop_guard();
            run(tx, receiver, &memory, &*clock).await;
        });
        Self(sender)
    }

    /// Runs `work` in the next group and waits for its commit. If the caller goes away before it has begun, it never does.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Call { work: Some(work), outcome: None, reply };
        self.0.send(Box::new(call)).await.map_err(|_| writer_gone())?;
        answer.await.map_err(|_| writer_gone())?
    }
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("the orchestrator is stopping".to_owned())
}

/// An operation whose result type has been forgotten, so that a queue can hold all kinds.
trait Operation: Send {
    /// Nobody waits for the answer any more.
    fn abandoned(&self) -> bool;
    /// Does the work and keeps its outcome.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Verdict>;
    /// Gives the caller the outcome, or the failure of the group.
    fn answer(self: Box<Self>, group: Result<(), &StoreError>);
}

/// What the group's transaction is to do about one operation.
enum Verdict {
    Keep,
    Undo,
    /// The database itself failed: after that, nobody can say what the transaction still holds.
    Abort(StoreError),
}

struct Call<T, W> {
    work: Option<W>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Operation for Call<T, W>
where
    T: Send,
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Verdict> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Verdict::Undo };
            let outcome = work(tx).await;
            let verdict = match &outcome {
                Ok(_) => Verdict::Keep,
                Err(error @ StoreError::Unavailable(_)) => Verdict::Abort(error.clone()),
                Err(_) => Verdict::Undo,
            };
            self.outcome = Some(outcome);
            verdict
        })
    }

    fn answer(self: Box<Self>, group: Result<(), &StoreError>) {
        let answer = match (group, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(writer_gone()),
            (Err(error), _) => Err(error.clone()),
        };
        // A caller that has gone away needs no answer.
        let _ = self.reply.send(answer);
    }
}

async fn run(mut tx: Tx, mut queue: mpsc::Receiver<Box<dyn Operation>>, memory: &Memory, clock: &dyn Clock) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        group.retain(|operation| !operation.abandoned());
        if group.is_empty() {
            continue;
        }
        tx.now_ms = clock.unix_ms();
        let outcome = commit(&mut tx, &mut group).await;
        let effects = std::mem::take(&mut tx.effects);
        match &outcome {
            Ok(()) => apply(effects, memory, clock),
            Err(error) => {
                tracing::error!(%error, operations = group.len(), "a commit failed and was undone");
                // After a failed commit there may be no transaction left to undo: either way it is gone.
                let _ = sqlx::query("ROLLBACK").execute(&mut tx.conn).await;
            }
        }
        for operation in group.drain(..) {
            operation.answer(outcome.as_ref().copied());
        }
    }
    if let Err(error) = tx.conn.close().await {
        tracing::warn!(%error, "closing the database");
    }
}

/// Runs a group in one transaction. An error means that all of it is undone.
async fn commit(tx: &mut Tx, group: &mut [Box<dyn Operation>]) -> Result<(), StoreError> {
    execute(tx, "BEGIN IMMEDIATE").await?;
    for operation in group {
        let before = std::mem::take(&mut tx.effects);
        execute(tx, "SAVEPOINT operation").await?;
        match operation.run(tx).await {
            Verdict::Keep => {
                let own = std::mem::replace(&mut tx.effects, before);
                tx.effects.work_made |= own.work_made;
                tx.effects.event_made |= own.event_made;
                tx.effects.terms.extend(own.terms);
            }
            Verdict::Undo => {
                execute(tx, "ROLLBACK TO operation").await?;
                tx.effects = before;
            }
            Verdict::Abort(error) => return Err(error),
        }
        execute(tx, "RELEASE operation").await?;
    }
    execute(tx, "COMMIT").await
}

async fn execute(tx: &mut Tx, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(&mut tx.conn).await.map(drop).map_err(super::columns::database_error)
}

fn apply(effects: Effects, memory: &Memory, clock: &dyn Clock) {
    let mut terms = memory.terms();
    for change in effects.terms {
        match change {
            TermChange::Begins { lease, agent } => terms.begin(lease, agent, Heard::Never, clock.steady()),
            TermChange::Extends { lease } => terms.extend(lease, clock.steady()),
            TermChange::Ends { lease } => terms.end(lease),
        }
    }
    drop(terms);
    if effects.work_made {
        memory.work.send_replace(());
    }
    if effects.event_made {
        memory.events.send_replace(());
    }
}
