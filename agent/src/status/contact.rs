//! Whether the orchestrator answers: noted by whatever carries the calls, so that no caller can forget to.

use async_trait::async_trait;
use haywain_shared::transport::{Call, Reply, Transport};

use super::Board;

/// The HTTP statuses of who is not let in (RFC 9110, 15.5.2 and 15.5.4).
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

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
            Ok(Reply { status: status @ (UNAUTHORIZED | FORBIDDEN), .. }) => self.board.shut_out(*status),
            Ok(_) => self.board.answered(),
            Err(error) => self.board.unanswered(error),
        }
        reply
    }
}
