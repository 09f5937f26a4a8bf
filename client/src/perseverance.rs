//! For how long a call is repeated that nobody answers: as long as anything comes of it, and ten minutes more. Who reads the
//! error is told how to go on; who is not there to read it does not find a program that waits for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use haywain_shared::client::CallError;
use haywain_shared::retry::Patience;
use tokio::time::{Instant, sleep};

/// For how long tries may fail in a row of which nothing comes.
pub const LIMIT: Duration = Duration::from_mins(10);
/// The same for people.
pub const LIMIT_IN_WORDS: &str = "10 minutes";

/// How much has come of the tries so far.
#[derive(Debug, Default)]
pub struct Gain(AtomicU64);

impl Gain {
    /// The orchestrator has said that it holds so much.
    pub fn is(&self, held: u64) {
        self.0.fetch_max(held, Ordering::Relaxed);
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The call was refused: repeating it would not help.
    Refused(CallError),
    /// It has been repeated for as long as is sensible.
    InVain(CallError),
}

/// Repeats `call` until it is answered or refused, or nothing has come of it for `limit`. `failed` is told why, before each wait.
pub async fn until_answered<T>(
    limit: Duration,
    gain: &Gain,
    failed: impl Fn(&CallError),
    mut call: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, NoAnswer> {
    let mut waits = Patience::ORCHESTRATOR.waits();
    let mut vain = Vain::default();
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error @ CallError::Refused { .. }) => return Err(NoAnswer::Refused(error)),
            Err(error) => error,
        };
        match vain.after(gain.0.load(Ordering::Relaxed), Instant::now()) {
            Some(time) if time >= limit => return Err(NoAnswer::InVain(error)),
            Some(_) => {}
            None => waits.begin_anew(),
        }
        failed(&error);
        sleep(waits.after(Some(&error))).await;
    }
}

/// Since when nothing has come of the tries.
#[derive(Debug, Default)]
struct Vain {
    gained: u64,
    since: Option<Instant>,
}

impl Vain {
    /// A try has failed: for how long nothing has come of them; `None` when something has. How long the try itself took does not
    /// count: what has come of an hour's sending is known by the next one.
    fn after(&mut self, gained: u64, now: Instant) -> Option<Duration> {
        if gained > self.gained {
            *self = Self { gained, since: Some(now) };
            return None;
        }
        Some(now - *self.since.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_without_gain_is_vain() {
        let start = Instant::now();
        let mut vain = Vain::default();
        for (second, gained, expected) in [
            // An hour of sending is cut: nobody knows yet what has come of it.
            (3600, 0, Some(0)),
            (3660, 0, Some(60)),
            // The next try hears.
            (3670, 10, None),
            (3700, 10, Some(30)),
            // What was held is forgotten, and sent again: no gain until it is more than before.
            (3730, 5, Some(60)),
            (3760, 11, None),
            (9760, 11, Some(6000)),
        ] {
            let found = vain.after(gained, start + Duration::from_secs(second));
            assert_eq!(found, expected.map(Duration::from_secs), "after {second} s");
        }
    }

    fn away() -> CallError {
        CallError::Unreachable { call: "test", reason: "refused".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_has_come_of_it_for_long_enough() {
        let (started, gain) = (Instant::now(), Gain::default());
        let no_answer = until_answered(
            LIMIT,
            &gain,
            |_| {},
            async || {
                // Something comes of it for an hour.
                gain.is(started.elapsed().as_secs().min(3600));
                Err::<(), _>(away())
            },
        );
        let no_answer = no_answer.await;
        assert!(matches!(no_answer, Err(NoAnswer::InVain(_))), "{no_answer:?}");
        let minutes = started.elapsed().as_secs() / 60;
        assert!((70..=71).contains(&minutes), "{minutes} min");
    }
}
