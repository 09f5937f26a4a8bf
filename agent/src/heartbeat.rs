//! Says that the agent lives and what it holds: each interval, and at once when a lease has come. One call is under way at
//! a time, so that an older one never overtakes a newer.

use std::time::Duration;

use crate::book::Book;
use crate::link::{Link, LinkEnded};
use crate::machine::Machine;

/// Beats until the line ends.
pub async fn beat(link: Link, book: Book, interval: Duration, mut machine: Machine) -> LinkEnded {
    loop {
        match link.heartbeat(machine.sample(), book.held(), interval).await {
            Ok(Some(verdicts)) => book.apply(verdicts),
            Ok(None) => {}
            Err(ended) => return ended,
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = book.news() => {}
        }
    }
}
