//! The farm in numbers. What it costs goes with the jobs that are not over and the agents that are known; ended jobs are kept in
//! sum by the database itself.

use std::time::Duration;

use haywain_shared::job::{AgentState, FrameCounts, JobState};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::agents;
use super::columns::{agent_id, count, database_error, optional_integer, text};
use super::memory::Memory;
use crate::clock::UnixMs;
use crate::store::{AgentsInState, Census, JobsInState, StoreError};

const JOBS: &str = "/* census of jobs */
    SELECT CASE WHEN control = 'paused' THEN 'paused' WHEN started_ms IS NULL THEN 'pending' ELSE 'running' END AS state,
        count(*) AS jobs, sum(pending) AS pending, sum(leased) AS leased, sum(done) AS done, sum(failed) AS failed,
        min(CASE WHEN pending > 0 AND control = 'active' THEN waiting_since_ms END) AS waiting_since_ms
    FROM jobs WHERE pending + leased > 0 AND control <> 'cancelled' GROUP BY 1
    UNION ALL SELECT state, jobs, pending, leased, done, failed, NULL FROM ended_jobs";
const AGENTS: &str = "/* census of agents */ SELECT id, standing, aside_until_ms FROM agents WHERE incarnation >= 0";

const JOB_STATES: [(&str, JobState); 6] = [
    ("pending", JobState::Pending),
    ("running", JobState::Running),
    ("paused", JobState::Paused),
    ("completed", JobState::Completed),
    ("failed", JobState::Failed),
    ("cancelled", JobState::Cancelled),
];
const AGENT_STATES: [AgentState; 4] =
    [AgentState::Online, AgentState::Draining, AgentState::SetAside, AgentState::Offline];

/// `since` is the moment on the steady clock after which an agent must have been heard of to be there.
pub(super) async fn take(
    readers: &SqlitePool,
    memory: &Memory,
    since: Duration,
    now_ms: UnixMs,
) -> Result<Census, StoreError> {
    let rows = sqlx::query(JOBS).fetch_all(readers).await.map_err(database_error)?;
    let jobs = JOB_STATES.iter().map(|(word, state)| of_jobs(&rows, word, *state)).collect::<Result<_, _>>()?;
    let since_when = rows.iter().map(|row| optional_integer(row, "waiting_since_ms")).collect::<Result<Vec<_>, _>>()?;
    let longest_wait = since_when.into_iter().flatten().min().map(|since_ms| {
        // The wall's clock may have been set back.
        Duration::from_millis(u64::try_from(now_ms - since_ms).unwrap_or(0))
    });
    let rows = sqlx::query(AGENTS).fetch_all(readers).await.map_err(database_error)?;
    let agents = of_agents(&rows, memory, since, now_ms)?;
    let leases = memory.terms().count();
    Ok(Census { jobs, longest_wait, agents, leases })
}

fn of_jobs(rows: &[SqliteRow], word: &str, state: JobState) -> Result<JobsInState, StoreError> {
    for row in rows {
        if text(row, "state")? == word {
            let [pending, leased] = [count(row, "pending")?, count(row, "leased")?];
            let [done, failed] = [count(row, "done")?, count(row, "failed")?];
            let frames = FrameCounts { total: pending + leased + done + failed, pending, leased, done, failed };
            return Ok(JobsInState { state, jobs: count(row, "jobs")?, frames });
        }
    }
    Ok(JobsInState { state, jobs: 0, frames: FrameCounts::default() })
}

fn of_agents(
    rows: &[SqliteRow],
    memory: &Memory,
    since: Duration,
    now_ms: UnixMs,
) -> Result<Vec<AgentsInState>, StoreError> {
    let mut found = AGENT_STATES.map(|state| AgentsInState { state, agents: 0, slots: 0 });
    for row in rows {
        let agent = agent_id(row, "id")?;
        let state = agents::state(row, memory.presence().last_seen(agent).map(|(at, _)| at), since, now_ms)?;
        if let Some(same) = found.iter_mut().find(|found| found.state == state) {
            same.agents += 1;
            if state != AgentState::Offline {
                same.slots += u64::from(memory.presence().slots_of(agent).unwrap_or(0));
            }
        }
    }
    Ok(found.into())
}

#[cfg(test)]
pub(super) async fn explain(readers: &SqlitePool) -> Vec<String> {
    use sqlx::{AssertSqlSafe, Row as _};
    let mut plans = Vec::new();
    for sql in [JOBS, AGENTS] {
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(readers).await.unwrap();
        plans.push(rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n"));
    }
    plans
}
