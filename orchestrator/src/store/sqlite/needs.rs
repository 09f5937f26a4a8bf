//! What jobs need, as the database has it.

use haywain_shared::ids::JobId;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::columns::{
    damaged, database_error, device, optional_integer, optional_text, options, requirements, saved_by,
};
use super::refusals;
use crate::clock::UnixMs;
use crate::queue::choose::LOOKED_AT;
use crate::queue::matching::Needs;
use crate::queue::submitter::Submitter;
use crate::store::StoreError;

const NEXT_NEEDS: &str = "/* what the next jobs need */
    SELECT options, requirements, pinned, pinned_device,
        (SELECT looks FROM scenes WHERE scenes.id = scene_id) AS looks,
        (SELECT saved_by FROM scenes WHERE scenes.id = scene_id) AS saved_by,
        (SELECT json_group_array(json_array(hex(agent_id), until_ms, message))
            FROM refusals WHERE refusals.job_id = jobs.id) AS refusals,
        (SELECT name FROM tokens WHERE tokens.id = owner) AS submitter,
        (SELECT revoked_ms FROM tokens WHERE tokens.id = owner) AS submitter_revoked_ms
    FROM jobs WHERE pending > 0 AND control = 'active' ORDER BY priority DESC, created_ms, id LIMIT ?1";
const NEEDS: &str = "/* what a job needs */
    SELECT options, requirements, pinned, pinned_device, saved_by, looks,
        (SELECT json_group_array(json_array(hex(agent_id), until_ms, message))
            FROM refusals WHERE refusals.job_id = jobs.id) AS refusals,
        (SELECT name FROM tokens WHERE tokens.id = owner) AS submitter,
        (SELECT revoked_ms FROM tokens WHERE tokens.id = owner) AS submitter_revoked_ms
    FROM jobs JOIN scenes ON scenes.id = scene_id WHERE jobs.id = ?1";

/// What the jobs need that are next to be served.
pub(super) async fn next(readers: &SqlitePool, now_ms: UnixMs) -> Result<Vec<Needs>, StoreError> {
    let rows = sqlx::query(NEXT_NEEDS).bind(LOOKED_AT).fetch_all(readers).await.map_err(database_error)?;
    rows.iter().map(|row| needs(row, now_ms)).collect()
}

/// What a job needs.
pub(super) async fn of_job(readers: &SqlitePool, job: JobId, now_ms: UnixMs) -> Result<Option<Needs>, StoreError> {
    let key = &job.as_bytes()[..];
    let row = sqlx::query(NEEDS).bind(key).fetch_optional(readers).await.map_err(database_error)?;
    row.as_ref().map(|row| needs(row, now_ms)).transpose()
}

/// What a job needs, from its own columns, those of its token (`submitter`, `submitter_revoked_ms`), `saved_by` and `looks` of its
/// scene, and the `refusals` of agents.
pub(super) fn needs(row: &SqliteRow, now_ms: UnixMs) -> Result<Needs, StoreError> {
    let pinned = optional_text(row, "pinned")?;
    let looks = optional_text(row, "looks")?;
    Ok(Needs {
        looks: looks.map(|text| serde_json::from_str(&text).map_err(|_| damaged("looks"))).transpose()?,
        begun_with: device(row, "pinned_device")?,
        refused_by: refusals::standing(row, now_ms)?,
        options: options(row)?,
        submitter: submitter(row)?,
        requirements: requirements(row)?,
        saved_by: saved_by(row)?,
        pinned: pinned.map(|text| text.parse().map_err(|_| damaged("pinned"))).transpose()?,
        // Of each range its own, and for a while: the query that looks for ranges knows.
        ran_out_at_bytes: None,
    })
}

/// What a job came by.
pub(super) fn submitter(row: &SqliteRow) -> Result<Submitter, StoreError> {
    let revoked = optional_integer(row, "submitter_revoked_ms")?.is_some();
    Ok(match optional_text(row, "submitter")? {
        None => Submitter::Nobody,
        Some(token) if revoked => Submitter::Revoked(token),
        Some(token) => Submitter::Token(token),
    })
}
