//! Whether the orchestrator answers: noted by whatever carries the calls, so that no caller can forget to.

use async_trait::async_trait;
use haywain_shared::transport::{Call, Reply, Transport};

use super::Board;

/// A transport whose calls are noted.
pub struct Watched<T> {
    transport: T,
    board: Board,
}

impl<T> Watched<T> {
    /// Notes on `board` what comes of calls by `transport`.
    #[must_use]
    pub const fn new(transport: T, board: Board) -> Self {
        Self { transport, board }
    }
}

#[async_trait]
impl<T: Transport> Transport for Watched<T> {
    async fn carry(&self, call: Call) -> Result<Reply, String> {
        let reply = self.transport.carry(call).await;
        match &reply {
            Ok(_) => self.board.answered(),
            Err(error) => self.board.unanswered(error),
        }
        reply
    }
}
