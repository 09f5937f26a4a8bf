//! Agents: who they are, and which life of each is the present one.

use haywain_shared::ids::{AgentId, Incarnation};
use sqlx::{Executor, Sqlite};

use super::columns::{database_error, integer};
use super::leases;
use super::writer::Tx;
use crate::store::{Registration, StoreError};

const INCARNATION: &str = "/* agent's incarnation */ SELECT incarnation FROM agents WHERE id = ?1";
const KEEP_AGENT: &str = "/* keep agent */
    INSERT INTO agents (id, name, incarnation, facts, registered_ms) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, incarnation = excluded.incarnation, facts = excluded.facts,
        registered_ms = excluded.registered_ms";

pub(super) async fn register(tx: &mut Tx, registration: Registration) -> Result<(), StoreError> {
    let agent = registration.agent;
    match incarnation(&mut tx.conn, agent).await? {
        Some(known) if known > registration.incarnation => return Err(StoreError::StaleIncarnation(agent)),
        Some(known) if known < registration.incarnation => leases::end_all_of(tx, agent).await?,
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
        .map(drop)
        .map_err(database_error)
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
    row.map(|row| {
        let number = integer(&row, "incarnation")?;
        u32::try_from(number).map(Incarnation).map_err(|_| StoreError::Inconsistent(format!("incarnation {number}")))
    })
    .transpose()
}
