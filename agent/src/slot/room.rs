//! A slot and the machine's memory: a scene is loaded where there is room for it, a session without work goes when its memory is
//! wanted or nobody has come back to it, and one that is told to stop does so at once.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::protocol::LeaseTiming;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Slot;
use super::berth::Berth;
use super::warmth::{Wanted, Warm};
use crate::blender::session::Failure;
use crate::memory::admission::{Admission, Need};
use crate::memory::{Account, LEAST_SESSION_BYTES, Stopped};

/// What is said of a machine that has no room for anything.
const TOO_LITTLE: &str =
    "too little memory for a Blender (--max-memory, --reserve-memory): taking no work until there is more";
/// How long a session may keep a scene warm that nobody asks for.
const IDLE: Duration = Duration::from_mins(10);
/// How long sessions may take to end that others wait for.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// How often memory is looked at that other programs have.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long a slot waits for the room that one scene needs, before it asks for whatever there is.
const WAIT_FOR_ROOM: Duration = Duration::from_mins(1);

/// Why a scene is not open.
pub(super) enum NotReady {
    /// It has failed.
    Failed(Failure),
    /// The work of others leaves no room for it.
    Crowded(Need),
}

impl From<Failure> for NotReady {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The slot is to close: to ask for room again would bring the same answer at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closing;

/// Waits for something. Meanwhile the session, if there is one, has nothing to do: it ends when it is told to, or after a while.
async fn idly<T>(account: &Account, session: &mut Option<Warm>, waiting: impl Future<Output = T>) -> T {
    tokio::pin!(waiting);
    let until = Instant::now() + IDLE;
    loop {
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            why = account.stopped(), if session.is_some() => {
                tracing::info!(%why, "session without work ended");
            }
            () = tokio::time::sleep_until(until), if session.is_some() => {
                tracing::info!(minutes = IDLE.as_secs() / 60, "session ended: nobody has asked for its scene");
            }
        }
        if let Some(warm) = session.take() {
            warm.end().await;
        }
    }
}

/// Waits until there may be room for a scene, or for as long as that is worth it.
async fn perhaps_room(account: &Account, need: Need, closing: &CancellationToken) -> Result<(), Closing> {
    let mut changes = account.changes();
    let until = Instant::now() + WAIT_FOR_ROOM;
    loop {
        changes.borrow_and_update();
        if !account.is_crowded_for(need) {
            return Ok(());
        }
        tokio::select! {
            () = closing.cancelled() => return Err(Closing),
            () = tokio::time::sleep_until(until) => return Ok(()),
            _ = changes.changed() => {}
            // What other programs give back, nobody tells.
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

impl Slot {
    /// Waits for something. Meanwhile the session has nothing to do: it ends when its memory is wanted, or after a while.
    pub(super) async fn meanwhile<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        self.berth.idly(waiting).await
    }

    /// Waits until there is room for a Blender at all, unless there is one.
    pub(super) async fn room_for_any(&mut self) {
        let mut changes = self.berth.account.changes();
        // What a session had that has just ended comes back in a moment.
        let mut looks = 0;
        let mut _note = None;
        while self.berth.warm.is_none() {
            changes.borrow_and_update();
            let room_bytes = self.berth.account.room_bytes();
            if room_bytes >= LEAST_SESSION_BYTES {
                return;
            }
            if looks == 1 {
                looks += 1;
                tracing::warn!(room_mib = room_bytes >> 20, least_mib = LEAST_SESSION_BYTES >> 20, "{TOO_LITTLE}");
                _note = Some(self.shop.board.note(TOO_LITTLE));
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => looks += 1,
            }
        }
    }

    /// Waits until the scene that the others had left no room for could be loaded, or for as long as that is worth it.
    pub(super) async fn room_for(&mut self, need: Need) -> Result<(), Closing> {
        tracing::info!(
            need_mib = need.most_bytes >> 20,
            "no room beside what is being rendered and other programs: the batch went back; waiting"
        );
        let need_mib = need.most_bytes >> 20;
        let waits = format!(
            "a slot waits for memory: a scene needs {need_mib} MiB beside those that are being rendered, and other programs"
        );
        let _note = self.shop.board.note(waits);
        let account = self.berth.account.clone();
        let closing = self.post.closing.clone();
        self.meanwhile(async move { perhaps_room(&account, need, &closing).await }).await
    }

    /// Ends the session after a frame if it is worn.
    pub(super) async fn replace_if_worn(&mut self) {
        let resident_bytes = self.berth.account.resident_bytes();
        let Some(worn) = self.berth.warm.as_mut().and_then(|warm| warm.wear.frame_done(resident_bytes)) else { return };
        tracing::info!(?worn, "session is replaced by a new one");
        self.berth.end_session().await;
    }
}

impl Berth {
    /// Waits for something. Meanwhile the session has nothing to do: it ends when its memory is wanted, or after a while.
    pub(super) async fn idly<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let had_session = self.warm.is_some();
        let done = idly(&self.account, &mut self.warm, waiting).await;
        if had_session && self.warm.is_none() {
            self.clear();
        }
        done
    }

    /// Has the room for a scene whose .blend has this size, once sessions without work have ended for it.
    pub(super) async fn has_room_for(&mut self, wanted: Wanted<'_>, blend_bytes: u64) -> Result<(), NotReady> {
        let (account, workload) = (self.account.clone(), &wanted.workload());
        if wanted.timing == LeaseTiming::Ahead {
            let need = account.need(workload, blend_bytes);
            return if account.ask_ahead(workload, need) { Ok(()) } else { Err(NotReady::Crowded(need)) };
        }
        let mut changes = account.changes();
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            changes.borrow_and_update();
            let need = account.need(workload, blend_bytes);
            match account.ask(workload, need) {
                Admission::Open => return Ok(()),
                Admission::Wait => return Err(NotReady::Crowded(need)),
                Admission::TooLarge { room_bytes } => {
                    let least_bytes = need.least_bytes.unwrap_or(need.most_bytes);
                    return Err(NotReady::Failed(Failure {
                        cause: Cause::OutOfMemory,
                        message: format!(
                            "the scene takes at least {} MiB of memory here, as was measured, and could have {} MiB: free some, or \
                             render it on a larger machine (see --max-memory and --reserve-memory)",
                            least_bytes >> 20,
                            room_bytes >> 20
                        ),
                        peak_memory_bytes: Some(least_bytes),
                    }));
                }
                Admission::EndIdle => tokio::select! {
                    _ = changes.changed() => {}
                    // Another slot may be asking just now, too.
                    why = account.stopped(), if self.warm.is_some() => {
                        tracing::info!(%why, "session without work ended");
                        self.end_session().await;
                    }
                    () = tokio::time::sleep_until(until) => return Err(NotReady::Crowded(need)),
                },
            }
        }
    }

    /// What is to be said of a frame whose session was told to stop. The session is the caller's to end.
    pub(super) fn starved(&self, why: Stopped) -> Failure {
        let peak_memory_bytes = self.account.rests(None);
        if self.warm.is_none() {
            self.account.could_not_open(peak_memory_bytes.unwrap_or(0));
        }
        let mib = peak_memory_bytes.unwrap_or(0) >> 20;
        Failure {
            cause: Cause::OutOfMemory,
            message: format!("Blender was stopped with {mib} MiB: {why}"),
            peak_memory_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
