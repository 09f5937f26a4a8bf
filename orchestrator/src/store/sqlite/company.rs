//! Who is there and who has fallen silent, by what is on disk and what is in memory together.

use std::sync::atomic::Ordering;
use std::time::Duration;

use haywain_shared::ids::AgentId;
use haywain_shared::job::{AgentState, JobReport, JobState};
use haywain_shared::protocol::LeaseTiming;

use super::grants::Company;
use super::{SqliteStore, agents, backups, needs, refusals, shelves};
use crate::queue::matching::{Applicant, why_it_waits};
use crate::store::{Lease, LeaseAsk, StoreError};

/// Heartbeats that an agent misses before its frames are begun elsewhere.
const MISSED_HEARTBEATS: u32 = 2;

impl SqliteStore {
    /// The moment on the steady clock after which an agent must have been heard of to be there.
    pub(super) fn lately(&self) -> Duration {
        self.clock.steady().saturating_sub(self.times.ttl)
    }

    /// Who else could take what `agent` does not.
    pub(super) async fn company(&self, agent: AgentId) -> Result<Company, StoreError> {
        let working = agents::working(&self.readers, self.clock.unix_ms()).await?;
        let since = self.lately();
        let presence = self.memory.presence();
        let others = presence.others(agent, since).iter().filter(|other| working.contains(other)).count();
        Ok(Company { slots: presence.slots(agent, since), others })
    }

    /// A frame of an agent that has missed two heartbeats, for the agent that asks and has nothing else to do.
    pub(super) async fn backup(&self, ask: LeaseAsk) -> Result<Option<Lease>, StoreError> {
        if ask.timing == LeaseTiming::Ahead {
            // It has something else to do.
            return Ok(None);
        }
        let suspects = self.memory.terms().silent(ask.agent, self.clock.steady().saturating_sub(self.silence()));
        if suspects.is_empty() {
            return Ok(None);
        }
        self.writer.write(move |tx| Box::pin(backups::grant(tx, ask, suspects))).await
    }

    /// Why none of the agents that are there and take work can take what a job has pending; empty if one can, or works on it.
    pub(super) async fn waits_for(&self, job: &JobReport) -> Result<Vec<String>, StoreError> {
        if job.counts.pending == 0
            || job.counts.leased > 0
            || !matches!(job.state, JobState::Pending | JobState::Running)
        {
            return Ok(Vec::new());
        }
        let now_ms = self.clock.unix_ms();
        let Some(mut needs) = needs::of_job(&self.readers, job.job_id, now_ms).await? else { return Ok(Vec::new()) };
        needs.ran_out_at_bytes = shelves::ran_out_at(&self.readers, job.job_id, now_ms).await?;
        let agents = agents::all(&self.readers, &self.memory, self.lately(), now_ms).await?;
        let online = agents.iter().filter(|agent| agent.state == AgentState::Online);
        Ok(why_it_waits(&needs, online.map(Applicant::of)))
    }

    /// How long an agent says nothing before its frames are begun elsewhere.
    fn silence(&self) -> Duration {
        MISSED_HEARTBEATS * self.times.heartbeat
    }

    /// Wakes those who wait for work when time itself has made some: a frame that was picky takes any agent now, an
    /// agent has been forgiven, or may be asked again for a job that it has refused, or one has fallen silent.
    pub(super) async fn ring_for_what_is_due(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_ms();
        let last_ms = self.memory.last_look_ms.swap(now_ms, Ordering::Relaxed);
        let fell_silent = {
            let terms = self.memory.terms();
            let (last, now) = (terms.last_sweep(), self.clock.steady());
            terms.fell_silent(last.saturating_sub(self.silence()), now.saturating_sub(self.silence()))
        };
        if fell_silent
            || shelves::came_due(&self.readers, last_ms, now_ms).await?
            || agents::came_back(&self.readers, last_ms, now_ms).await?
            || refusals::came_due(&self.readers, last_ms, now_ms).await?
        {
            self.memory.work.send_replace(());
        }
        Ok(())
    }
}
