//! Says that the agent lives and what it holds: each interval, and at once when a lease has come. One call is under way at
//! a time, so that an older one never overtakes a newer. An orchestrator that asks for time gets it.

use std::time::Duration;

use haywain_shared::protocol::MachineSample;
use tokio::time::Instant;

use crate::book::Book;
use crate::leaving::Leaving;
use crate::link::{Beat, Link, LinkEnded};

/// Beats until the line ends. `sample` looks at the machine.
pub async fn beat(
    link: Link,
    book: Book,
    leaving: Leaving,
    interval: Duration,
    mut sample: impl FnMut() -> MachineSample,
) -> LinkEnded {
    loop {
        let sent = book.now();
        let beat = link.heartbeat(sample(), book.held(), interval).await;
        let due = Instant::now() + interval;
        match beat {
            Ok(Beat::Answered(answer)) => {
                leaving.ordered(answer.agent);
                book.apply(answer.leases, sent);
            }
            // What has come meanwhile is told then, too.
            Ok(Beat::Unanswered(wait)) => tokio::time::sleep(wait).await,
            Err(ended) => return ended,
        }
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = book.news() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use futures_util::{StreamExt as _, stream};
    use haywain_shared::client::AgentClient;
    use haywain_shared::ids::{AgentId, Incarnation};
    use haywain_shared::protocol::{Abilities, MachineFacts};
    use haywain_shared::transport::{Call, Reply, Transport};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::SystemBootClock;
    use crate::identity::Identity;
    use crate::leaving::Bounds;
    use crate::link::Introduction;

    /// An orchestrator that has no time for this long, each time that it is asked.
    struct Busy {
        retry_after: Option<Duration>,
        started: Instant,
        asked: Mutex<Vec<u64>>,
    }

    #[async_trait]
    impl Transport for Busy {
        async fn carry(&self, _call: Call) -> Result<Reply, String> {
            self.asked.lock().unwrap().push(self.started.elapsed().as_secs());
            Ok(Reply { status: 429, retry_after: self.retry_after, first_byte: None, body: stream::empty().boxed() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_orchestrator_that_asks_for_time_gets_it() {
        for (retry_after, expected) in [(None, [0, 5, 10]), (Some(2), [0, 5, 10]), (Some(30), [0, 30, 60])] {
            let retry_after = retry_after.map(Duration::from_secs);
            let busy = Arc::new(Busy { retry_after, started: Instant::now(), asked: Mutex::default() });
            let introduction = Introduction {
                identity: Identity { agent_id: AgentId::generate(), incarnation: Incarnation(1) },
                name: "barn".to_owned(),
                machine: MachineFacts {
                    os: String::new(),
                    arch: String::new(),
                    logical_cores: 1,
                    memory_bytes: 1,
                    gpus: Vec::new(),
                },
                blenders: Vec::new(),
                abilities: Abilities::default(),
            };
            let client = AgentClient::new(Arc::clone(&busy) as Arc<dyn Transport>);
            let link = Link::new(client, introduction, 1, CancellationToken::new());
            let book = Book::new(Arc::new(SystemBootClock::start()), Duration::from_secs(30));
            let sample = || MachineSample { cores_busy: 0.0, memory_available_bytes: 0 };
            let beating = beat(link, book, Leaving::new(Bounds::default()), Duration::from_secs(5), sample);
            assert!(tokio::time::timeout(Duration::from_secs(70), beating).await.is_err());
            assert_eq!(busy.asked.lock().unwrap()[..3], expected, "{retry_after:?}");
        }
    }
}
