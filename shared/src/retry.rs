//! The only place that knows the `backoff` crate: how a call is repeated until somebody answers.
//!
//! The crate is the project owner's choice and is no longer maintained (RUSTSEC-2025-0012); keeping it behind this module
//! makes leaving it a matter of one file.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tokio_util::sync::CancellationToken;

use crate::client::CallError;
use crate::problem::ProblemKind;

/// How long to wait between tries: from `first`, half as long again each time, up to `longest`; each wait is spread
/// to either side, so that a farm that lost its orchestrator does not come back as one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How far each wait is spread to either side, as a part of it.
    pub spread: f64,
}

impl Patience {
    /// For calls to an orchestrator that may be restarting: quick to come back, and never a burden.
    pub const ORCHESTRATOR: Self =
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(10), spread: 0.5 };

    /// The waits themselves, for who does more between two tries than to call again.
    #[must_use]
    pub fn waits(self) -> Waits {
        Waits(self.schedule())
    }

    fn schedule(self) -> ExponentialBackoff {
        ExponentialBackoff {
            initial_interval: self.first,
            current_interval: self.first,
            max_interval: self.longest,
            randomization_factor: self.spread,
            // The crate would give up after 15 minutes. An orchestrator that is away is no reason to.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        }
    }
}

/// Waits between tries, each longer than the one before.
#[derive(Debug)]
pub struct Waits(ExponentialBackoff);

impl Waits {
    /// How long to wait after a failure. Obeys `Retry-After`.
    pub fn after(&mut self, failure: Option<&CallError>) -> Duration {
        let own = self.0.next_backoff().unwrap_or(self.0.max_interval);
        match failure {
            Some(CallError::Busy { retry_after: Some(wait), .. }) => *wait,
            _ => own,
        }
    }

    /// Begins anew with the shortest: things have gone well meanwhile.
    pub fn begin_anew(&mut self) {
        self.0.reset();
    }
}

/// Why [`until_answered`] came back without an answer.
#[derive(Debug, thiserror::Error)]
pub enum GaveUp {
    /// The orchestrator refused the call; repeating it would not help.
    #[error(transparent)]
    Refused(CallError),
    /// The caller was told to stop.
    #[error("stopped while waiting for the orchestrator")]
    Stopped,
}

/// Repeats `call` until it is answered, by a success or by a refusal, or until `stop`. Obeys `Retry-After`. That the caller is not
/// let in is no refusal: it may be, later.
pub async fn until_answered<T, F>(
    patience: Patience,
    stop: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Result<T, GaveUp>
where
    F: Future<Output = Result<T, CallError>>,
{
    let attempt = || {
        let answer = call();
        async { answer.await.map_err(sorted) }
    };
    let log = |error: CallError, wait: Duration| {
        tracing::warn!(%error, wait_ms = wait.as_millis(), "no answer from the orchestrator, trying again");
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(GaveUp::Stopped),
        answer = backoff::future::retry_notify(patience.schedule(), attempt, log) => answer.map_err(GaveUp::Refused),
    }
}

fn sorted(error: CallError) -> backoff::Error<CallError> {
    match error {
        // Somebody has to let it in, or has shut it out by mistake: what it has to tell is not thrown away for that.
        CallError::Refused { ref problem, .. }
            if matches!(problem.kind, ProblemKind::Unauthenticated | ProblemKind::Forbidden) =>
        {
            backoff::Error::transient(error)
        }
        CallError::Refused { .. } => backoff::Error::permanent(error),
        CallError::Busy { retry_after: Some(wait), .. } => backoff::Error::retry_after(error, wait),
        CallError::Busy { .. } | CallError::Unreachable { .. } | CallError::Unreadable { .. } => {
            backoff::Error::transient(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::problem::Problem;

    fn busy(retry_after: Option<Duration>) -> CallError {
        CallError::Busy { call: "test", status: 503, retry_after }
    }

    fn refused() -> CallError {
        refused_as(ProblemKind::UnknownAgent)
    }

    fn refused_as(kind: ProblemKind) -> CallError {
        CallError::Refused { call: "test", problem: Problem { kind, status: 404, detail: "who?".to_owned() } }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_let_in_asks_again() {
        for kind in [ProblemKind::Unauthenticated, ProblemKind::Forbidden] {
            let started = tokio::time::Instant::now();
            let stop = CancellationToken::new();
            let answer = until_answered(Patience::ORCHESTRATOR, &stop, async || {
                let let_in = started.elapsed() > Duration::from_hours(1);
                if let_in { Ok(()) } else { Err(refused_as(kind)) }
            });
            answer.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn never_gives_up_by_itself_and_never_waits_longer_than_the_cap() {
        let calls = Cell::new(0_u32);
        let started = tokio::time::Instant::now();
        let answer = until_answered(Patience::ORCHESTRATOR, &CancellationToken::new(), async || {
            calls.set(calls.get() + 1);
            if started.elapsed() < Duration::from_hours(2) { Err(busy(None)) } else { Ok(calls.get()) }
        })
        .await;
        let calls = answer.unwrap();
        // Two hours of waits between 5 s and 15 s (the cap of 10 s, spread by half).
        assert!((480..1500).contains(&calls), "{calls} calls");
    }

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let patience = Patience { first: Duration::from_secs(2), longest: Duration::from_secs(4), spread: 0.0 };
        let mut waits = patience.waits();
        let next: Vec<_> = (0..4).map(|_| waits.after(Some(&busy(None))).as_secs()).collect();
        assert_eq!(next, [2, 3, 4, 4]);
        assert_eq!(waits.after(Some(&busy(Some(Duration::from_mins(1))))).as_secs(), 60);
        waits.begin_anew();
        assert_eq!(waits.after(None).as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn obeys_retry_after() {
        let started = tokio::time::Instant::now();
        until_answered(Patience::ORCHESTRATOR, &CancellationToken::new(), async || {
            if started.elapsed().is_zero() { Err(busy(Some(Duration::from_mins(1)))) } else { Ok(()) }
        })
        .await
        .unwrap();
        assert_eq!(started.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_and_a_stop_end_it() {
        let stop = CancellationToken::new();
        let answer = until_answered(Patience::ORCHESTRATOR, &stop, async || Err::<(), _>(refused())).await;
        assert!(matches!(answer, Err(GaveUp::Refused(_))), "{answer:?}");

        let waiting = until_answered(Patience::ORCHESTRATOR, &stop, async || Err::<(), _>(busy(None)));
        let (answer, ()) = tokio::join!(waiting, async { stop.cancel() });
        assert!(matches!(answer, Err(GaveUp::Stopped)), "{answer:?}");
    }
}
