//! Agents: who they are, and which life of each is the present one.

use std::collections::HashSet;
use std::time::Duration;

use haywain_shared::ids::{AgentId, Incarnation};
use haywain_shared::job::{AgentReport, AgentState, EventKind};
use haywain_shared::protocol::{AgentOrder, Backups};
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, Sqlite, SqlitePool};

use super::Memory;
use super::columns::{agent_id, as_ms, database_error, integer, moment, optional_integer, text};
use super::events::{self, Subject};
use super::leases;
use super::writer::Tx;
use crate::clock::UnixMs;
use crate::queue::matching::Applicant;
use crate::queue::retry::ASIDE;
use crate::store::{AgentCommand, AgentFacts, LeaseAsk, Registration, StoreError};

const INCARNATION: &str = "/* agent's incarnation */ SELECT incarnation FROM agents WHERE id = ?1";
const KNOWN: &str = "/* known agent */ SELECT name, facts FROM agents WHERE id = ?1";
const KEEP_AGENT: &str = "/* keep agent */
    INSERT INTO agents (id, name, incarnation, facts, registered_ms) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, incarnation = excluded.incarnation, facts = excluded.facts,
        registered_ms = excluded.registered_ms";
const TAKES_WORK: &str = "/* agent takes work */
    SELECT standing = 'run' AND (coalesce(aside_until_ms, 0) <= ?2 OR aside_until_ms > ?3 AND aside_until_ms < ?4) AS takes
    FROM agents WHERE id = ?1";
const WORKING: &str = "/* agents that take work */
    SELECT id FROM agents
    WHERE standing = 'run' AND (coalesce(aside_until_ms, 0) <= ?1 OR aside_until_ms > ?2 AND aside_until_ms < ?3)";
const STANDING: &str = "/* agent's standing */ SELECT standing FROM agents WHERE id = ?1";
const SET_ASIDE: &str = "/* set agent aside */ UPDATE agents SET aside_until_ms = ?2 WHERE id = ?1";
const SET_STANDING: &str = "/* set agent's standing */
    UPDATE agents SET standing = ?2, aside_until_ms = CASE ?2 WHEN 'run' THEN NULL ELSE aside_until_ms END WHERE id = ?1";
const FORGET: &str = "/* forget agent */ UPDATE agents SET incarnation = -1, aside_until_ms = NULL WHERE id = ?1";
const ALL: &str = "/* all agents */
    SELECT id, name, facts, registered_ms, standing, aside_until_ms FROM agents WHERE incarnation >= 0
    ORDER BY name, id";
const BACK_FROM_ASIDE: &str = "/* agents back from being set aside */
    SELECT EXISTS (SELECT 1 FROM agents WHERE aside_until_ms > ?1 AND aside_until_ms <= ?2) AS back";

/// Set aside until somebody resumes it.
const FOR_EVER: UnixMs = UnixMs::MAX;

pub(super) async fn register(tx: &mut Tx, registration: Registration) -> Result<(), StoreError> {
    let agent = registration.agent;
    match incarnation(&mut tx.conn, agent).await? {
        Some(known) if known > registration.incarnation => return Err(StoreError::StaleIncarnation(agent)),
        Some(known) if known < registration.incarnation => leases::end_all_of_agent(tx, agent).await?,
        Some(_) | None => {}
    }
    let facts =
        serde_json::to_string(&registration.facts).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    sqlx::query(KEEP_AGENT)
        .bind(&agent.as_bytes()[..])
        .bind(registration.name)
        .bind(registration.incarnation.0)
        .bind(facts)
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    events::note(tx, EventKind::AgentRegistered, &Subject::agent(agent), "").await
}

pub(super) async fn leave(tx: &mut Tx, agent: AgentId, incarnation: Incarnation) -> Result<(), StoreError> {
    check(&mut tx.conn, agent, incarnation).await?;
    leases::end_all_of_agent(tx, agent).await?;
    events::note(tx, EventKind::AgentChanged, &Subject::agent(agent), "left").await
}

/// An agent by what it told about itself.
pub(super) struct Known {
    name: String,
    facts: AgentFacts,
}

impl Known {
    /// Whether it is to be given no frame that another agent has in work.
    pub(super) fn declines_backups(&self) -> bool {
        self.facts.abilities.backups == Backups::Declined
    }

    /// The agent as the one that asks for a lease.
    pub(super) fn applicant<'a>(&'a self, ask: &'a LeaseAsk) -> Applicant<'a> {
        Applicant {
            id: ask.agent,
            name: &self.name,
            blenders: &self.facts.blenders,
            abilities: &self.facts.abilities,
            devices: ask.devices.as_deref(),
            memory_available_bytes: ask.memory_available_bytes,
        }
    }

    /// The agent with all that it has, as if it had nothing to do.
    pub(super) fn at_rest(&self, id: AgentId) -> Applicant<'_> {
        let AgentFacts { blenders, abilities, .. } = &self.facts;
        Applicant { id, name: &self.name, blenders, abilities, devices: None, memory_available_bytes: u64::MAX }
    }
}

/// What an agent told about itself.
pub(super) async fn known(tx: &mut Tx, agent: AgentId) -> Result<Known, StoreError> {
    let row = sqlx::query(KNOWN)
        .bind(&agent.as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownAgent(agent))?;
    Ok(Known { name: text(&row, "name")?, facts: read_facts(&row)? })
}

fn read_facts(row: &SqliteRow) -> Result<AgentFacts, StoreError> {
    serde_json::from_str(&text(row, "facts")?).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

/// Whether an agent may have work now.
pub(super) async fn takes_work(tx: &mut Tx, agent: AgentId) -> Result<bool, StoreError> {
    let row = sqlx::query(TAKES_WORK)
        .bind(&agent.as_bytes()[..])
        .bind(tx.now_ms)
        .bind(tx.now_ms + as_ms(ASIDE))
        .bind(FOR_EVER)
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(integer(&row, "takes")? != 0)
}

/// The agents that may have work now, there or not.
pub(super) async fn working(readers: &SqlitePool, now_ms: UnixMs) -> Result<HashSet<AgentId>, StoreError> {
    let rows = sqlx::query(WORKING)
        .bind(now_ms)
        .bind(now_ms + as_ms(ASIDE))
        .bind(FOR_EVER)
        .fetch_all(readers)
        .await
        .map_err(database_error)?;
    rows.iter().map(|row| agent_id(row, "id")).collect()
}

/// What an agent is to do.
pub(super) async fn order(readers: &SqlitePool, agent: AgentId) -> Result<AgentOrder, StoreError> {
    let row = sqlx::query(STANDING)
        .bind(&agent.as_bytes()[..])
        .fetch_optional(readers)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownAgent(agent))?;
    Ok(if text(&row, "standing")? == "run" { AgentOrder::Run } else { AgentOrder::Drain })
}

/// Sets an agent aside that has failed on several jobs in a row; it is forgiven after a while.
pub(super) async fn set_aside_for_a_while(tx: &mut Tx, agent: AgentId) -> Result<(), StoreError> {
    tracing::warn!(%agent, minutes = ASIDE.as_secs() / 60, "an agent that fails on several jobs in a row is set aside");
    set_aside(tx, agent, tx.now_ms + as_ms(ASIDE)).await?;
    let detail = "set aside: it failed on several jobs in a row";
    events::note(tx, EventKind::AgentChanged, &Subject::agent(agent), detail).await
}

async fn set_aside(tx: &mut Tx, agent: AgentId, until_ms: UnixMs) -> Result<(), StoreError> {
    sqlx::query(SET_ASIDE)
        .bind(&agent.as_bytes()[..])
        .bind(until_ms)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// Whether an agent that was set aside has been forgiven between two moments.
pub(super) async fn came_back(readers: &SqlitePool, after_ms: UnixMs, by_ms: UnixMs) -> Result<bool, StoreError> {
    let row =
        sqlx::query(BACK_FROM_ASIDE).bind(after_ms).bind(by_ms).fetch_one(readers).await.map_err(database_error)?;
    Ok(integer(&row, "back")? != 0)
}

/// Whether an agent is there, as whoever keeps the presence knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attendance {
    Present,
    Absent,
}

pub(super) async fn control(
    tx: &mut Tx,
    agent: AgentId,
    command: AgentCommand,
    attendance: Attendance,
) -> Result<(), StoreError> {
    incarnation(&mut tx.conn, agent).await?.ok_or(StoreError::UnknownAgent(agent))?;
    let detail = match (command, attendance) {
        (AgentCommand::Drain, _) => {
            set_standing(tx, agent, "drain").await?;
            "drained"
        }
        (AgentCommand::Resume, _) => {
            set_standing(tx, agent, "run").await?;
            tx.work_made();
            "resumed"
        }
        (AgentCommand::SetAside, _) => {
            set_aside(tx, agent, FOR_EVER).await?;
            "set aside"
        }
        (AgentCommand::Forget, Attendance::Present) => {
            let reason = format!("agent {agent} is there: stop it first, or it would register again at once");
            return Err(StoreError::IllegalMove(reason));
        }
        (AgentCommand::Forget, Attendance::Absent) => {
            leases::end_all_of_agent(tx, agent).await?;
            sqlx::query(FORGET).bind(&agent.as_bytes()[..]).execute(&mut tx.conn).await.map_err(database_error)?;
            "forgotten"
        }
    };
    events::note(tx, EventKind::AgentChanged, &Subject::agent(agent), detail).await
}

async fn set_standing(tx: &mut Tx, agent: AgentId, standing: &'static str) -> Result<(), StoreError> {
    sqlx::query(SET_STANDING)
        .bind(&agent.as_bytes()[..])
        .bind(standing)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// The agents that are known. `since` is the moment on the steady clock after which one must have been heard of to be there.
pub(super) async fn all(
    readers: &SqlitePool,
    memory: &Memory,
    since: Duration,
    now_ms: UnixMs,
) -> Result<Vec<AgentReport>, StoreError> {
    let rows = sqlx::query(ALL).fetch_all(readers).await.map_err(database_error)?;
    rows.iter().map(|row| report(row, memory, since, now_ms)).collect()
}

/// Whether an agent is set aside now. What is further away than anybody is set aside for, and not for ever, is from before
/// the wall's clock was set back.
fn is_aside(until_ms: UnixMs, now_ms: UnixMs) -> bool {
    until_ms == FOR_EVER || (until_ms > now_ms && until_ms <= now_ms + as_ms(ASIDE))
}

fn aside_until_ms(row: &SqliteRow, now_ms: UnixMs) -> Result<Option<UnixMs>, StoreError> {
    Ok(optional_integer(row, "aside_until_ms")?.filter(|until_ms| is_aside(*until_ms, now_ms)))
}

/// How an agent stands that was heard of last at `seen`.
pub(super) fn state(
    row: &SqliteRow,
    seen: Option<Duration>,
    since: Duration,
    now_ms: UnixMs,
) -> Result<AgentState, StoreError> {
    Ok(if seen.is_none_or(|at| at < since) {
        AgentState::Offline
    } else if aside_until_ms(row, now_ms)?.is_some() {
        AgentState::SetAside
    } else if text(row, "standing")? == "run" {
        AgentState::Online
    } else {
        AgentState::Draining
    })
}

fn report(row: &SqliteRow, memory: &Memory, since: Duration, now_ms: UnixMs) -> Result<AgentReport, StoreError> {
    let agent_id = agent_id(row, "id")?;
    let facts = read_facts(row)?;
    let seen = memory.presence().last_seen(agent_id);
    let aside_until_ms = aside_until_ms(row, now_ms)?;
    let state = state(row, seen.map(|(at, _)| at), since, now_ms)?;
    Ok(AgentReport {
        agent_id,
        name: text(row, "name")?,
        state,
        aside_until: aside_until_ms.and_then(|until_ms| jiff::Timestamp::from_millisecond(until_ms).ok()),
        machine: facts.machine,
        blenders: facts.blenders,
        abilities: facts.abilities,
        slots: memory.presence().slots_of(agent_id).unwrap_or(facts.slots),
        registered_at: moment(row, "registered_ms")?,
        sample: seen.and_then(|(_, sample)| sample),
        leases: u32::try_from(memory.terms().held_by(agent_id)).unwrap_or(u32::MAX),
        idle_because: None,
    })
}

/// Refuses a call that does not come from the present life of a known agent.
pub(super) async fn check<'c>(
    db: impl Executor<'c, Database = Sqlite>,
    agent: AgentId,
    incarnation_of_caller: Incarnation,
) -> Result<(), StoreError> {
    match incarnation(db, agent).await? {
        None => Err(StoreError::UnknownAgent(agent)),
        Some(known) if known > incarnation_of_caller => Err(StoreError::StaleIncarnation(agent)),
        // A life that has not registered yet: its predecessor's registration does not speak for it.
        Some(known) if known < incarnation_of_caller => Err(StoreError::UnknownAgent(agent)),
        Some(_) => Ok(()),
    }
}

async fn incarnation<'c>(
    db: impl Executor<'c, Database = Sqlite>,
    agent: AgentId,
) -> Result<Option<Incarnation>, StoreError> {
    let row = sqlx::query(INCARNATION).bind(&agent.as_bytes()[..]).fetch_optional(db).await.map_err(database_error)?;
    let number = row.map(|row| integer(&row, "incarnation")).transpose()?;
    // A forgotten agent has a number that no life has.
    Ok(number.and_then(|number| u32::try_from(number).ok()).map(Incarnation))
}
