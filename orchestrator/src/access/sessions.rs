//! Sessions: for a browser that has shown a token, so that the token itself is not kept there. In memory only: after a restart people
//! log in anew. A session is as good as its token, which is looked at with every call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::TokenId;
use haywain_shared::token::{Role, Token};

use crate::clock::Clock;

/// How long a session lasts: a working day.
pub const LASTS: Duration = Duration::from_hours(12);
/// The most sessions of one token, and of all. Of too many the oldest end: the token's own, as others are not logged out by one that
/// begins session after session.
const MOST: (usize, usize) = (32, 10_000);

/// The sessions. A secret is kept as its digest alone.
pub struct Sessions {
    clock: Arc<dyn Clock>,
    all: Mutex<HashMap<Sha256Digest, Session>>,
}

#[derive(Clone, Copy)]
struct Session {
    token: TokenId,
    ends: Duration,
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, all: Mutex::default() }
    }

    /// Begins one for the bearer of a token: its secret.
    pub fn begin(&self, token: TokenId, role: Role) -> std::io::Result<Token> {
        let secret = Token::draw(role).map_err(|error| std::io::Error::other(error.to_string()))?;
        let now = self.clock.steady();
        let mut all = self.all();
        all.retain(|_, session| session.ends > now);
        let own = all.values().filter(|session| session.token == token).count();
        let oldest = |is_meant: &dyn Fn(&Session) -> bool| {
            let meant = all.iter().filter(|(_, session)| is_meant(session));
            meant.min_by_key(|(_, session)| session.ends).map(|(digest, _)| *digest)
        };
        let gives_way = match MOST {
            (of_one, _) if own >= of_one => oldest(&|session| session.token == token),
            (_, of_all) if all.len() >= of_all => oldest(&|_| true),
            _ => None,
        };
        if let Some(digest) = gives_way {
            all.remove(&digest);
        }
        all.insert(secret.digest(), Session { token, ends: now + LASTS });
        Ok(secret)
    }

    /// The token that a session stands for.
    #[must_use]
    pub fn token(&self, secret: &Token) -> Option<TokenId> {
        let now = self.clock.steady();
        self.all().get(&secret.digest()).filter(|session| session.ends > now).map(|session| session.token)
    }

    /// Ends one.
    pub fn end(&self, secret: &Token) {
        self.all().remove(&secret.digest());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sha256Digest, Session>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HeldClock;

    #[test]
    fn a_session_lasts_a_day_or_until_it_is_ended() {
        let clock = Arc::new(HeldClock::default());
        let sessions = Sessions::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let token = TokenId::generate();
        let [first, second] = [(); 2].map(|()| sessions.begin(token, Role::Operate).unwrap());
        assert_eq!((sessions.token(&first), sessions.token(&second)), (Some(token), Some(token)));
        assert_eq!(sessions.token(&Token::draw(Role::Operate).unwrap()), None);
        sessions.end(&first);
        assert_eq!((sessions.token(&first), sessions.token(&second)), (None, Some(token)));
        clock.advance(LASTS);
        assert_eq!(sessions.token(&second), None);
    }

    #[test]
    fn of_too_many_the_oldest_end() {
        let clock = Arc::new(HeldClock::default());
        let sessions = Sessions::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let begin = |token| {
            clock.advance(Duration::from_millis(1));
            sessions.begin(token, Role::Submit).unwrap()
        };
        let first = begin(TokenId::generate());
        let token = TokenId::generate();
        let owns: Vec<_> = (0..=MOST.0).map(|_| begin(token)).collect();
        assert!(sessions.token(&first).is_some(), "one token's are no reason to end another's");
        assert!(sessions.token(&owns[0]).is_none() && owns[1..].iter().all(|own| sessions.token(own).is_some()));
        for _ in MOST.0 + 1..=MOST.1 {
            begin(TokenId::generate());
        }
        assert!(sessions.token(&first).is_none() && sessions.token(&owns[1]).is_some());
    }
}
