//! When the agent is to go, and how far it has got with going. First it drains: the frames in work are finished, everything
//! else goes back. If that takes somebody too long, it stops at once, and still gives its leases back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use haywain_shared::ids::JobId;
use haywain_shared::protocol::AgentOrder;
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What may make an agent go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// After it has had nothing to do for this long.
    pub idle: Option<Duration>,
    /// After it has worked on this many jobs, when it comes upon another.
    pub jobs: Option<u32>,
    /// How long frames in work may take once it leaves, for whatever reason.
    pub drain: Option<Duration>,
}

/// The agent's way out. Clones share it.
#[derive(Clone)]
pub struct Leaving {
    bounds: Bounds,
    /// Cancelled when no new work is to be taken, and what is not in work goes back.
    drain: CancellationToken,
    /// Cancelled when frames in work are put down, too.
    stop: CancellationToken,
    /// What the orchestrator wants.
    order: watch::Sender<AgentOrder>,
    busy: Arc<AtomicU32>,
    idle_since: Arc<Mutex<Instant>>,
    jobs: Arc<Mutex<Vec<JobId>>>,
}

/// Work that is under way; dropped when it is done.
pub struct Busy(Leaving);

impl Leaving {
    /// Nobody leaves yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
            order: watch::Sender::new(AgentOrder::Run),
            busy: Arc::default(),
            idle_since: Arc::new(Mutex::new(Instant::now())),
            jobs: Arc::default(),
        }
    }

    /// Takes no more work.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Puts everything down.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Cancelled when the agent drains on its way out.
    #[must_use]
    pub const fn draining(&self) -> &CancellationToken {
        &self.drain
    }

    /// Cancelled when it stops at once.
    #[must_use]
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// What the orchestrator wants.
    pub fn ordered(&self, order: AgentOrder) {
        self.order.send_if_modified(|current| std::mem::replace(current, order) != order);
    }

    /// What the orchestrator wants now.
    #[must_use]
    pub fn order(&self) -> AgentOrder {
        *self.order.borrow()
    }

    /// Whether frames that are not in work are to go back.
    #[must_use]
    pub fn gives_back(&self) -> bool {
        self.drain.is_cancelled() || self.order() == AgentOrder::Drain
    }

    /// Waits until frames that are not in work are to go back.
    pub async fn has_to_give_back(&self) {
        let mut order = self.order.subscribe();
        tokio::select! {
            () = self.drain.cancelled() => {}
            // The sender lives as long as this.
            _ = order.wait_for(|order| *order == AgentOrder::Drain) => {}
        }
    }

    /// Whether a batch of another job than those so far would be one too many.
    #[must_use]
    pub fn has_enough_jobs(&self) -> bool {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.is_enough(jobs)
    }

    fn is_enough(&self, jobs: usize) -> bool {
        self.bounds.jobs.is_some_and(|most| jobs >= most as usize)
    }

    /// The agent is known, and work may come: what it has waited until now was not for work.
    pub fn may_work(&self) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Something is to be done that is no batch of a job.
    #[must_use]
    pub fn begins_errand(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Waits until work may be taken; `None` when that will not come.
    pub async fn may_take_work(&self) -> Option<()> {
        let mut order = self.order.subscribe();
        tokio::select! {
            biased;
            () = self.drain.cancelled() => None,
            run = order.wait_for(|order| *order == AgentOrder::Run) => run.ok().map(drop),
        }
    }

    /// A batch of a job has come. If that is one job too many, the agent takes nothing more, this batch included.
    pub fn takes(&self, job: JobId) -> Option<Busy> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if !jobs.contains(&job) {
            if self.is_enough(jobs.len()) {
                tracing::info!(jobs = jobs.len(), "worked on as many jobs as it was to: leaving");
                self.drain();
                return None;
            }
            jobs.push(job);
        }
        drop(jobs);
        Some(self.begins_errand())
    }

    /// Sees to it that its bounds are kept, for as long as this is waited for.
    pub async fn keep_to_bounds(&self) {
        tokio::join!(self.watch_idleness(), self.watch_drain());
    }

    /// Puts down what is in work once it has been leaving for as long as it may.
    async fn watch_drain(&self) {
        let Some(limit) = self.bounds.drain else { return std::future::pending().await };
        self.drain.cancelled().await;
        tokio::time::sleep(limit).await;
        tracing::info!(limit_s = limit.as_secs(), "frames in work take longer than they may: stopping at once");
        self.stop();
    }

    /// Drains once there has been nothing to do for as long as was set; never if nothing was.
    async fn watch_idleness(&self) {
        let Some(limit) = self.bounds.idle else { return std::future::pending().await };
        loop {
            let since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = self.busy.load(Ordering::Relaxed) == 0;
            if idle && since.elapsed() >= limit {
                tracing::info!(idle_s = limit.as_secs(), "nothing to do for as long as it was to wait: leaving");
                self.drain();
                return;
            }
            let until = if idle { since + limit } else { Instant::now() + limit };
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_agent_leaves_and_a_busy_one_does_not() {
        let bounds = Bounds { idle: Some(Duration::from_mins(1)), ..Bounds::default() };
        let leaving = Leaving::new(bounds);
        let busy = leaving.takes(JobId::generate()).unwrap();
        let watch = leaving.clone();
        let started = Instant::now();
        let work = async {
            tokio::time::sleep(Duration::from_mins(5)).await;
            drop(busy);
        };
        tokio::join!(watch.watch_idleness(), work);
        assert!(leaving.draining().is_cancelled() && !leaving.stopping().is_cancelled());
        assert_eq!(started.elapsed().as_secs(), 360);
        assert_eq!(leaving.may_take_work().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_had_to_wait_until_it_was_known_is_idle_from_then_on() {
        let leaving = Leaving::new(Bounds { idle: Some(Duration::from_mins(1)), ..Bounds::default() });
        tokio::time::sleep(Duration::from_mins(5)).await;
        leaving.may_work();
        let known = Instant::now();
        leaving.watch_idleness().await;
        assert_eq!(known.elapsed().as_secs(), 60);
        assert!(leaving.draining().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_than_an_agent_may_to_leave_is_put_down() {
        let leaving = Leaving::new(Bounds { drain: Some(Duration::from_secs(30)), ..Bounds::default() });
        let watch = leaving.clone();
        let started = Instant::now();
        let asked = async {
            tokio::time::sleep(Duration::from_mins(5)).await;
            leaving.drain();
            assert!(!leaving.stopping().is_cancelled());
            leaving.stopping().cancelled().await;
        };
        tokio::select! {
            () = watch.keep_to_bounds() => panic!("it watches for idleness, too"),
            () = asked => {}
        }
        assert_eq!(started.elapsed().as_secs(), 330);
    }

    #[test]
    fn an_agent_leaves_at_the_first_job_too_many() {
        let leaving = Leaving::new(Bounds { jobs: Some(2), ..Bounds::default() });
        let jobs = [JobId::generate(), JobId::generate(), JobId::generate()];
        for (job, taken) in [(0, true), (1, true), (0, true), (2, false)] {
            assert_eq!(leaving.takes(jobs[job]).is_some(), taken, "job {job}");
        }
        assert!(leaving.draining().is_cancelled());
    }

    #[tokio::test]
    async fn the_orchestrator_s_order_is_followed_both_ways() {
        let leaving = Leaving::new(Bounds::default());
        assert_eq!(leaving.may_take_work().await, Some(()));
        leaving.ordered(AgentOrder::Drain);
        assert!(leaving.gives_back());
        let (resumed, ()) = tokio::join!(leaving.may_take_work(), async { leaving.ordered(AgentOrder::Run) });
        assert_eq!(resumed, Some(()));
        assert!(!leaving.gives_back());
    }
}
