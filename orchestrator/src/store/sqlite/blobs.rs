//! How blobs stand: missing, stored, going. Only one that no scene has goes, and one that is going comes back only as missing.

use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::BlobRef;
use sqlx::SqlitePool;

use super::columns::{as_integer, as_ms, count, database_error, digest, text};
use super::writer::Tx;
use crate::store::{BlobStanding, StoreError};

const STANDING: &str = "/* how a blob stands */ SELECT state, size_bytes FROM blobs WHERE sha256 = ?1";
const TOUCH: &str = "/* touch blob */
    UPDATE blobs SET touched_ms = max(touched_ms, ?2) WHERE sha256 = ?1 AND state = 'stored'";
const ARRIVED: &str = "/* blob arrived */
    INSERT INTO blobs (sha256, state, size_bytes, touched_ms) VALUES (?1, 'stored', ?2, ?3)
    ON CONFLICT DO UPDATE SET state = 'stored', size_bytes = ?2, touched_ms = max(touched_ms, ?3) WHERE state <> 'going'";
const LOST: &str = "/* blob lost */
    UPDATE blobs SET state = 'missing', size_bytes = NULL WHERE sha256 = ?1 AND state = 'stored'";
const STORED: &str = "/* stored blobs */ SELECT sha256, size_bytes FROM blobs WHERE state = 'stored'";
// Pins are looked for in the transaction that marks: to whoever registers a scene later, the blob is missing.
const DOOM: &str = "/* doom untouched blobs */
    UPDATE blobs SET state = 'going' WHERE sha256 IN (
        SELECT sha256 FROM blobs WHERE touched_ms <= ?1 AND state = 'stored'
            AND NOT EXISTS (SELECT 1 FROM scene_blobs WHERE scene_blobs.sha256 = blobs.sha256) LIMIT ?2)";
const FORGET: &str = "/* forget untouched missing blobs */
    DELETE FROM blobs WHERE sha256 IN (
        SELECT sha256 FROM blobs WHERE touched_ms <= ?1 AND state = 'missing'
            AND NOT EXISTS (SELECT 1 FROM scene_blobs WHERE scene_blobs.sha256 = blobs.sha256) LIMIT ?2)";
const GOING: &str = "/* blobs that are going */ SELECT sha256 FROM blobs WHERE state = 'going'";
const DELETED: &str = "/* blob deleted */
    DELETE FROM blobs WHERE sha256 = ?1 AND state = 'going'
        AND NOT EXISTS (SELECT 1 FROM scene_blobs WHERE scene_blobs.sha256 = blobs.sha256)";
const MISSED: &str = "/* pinned blob deleted */
    UPDATE blobs SET state = 'missing', size_bytes = NULL WHERE sha256 = ?1 AND state = 'going'";

/// Blobs that are marked or forgotten in one transaction.
const AT_ONCE: u32 = 1000;

pub(super) async fn standing(readers: &SqlitePool, blob: Sha256Digest) -> Result<BlobStanding, StoreError> {
    let row = sqlx::query(STANDING).bind(&blob.as_bytes()[..]).fetch_optional(readers).await.map_err(database_error)?;
    let Some(row) = row else { return Ok(BlobStanding::Missing) };
    match text(&row, "state")?.as_str() {
        "stored" => Ok(BlobStanding::Stored { size_bytes: count(&row, "size_bytes")? }),
        "going" => Ok(BlobStanding::Going),
        _ => Ok(BlobStanding::Missing),
    }
}

pub(super) async fn touch(tx: &mut Tx, blob: Sha256Digest) -> Result<(), StoreError> {
    sqlx::query(TOUCH)
        .bind(&blob.as_bytes()[..])
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

pub(super) async fn arrived(tx: &mut Tx, blob: BlobRef) -> Result<(), StoreError> {
    let changed = sqlx::query(ARRIVED)
        .bind(&blob.sha256.as_bytes()[..])
        .bind(as_integer(blob.size_bytes))
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if changed.rows_affected() == 0 { Err(StoreError::BlobGoing(blob.sha256)) } else { Ok(()) }
}

pub(super) async fn lost(tx: &mut Tx, blob: Sha256Digest) -> Result<(), StoreError> {
    sqlx::query(LOST).bind(&blob.as_bytes()[..]).execute(&mut tx.conn).await.map(drop).map_err(database_error)
}

pub(super) async fn stored(readers: &SqlitePool) -> Result<Vec<BlobRef>, StoreError> {
    let rows = sqlx::query(STORED).fetch_all(readers).await.map_err(database_error)?;
    rows.iter()
        .map(|row| Ok(BlobRef { sha256: digest(row, "sha256")?, size_bytes: count(row, "size_bytes")? }))
        .collect()
}

pub(super) async fn doom_untouched(tx: &mut Tx, untouched_for: Duration) -> Result<Vec<Sha256Digest>, StoreError> {
    for sql in [DOOM, FORGET] {
        sqlx::query(sql)
            .bind(tx.now_ms - as_ms(untouched_for))
            .bind(AT_ONCE)
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
    }
    let rows = sqlx::query(GOING).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    rows.iter().map(|row| digest(row, "sha256")).collect()
}

pub(super) async fn going(readers: &SqlitePool) -> Result<Vec<Sha256Digest>, StoreError> {
    let rows = sqlx::query(GOING).fetch_all(readers).await.map_err(database_error)?;
    rows.iter().map(|row| digest(row, "sha256")).collect()
}

pub(super) async fn deleted(tx: &mut Tx, blob: Sha256Digest) -> Result<(), StoreError> {
    for sql in [DELETED, MISSED] {
        sqlx::query(sql).bind(&blob.as_bytes()[..]).execute(&mut tx.conn).await.map_err(database_error)?;
    }
    Ok(())
}
