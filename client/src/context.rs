//! What every command works with: the line to the orchestrator, the way out, and Ctrl-C.

use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::exit::{Failure, Outcome};
use crate::show::Show;

/// What every command works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The line to the orchestrator.
    pub api: Api,
    /// The way out.
    pub show: Show,
    /// Cancelled by Ctrl-C.
    pub stop: CancellationToken,
}

impl Context {
    /// What `work` comes to, unless Ctrl-C comes first: then `words` say how things stand.
    pub async fn unless_stopped<T, E: Into<Failure>>(
        &self,
        words: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Outcome<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::interrupted(words)),
            result = work => result.map_err(Into::into),
        }
    }

    /// The same for work that takes a thread. It goes on to its end, or to where it looks at `stop`.
    pub async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Failure::error(format!("a thread ended early: {error}")))
    }
}
