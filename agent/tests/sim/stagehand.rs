//! Where files are read and written: on the thread that tokio has for what blocks, which works only while the simulation's
//! own has nothing to do and waits for it. Left to itself it would end sooner or later than other tasks, and a task that finds
//! its file written is polled less often than one that has to wait: `select!` and `watch` draw from the runtime's random
//! numbers at each poll, so that the whole rest of the run would go otherwise.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;

/// Keeps the thread in step. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stagehand(Arc<(Mutex<Stage>, Condvar)>);

#[derive(Default)]
struct Stage {
    /// Threads that tokio has asked for and that have not ended. It has one at a time, which ends when nothing is left to do.
    called: usize,
    /// Whether they may work.
    is_free: bool,
    /// Whether nobody waits for them any more.
    is_over: bool,
}

impl Stagehand {
    /// Has the runtime keep to it.
    pub(crate) fn serve(&self, runtime: &mut Builder) {
        let (called, begins, waits, ends) = (self.clone(), self.clone(), self.clone(), self.clone());
        runtime
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::ZERO)
            // Asked on the simulation's thread whenever a thread is started: the only sign of it.
            .thread_name_fn(move || {
                called.change(|stage| stage.called += 1);
                "files".to_owned()
            })
            .on_thread_start(move || begins.wait_until(|stage| stage.is_free || stage.is_over))
            .on_thread_stop(move || ends.change(|stage| stage.called -= 1))
            .on_thread_park(move || {
                waits.change(|stage| stage.is_free = true);
                waits.wait_until(|stage| stage.called == 0 || stage.is_over);
                waits.change(|stage| stage.is_free = false);
            });
    }

    fn change(&self, change: impl FnOnce(&mut Stage)) {
        let (stage, changed) = &*self.0;
        change(&mut stage.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    fn wait_until(&self, is_so: impl Fn(&Stage) -> bool) {
        let (stage, changed) = &*self.0;
        let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(stage, |stage| !is_so(stage)).unwrap_or_else(PoisonError::into_inner));
    }
}

/// A runtime that is dropped waits for its threads: they must not wait for it.
pub(crate) struct Curtain(pub(crate) Stagehand);

impl Drop for Curtain {
    fn drop(&mut self) {
        self.0.change(|stage| stage.is_over = true);
    }
}
