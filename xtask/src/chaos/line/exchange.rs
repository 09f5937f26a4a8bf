//! One request and its answer, as they pass: where one begins is seen, and what is ordered for it is done.

use super::{Shared, Spoil};

/// What an upload begins with. A client that waits for each answer begins each request with a new piece.
const UPLOAD: &[u8] = b"PUT ";
/// What a request for a batch begins with.
const ASK: &[u8] = b"POST /api/v1/agent/lease ";
/// What an answer begins with that brings something.
const GOOD_ANSWER: &[u8] = b"HTTP/1.1 200";
/// What a picture begins with.
const PICTURE: &[u8] = b"\x89PNG";
/// How far behind a picture's beginning a byte is changed: within its pixels.
pub(super) const DEPTH: usize = 200;

/// How much of a piece is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    All,
    /// So much of it, and then the connection ends.
    Only(usize),
}

/// The request that a connection is at, and its answer.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    spoil: Option<Spoil>,
    asks: bool,
    /// Bytes of the request that have passed.
    passed: u64,
    /// Where the byte to be changed is, in pieces to come.
    target: Option<usize>,
}

impl Exchange {
    pub(super) fn request(&mut self, piece: &mut [u8], shared: &Shared) -> Pass {
        if piece.starts_with(UPLOAD) {
            self.give_up(shared);
            *self = Self { spoil: shared.rules().uploads.pop_front(), ..Self::default() };
        } else if piece.starts_with(b"POST ") || piece.starts_with(b"GET ") {
            self.give_up(shared);
            *self = Self { asks: piece.starts_with(ASK), ..Self::default() };
        }
        match self.spoil {
            Some(spoil @ Spoil::Corrupt) => {
                self.target = self.target.or_else(|| find(piece, PICTURE).map(|at| at + DEPTH));
                if let Some(target) = self.target {
                    if let Some(byte) = piece.get_mut(target) {
                        *byte ^= 0x10;
                        shared.note(spoil);
                        self.spoil = None;
                    } else {
                        self.target = Some(target - piece.len());
                    }
                }
            }
            Some(spoil @ Spoil::Cut(after)) => {
                let left = usize::try_from(after.saturating_sub(self.passed)).unwrap_or(usize::MAX);
                self.passed += piece.len() as u64;
                if left < piece.len() {
                    shared.note(spoil);
                    return Pass::Only(left);
                }
            }
            Some(Spoil::LoseAnswer | Spoil::LoseGrant) | None => {}
        }
        Pass::All
    }

    /// What the last request was too short for comes to another.
    fn give_up(&mut self, shared: &Shared) {
        if let Some(spoil) = self.spoil.take() {
            shared.rules().uploads.push_front(spoil);
        }
    }

    pub(super) fn answer(&mut self, piece: &[u8], shared: &Shared) -> Pass {
        let grant = if self.asks && piece.starts_with(GOOD_ANSWER) { shared.rules().grants.pop_front() } else { None };
        if let Some(spoil) = grant.or(self.spoil.filter(|spoil| *spoil == Spoil::LoseAnswer)) {
            shared.note(spoil);
            return Pass::Only(0);
        }
        Pass::All
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::chaos::schedule::Kind;

    #[test]
    fn a_grant_is_lost_and_an_empty_poll_is_not() {
        let shared = Shared::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        shared.rules().grants.push_back(Spoil::LoseGrant);
        let mut exchange = Exchange::default();
        assert_eq!(exchange.request(&mut ASK.to_vec(), &shared), Pass::All);
        assert_eq!(exchange.answer(b"HTTP/1.1 204 No Content", &shared), Pass::All);
        assert_eq!(exchange.answer(b"HTTP/1.1 200 OK", &shared), Pass::Only(0));
        assert_eq!(exchange.answer(b"HTTP/1.1 200 OK", &shared), Pass::All);
        assert_eq!(shared.rules().done.get(&Kind::LoseGrant), Some(&1));
    }
}
