//! From columns to the types that the rest of the store works with, and from the database's errors to the store's.

use std::time::Duration;

use haywain_shared::blender_version::Release;
use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, JobId, LeaseId};
use haywain_shared::options::{FrameOrder, RenderOptions};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::BlenderBuild;
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::SceneId;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};

use crate::store::StoreError;

/// The store's error for one of the database's.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn database_error(error: sqlx::Error) -> StoreError {
    let broken_rule = error.as_database_error().is_some_and(|error| {
        error.is_unique_violation() || error.is_foreign_key_violation() || error.is_check_violation()
    });
    if broken_rule { StoreError::Inconsistent(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
}

fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(database_error)
}

pub(super) fn damaged(column: &str) -> StoreError {
    StoreError::Inconsistent(format!("column {column} holds what it never can"))
}

fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N], StoreError> {
    get::<&[u8]>(row, column)?.try_into().map_err(|_| damaged(column))
}

/// Bytes of any length.
pub(super) fn blob_bytes<'r>(row: &'r SqliteRow, column: &str) -> Result<&'r [u8], StoreError> {
    get(row, column)
}

pub(super) fn optional_bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<Option<[u8; N]>, StoreError> {
    get::<Option<&[u8]>>(row, column)?.map(|bytes| bytes.try_into().map_err(|_| damaged(column))).transpose()
}

pub(super) fn job_id(row: &SqliteRow, column: &str) -> Result<JobId, StoreError> {
    bytes(row, column).map(JobId::from_bytes)
}

pub(super) fn agent_id(row: &SqliteRow, column: &str) -> Result<AgentId, StoreError> {
    bytes(row, column).map(AgentId::from_bytes)
}

pub(super) fn lease_id(row: &SqliteRow, column: &str) -> Result<LeaseId, StoreError> {
    bytes(row, column).map(LeaseId::from_bytes)
}

pub(super) fn scene_id(row: &SqliteRow, column: &str) -> Result<SceneId, StoreError> {
    digest(row, column).map(SceneId::from)
}

pub(super) fn digest(row: &SqliteRow, column: &str) -> Result<Sha256Digest, StoreError> {
    bytes(row, column).map(Sha256Digest::from_bytes)
}

pub(super) fn integer(row: &SqliteRow, column: &str) -> Result<i64, StoreError> {
    get(row, column)
}

pub(super) fn optional_integer(row: &SqliteRow, column: &str) -> Result<Option<i64>, StoreError> {
    get(row, column)
}

pub(super) fn count(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(integer(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn small(row: &SqliteRow, column: &str) -> Result<u32, StoreError> {
    u32::try_from(integer(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn optional_count(row: &SqliteRow, column: &str) -> Result<Option<u64>, StoreError> {
    optional_integer(row, column)?.map(|number| u64::try_from(number).map_err(|_| damaged(column))).transpose()
}

pub(super) fn optional_duration(row: &SqliteRow, column: &str) -> Result<Option<Duration>, StoreError> {
    Ok(optional_count(row, column)?.map(Duration::from_millis))
}

pub(super) fn moment(row: &SqliteRow, column: &str) -> Result<jiff::Timestamp, StoreError> {
    jiff::Timestamp::from_millisecond(integer(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn optional_moment(row: &SqliteRow, column: &str) -> Result<Option<jiff::Timestamp>, StoreError> {
    optional_integer(row, column)?
        .map(|ms| jiff::Timestamp::from_millisecond(ms).map_err(|_| damaged(column)))
        .transpose()
}

/// A word that stands for a cause.
pub(super) fn optional_cause(row: &SqliteRow, column: &str) -> Result<Option<Cause>, StoreError> {
    Ok(optional_text(row, column)?.as_deref().and_then(Cause::from_word))
}

pub(super) fn text(row: &SqliteRow, column: &str) -> Result<String, StoreError> {
    get(row, column)
}

pub(super) fn optional_text(row: &SqliteRow, column: &str) -> Result<Option<String>, StoreError> {
    get(row, column)
}

pub(super) fn relative_path(row: &SqliteRow, column: &str) -> Result<RelativePath, StoreError> {
    RelativePath::new(text(row, column)?).map_err(|_| damaged(column))
}

/// What a job asks of Blender.
pub(super) fn options(row: &SqliteRow) -> Result<RenderOptions, StoreError> {
    serde_json::from_str(&text(row, "options")?).map_err(|_| damaged("options"))
}

/// A value as a column of JSON has it.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

/// What a job asks of agents.
pub(super) fn requirements(row: &SqliteRow) -> Result<Requirements, StoreError> {
    serde_json::from_str(&text(row, "requirements")?).map_err(|_| damaged("requirements"))
}

/// The Blender that saved a scene's file.
pub(super) fn saved_by(row: &SqliteRow) -> Result<Option<Release>, StoreError> {
    optional_text(row, "saved_by")?.map(|text| text.parse().map_err(|_| damaged("saved_by"))).transpose()
}

/// A kind of device by its word.
pub(super) fn device(row: &SqliteRow, column: &str) -> Result<Option<DeviceKind>, StoreError> {
    optional_text(row, column)?.map(|word| DeviceKind::from_word(&word).ok_or_else(|| damaged(column))).transpose()
}

/// The Blender that a lease names.
pub(super) fn blender(row: &SqliteRow) -> Result<BlenderBuild, StoreError> {
    serde_json::from_str(&text(row, "blender")?).map_err(|_| damaged("blender"))
}

/// The word that column `frame_order` has for it.
pub(super) const fn frame_order_word(order: FrameOrder) -> &'static str {
    match order {
        FrameOrder::Any => "any",
        FrameOrder::Sequential => "sequential",
    }
}

pub(super) fn frame(row: &SqliteRow, column: &str) -> Result<FrameNumber, StoreError> {
    FrameNumber::try_from(integer(row, column)?).map_err(|_| damaged(column))
}

pub(super) fn optional_frame(row: &SqliteRow, column: &str) -> Result<Option<FrameNumber>, StoreError> {
    optional_integer(row, column)?.map(|number| FrameNumber::try_from(number).map_err(|_| damaged(column))).transpose()
}

/// The range in columns `first` and `last`.
pub(super) fn range(row: &SqliteRow) -> Result<FrameRange, StoreError> {
    FrameRange::new(frame(row, "first")?, frame(row, "last")?).map_err(|_| damaged("last"))
}

/// A duration as SQLite keeps it.
pub(super) fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A count as SQLite keeps it.
pub(super) fn as_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
