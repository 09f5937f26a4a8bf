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

/// The columns that [`submitter`] reads, of a row of `jobs`.
macro_rules! submitter_columns {
    () => {
        "(SELECT name FROM tokens WHERE tokens.id = owner) AS submitter,
        (SELECT revoked_ms FROM tokens WHERE tokens.id = owner) AS submitter_revoked_ms"
    };
}
pub(super) use submitter_columns;

/// The columns that [`needs`] reads, of a row of `jobs`.
macro_rules! needs_columns {
    () => {
        concat!(
            "options, requirements, pinned, pinned_device,
        (SELECT saved_by FROM scenes WHERE scenes.id = scene_id) AS saved_by,
        (SELECT looks FROM scenes WHERE scenes.id = scene_id) AS looks,
        (SELECT json_group_array(json_array(hex(agent_id), until_ms, message))
            FROM refusals WHERE refusals.job_id = jobs.id) AS refusals,
        ",
            $crate::store::sqlite::needs::submitter_columns!()
        )
    };
}
pub(super) use needs_columns;

const NEXT_NEEDS: &str = concat!(
    "/* what the next jobs need */ SELECT ",
    needs_columns!(),
    " FROM jobs WHERE pending > 0 AND control = 'active' ORDER BY priority DESC, created_ms, id LIMIT ?1"
);
const NEEDS: &str = concat!("/* what a job needs */ SELECT ", needs_columns!(), " FROM jobs WHERE id = ?1");

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

/// What a job needs, from a row with [`needs_columns`].
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

/// What a job came by, from a row with [`submitter_columns`].
pub(super) fn submitter(row: &SqliteRow) -> Result<Submitter, StoreError> {
    let revoked = optional_integer(row, "submitter_revoked_ms")?.is_some();
    Ok(match optional_text(row, "submitter")? {
        None => Submitter::Nobody,
        Some(token) if revoked => Submitter::Revoked(token),
        Some(token) => Submitter::Token(token),
    })
}
