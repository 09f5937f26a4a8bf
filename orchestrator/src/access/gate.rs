//! The gate at run time: whether tokens are asked for now, and word of tokens that were made or revoked, also by another
//! process, to those who hold a call open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Caller;
use super::doors::{Doors, Reach, Strangers};
use crate::store::{Admission, Store};

/// How often it is looked whether tokens have changed. A call that begins later than a revocation is refused at once; one that is
/// open already ends within this time.
const LOOK: Duration = Duration::from_secs(1);

/// The gate.
pub struct Gate {
    doors: Doors,
    reach: Reach,
    strangers: Strangers,
    changes: watch::Sender<u64>,
}

/// Word of changes since some moment.
pub struct Changes(watch::Receiver<u64>);

impl Gate {
    /// A gate that asks for tokens as `doors` say, of which the last change is `changes`.
    #[must_use]
    pub fn new(doors: Doors, reach: Reach, strangers: Strangers, changes: u64) -> Self {
        Self { doors, reach, strangers, changes: watch::Sender::new(changes) }
    }

    /// From where the orchestrator can be reached.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// How far the orchestrator can be reached, and by whom.
    #[must_use]
    pub const fn doors(&self) -> Doors {
        self.doors
    }

    /// Whether people without a token may submit jobs.
    #[must_use]
    pub const fn strangers(&self) -> Strangers {
        self.strangers
    }

    /// Whether a token is asked for.
    #[must_use]
    pub fn asks(&self) -> bool {
        match self.doors {
            Doors::Insecure => false,
            Doors::Locked => true,
            Doors::Loopback => *self.changes.borrow() > 0,
        }
    }

    /// Looks for changes until `stop`.
    pub async fn watch(self: Arc<Self>, store: Arc<dyn Store>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match store.token_changes().await {
                Ok(now) => {
                    self.changes.send_if_modified(|known| std::mem::replace(known, now) != now);
                }
                Err(error) => tracing::error!(%error, "looking for revoked tokens"),
            }
        }
    }

    /// Hears of changes from now on. Whoever is to be shut out listens before it is looked whether it is let in, so that nothing
    /// comes between.
    #[must_use]
    pub fn listen(&self) -> Changes {
        Changes(self.changes.subscribe())
    }

    /// Waits until a caller is to be let in no longer: its token is revoked or expires, or tokens are asked for all of a sudden.
    pub fn shut_out(
        self: &Arc<Self>,
        Changes(mut changes): Changes,
        caller: &Caller,
        store: Arc<dyn Store>,
    ) -> impl Future<Output = ()> + use<> {
        let (caller, gate) = (caller.clone(), Arc::clone(self));
        async move {
            let mut pass = match caller {
                Caller::Bearer(pass) => pass,
                Caller::Stranger => return std::future::pending().await,
                Caller::Anybody => {
                    // The gate outlives every call.
                    while !gate.asks() && changes.changed().await.is_ok() {}
                    return;
                }
            };
            loop {
                let expiry = async {
                    match pass.good_for {
                        Some(left) => tokio::time::sleep(left).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = expiry => {}
                    news = changes.changed() => if news.is_err() { return },
                }
                match store.admit_again(pass.token).await {
                    Ok(Admission::Granted(still)) => pass = still,
                    // Where nobody can say whether it is still good, it is not.
                    Ok(Admission::Over(_) | Admission::Unknown) | Err(_) => return,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::digest::Sha256Digest;
    use haywain_shared::ids::TokenId;
    use haywain_shared::token::Role;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::clock::HeldClock;
    use crate::store::NewToken;
    use crate::store::sqlite::{LeaseTimes, SqliteStore};

    #[tokio::test]
    async fn a_token_that_is_revoked_while_its_call_is_let_in_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let second = Duration::from_secs(1);
        let times = LeaseTimes { ttl: second, heartbeat: second, absence: second };
        let file = folder.path().join("queue.sqlite");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let store =
            SqliteStore::open(&file, times, Arc::new(HeldClock::default()), &tasks, stop.clone()).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let digest = Sha256Digest::of(b"ann's");
        let id = TokenId::generate();
        let token = NewToken { id, name: "ann".to_owned(), role: Role::Submit, digest, good_for: None, uses: None };
        store.keep_token(token).await.unwrap();
        let changes = store.token_changes().await.unwrap();
        let gate = Arc::new(Gate::new(Doors::Locked, Reach::Away, Strangers::Refused, changes));

        let (heard, mut seen) = (gate.listen(), gate.changes.subscribe());
        let Admission::Granted(pass) = store.admit(digest).await.unwrap() else { panic!("it is good") };
        store.revoke_token(id).await.unwrap();
        tasks.spawn(Arc::clone(&gate).watch(Arc::clone(&store), stop.clone()));
        seen.changed().await.unwrap();
        // Only now does the call begin to look.
        let out = gate.shut_out(heard, &Caller::Bearer(pass), Arc::clone(&store));
        tokio::time::timeout(Duration::from_secs(10), out).await.expect("it hears what came before");
        stop.cancel();
    }
}
