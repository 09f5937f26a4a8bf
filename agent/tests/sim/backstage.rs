//! Where `SQLite` runs: on a thread of its own, with a runtime of its own, while the simulation's thread waits and virtual
//! time stands still. Seen from the simulation an operation of the store is done in line, in no time.

use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;

type Job = Box<dyn FnOnce(&tokio::runtime::Runtime) + Send>;

/// The thread. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Backstage(mpsc::Sender<Job>);

impl Backstage {
    pub(crate) fn open() -> (Self, JoinHandle<()>) {
        let (jobs, queue) = mpsc::channel::<Job>();
        // Made here, as tokio counts the runtimes that it seeds: two threads would take turns as chance has it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let work = move || {
            for job in queue {
                job(&runtime);
            }
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work).unwrap();
        (Self(jobs), thread)
    }

    /// Runs a future there, and waits for it without letting anything else run here.
    pub(crate) fn run<T: Send + 'static>(&self, work: BoxFuture<'static, T>) -> T {
        let (result, outcome) = mpsc::channel();
        let job = move |runtime: &tokio::runtime::Runtime| {
            let _ = result.send(runtime.block_on(work));
        };
        self.0.send(Box::new(job)).unwrap();
        outcome.recv().unwrap()
    }
}
