//! Says that the agent lives and what it holds: each interval, and at once when a lease has come. One call is under way at
//! a time, so that an older one never overtakes a newer.

use std::time::Duration;

use haywain_shared::protocol::MachineSample;

use crate::book::Book;
use crate::leaving::Leaving;
use crate::link::{Link, LinkEnded};

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
        match link.heartbeat(sample(), book.held(), interval).await {
            Ok(Some(answer)) => {
                leaving.ordered(answer.agent);
                book.apply(answer.leases, sent);
            }
            Ok(None) => {}
            Err(ended) => return ended,
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = book.news() => {}
        }
    }
}
