//! How often each may call, and how much may be under way at once. A token has limits of its own, wherever its bearers are: behind one
//! address may be a whole studio. Only who has none goes by the address. Where no token is asked for, only the sums count.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use haywain_shared::ids::TokenId;

use super::Caller;
use super::table::{Load, Rule, To};
use crate::clock::Clock;

/// Calls a second of one token, in the long run, and at once after a pause.
const OF_A_TOKEN: (NonZeroU32, NonZeroU32) = (per(200), per(1000));
/// The same for those at one address who have none, or none that is good.
const OF_STRANGERS: (NonZeroU32, NonZeroU32) = (per(10), per(100));
/// How often what is known of callers is looked through for those who have not called lately, in calls.
const FORGET_EVERY: u32 = 1024;

const fn per(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

/// How much of a kind may be under way at once: for one, and for all of a side.
const fn most(load: Load) -> Option<(usize, usize)> {
    match load {
        Load::Short => None,
        Load::Upload | Load::Download => Some((32, 256)),
        // Each is held in memory, whole and once more as it is understood.
        Load::Manifest => Some((4, 16)),
        // An agent has up to 1024 slots, each of which waits.
        Load::Poll => Some((1100, 50_000)),
        Load::Stream => Some((32, 1000)),
    }
}

/// When to try again what was too much at once.
const fn again_in(load: Load) -> Duration {
    match load {
        Load::Short | Load::Upload | Load::Download | Load::Manifest => Duration::from_secs(1),
        Load::Poll | Load::Stream => Duration::from_secs(5),
    }
}

/// Agents, or everybody else: what some do at once is no reason to keep the others waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Agents,
    Others,
}

impl Side {
    const fn of(rule: &Rule) -> Self {
        match rule.to {
            To::Agents | To::Newcomers => Self::Agents,
            To::Everybody | To::Plain | To::Clients | To::Operators => Self::Others,
        }
    }
}

/// What is counted: a load of a side, all of it or one caller's.
type Count = (Load, Side, Option<Whose>);

/// Whose limits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// A token's.
    Token(TokenId),
    /// An address's.
    Address(IpAddr),
}

impl Whose {
    /// Of those at an address. Somebody with IPv6 has a whole network of them.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Of a caller at an address; of nobody where no token is asked for.
    #[must_use]
    pub fn of(caller: &Caller, address: Option<IpAddr>) -> Option<Self> {
        match caller {
            Caller::Anybody => None,
            Caller::Bearer(pass) => Some(Self::Token(pass.token)),
            Caller::Stranger => address.map(Self::at),
        }
    }
}

/// The steady clock, as the limiter reads it.
#[derive(Clone)]
struct Steady(Arc<dyn Clock>);

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.steady()
    }
}

type Limiter = RateLimiter<Whose, HashMapStateStore<Whose>, Steady, NoOpMiddleware<Duration>>;

/// The limits, and what is under way.
pub struct Limits {
    clock: Steady,
    tokens: Limiter,
    strangers: Limiter,
    calls: AtomicU32,
    crowd: Mutex<HashMap<Count, usize>>,
}

impl Limits {
    /// Limits of which nothing is used up.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = Steady(clock);
        let limiter = |(each_second, at_once): (NonZeroU32, NonZeroU32)| {
            let quota = Quota::per_second(each_second).allow_burst(at_once);
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        };
        let (tokens, strangers) = (limiter(OF_A_TOKEN), limiter(OF_STRANGERS));
        Self { clock, tokens, strangers, calls: AtomicU32::new(0), crowd: Mutex::default() }
    }

    /// Somebody calls: when to try again, if it is too often.
    pub fn call(&self, whose: Whose) -> Result<(), Duration> {
        let limiter = match whose {
            Whose::Token(_) => &self.tokens,
            Whose::Address(_) => &self.strangers,
        };
        if self.calls.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&whose).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Something begins that is not over at once: its place, or when to try again if there is none.
    pub fn begin(self: &Arc<Self>, whose: Option<Whose>, rule: &Rule) -> Result<Option<Place>, Duration> {
        let (load, side) = (rule.load, Side::of(rule));
        let Some((each, all)) = most(load) else { return Ok(None) };
        let mut crowd = self.crowd();
        let count = |whose: Option<Whose>| crowd.get(&(load, side, whose)).copied().unwrap_or(0);
        if count(None) >= all || whose.is_some() && count(whose) >= each {
            return Err(again_in(load));
        }
        *crowd.entry((load, side, None)).or_default() += 1;
        if whose.is_some() {
            *crowd.entry((load, side, whose)).or_default() += 1;
        }
        Ok(Some(Place { limits: Arc::clone(self), load, side, whose }))
    }

    fn crowd(&self) -> MutexGuard<'_, HashMap<Count, usize>> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among what is under way, for as long as it is kept.
pub struct Place {
    limits: Arc<Limits>,
    load: Load,
    side: Side,
    whose: Option<Whose>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.limits.crowd();
        let Self { load, side, whose, .. } = *self;
        let keys = [Some((load, side, None)), whose.map(|whose| (load, side, Some(whose)))];
        for key in keys.into_iter().flatten() {
            if let Some(count) = crowd.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    crowd.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::access::table::rule_of;
    use crate::clock::HeldClock;

    fn address(text: &str) -> Whose {
        Whose::at(text.parse().unwrap())
    }

    #[test]
    fn each_token_has_its_own_and_strangers_share_their_address() {
        let clock = Arc::new(HeldClock::default());
        clock.advance(Duration::from_hours(1));
        let limits = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let calls = |whose: Whose| (0..5000).take_while(|_| limits.call(whose).is_ok()).count();
        let (ann, bob) = (Whose::Token(TokenId::generate()), Whose::Token(TokenId::generate()));
        assert_eq!((calls(ann), calls(bob), calls(ann)), (1000, 1000, 0));
        assert_eq!((calls(address("10.0.0.1")), calls(address("10.0.0.2")), calls(address("10.0.0.1"))), (100, 100, 0));
        let waits = limits.call(ann).unwrap_err();
        assert!(waits > Duration::ZERO && waits <= Duration::from_millis(5), "{waits:?}");
        clock.advance(waits);
        assert_eq!(calls(ann), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!((calls(ann), calls(address("10.0.0.1"))), (200, 10));
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        assert_eq!(address("2001:db8:1:2::3"), address("2001:db8:1:2:ffff::"));
        assert_ne!(address("2001:db8:1:2::3"), address("2001:db8:1:3::3"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }

    #[test]
    fn so_much_is_under_way_at_once_and_no_more() {
        let limits = Arc::new(Limits::new(Arc::new(HeldClock::default())));
        let rule = |method, path| rule_of(&method, path).unwrap();
        let upload = rule(Method::PUT, "/api/v1/blobs/{blob}");
        let begin = |whose| limits.begin(whose, upload);
        let (ann, bob) = (Some(Whose::Token(TokenId::generate())), Some(Whose::Token(TokenId::generate())));
        let mut anns: Vec<_> = (0..32).map(|_| begin(ann).unwrap()).collect();
        assert_eq!(begin(ann).err(), Some(Duration::from_secs(1)));
        assert!(begin(bob).is_ok(), "each has its own");
        anns.pop();
        anns.push(begin(ann).unwrap());
        let others: Vec<_> = (0..224).map(|_| begin(None).unwrap()).collect();
        assert!(begin(bob).is_err() && begin(None).is_err(), "together they have 256");
        let short = rule(Method::GET, "/api/v1/jobs");
        let stream = limits.begin(ann, rule(Method::GET, "/api/v1/events"));
        assert!(stream.is_ok() && limits.begin(ann, short).unwrap().is_none());
        // Whatever clients do at once, frames come back, and the other way round.
        let frame = rule(Method::PUT, "/api/v1/agent/leases/{lease}/frames/{frame}");
        let frames: Vec<_> = (0..256).map(|_| limits.begin(None, frame).unwrap()).collect();
        assert!(limits.begin(None, frame).is_err());
        drop((anns, others, stream));
        assert!(begin(bob).is_ok());
        drop(frames);
        assert!(limits.crowd().is_empty());
    }
}
