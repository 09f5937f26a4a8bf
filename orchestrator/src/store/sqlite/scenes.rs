//! Scenes: their manifests, and the pins by which they keep their blobs. A scene is complete when every blob that it has is
//! stored, in the size that its manifest says.

use std::time::Duration;

use haywain_shared::blender_version::Release;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::TokenId;
use haywain_shared::inspection::Inspection;
use haywain_shared::options::{Allowance, RenderOptions};
use haywain_shared::scene::{BlobRef, Manifest, SceneId, SceneReport, SceneSummary};
use jiff::Timestamp;
use sqlx::sqlite::{SqliteQueryResult, SqliteRow};
use sqlx::{SqliteConnection, SqlitePool};

use super::columns::{
    as_integer, as_ms, count, database_error, digest, integer, json_text, moment, optional_bytes, optional_text,
    relative_path, saved_by, scene_id, text,
};
use super::sight;
use super::writer::Tx;
use crate::store::{KeptScene, Novelty, SceneEntry, SceneFilter, Sight, SomePaths, StoreError};

const KEEP: &str = "/* keep scene */
    INSERT INTO scenes (id, entry, files, size_bytes, lacking, created_ms, touched_ms, manifest, entry_sha256)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
// ?1 a JSON list of pairs, digest and size.
const KNOW_BLOBS: &str = "/* know a scene's blobs */
    INSERT INTO blobs (sha256, state, size_bytes, touched_ms)
    SELECT unhex(value ->> 0), 'missing', NULL, ?2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
const PIN_BLOBS: &str = "/* pin a scene's blobs */
    INSERT INTO scene_blobs (scene_id, sha256, size_bytes)
    SELECT ?2, unhex(value ->> 0), value ->> 1 FROM json_each(?1)";
// ?2 the token that asks or nothing: others' blobs are told to nobody.
const OTHER_SIZE: &str = "/* stored in another size */
    SELECT sha256, blobs.size_bytes AS here, scene_blobs.size_bytes AS said
    FROM scene_blobs JOIN blobs USING (sha256)
    WHERE scene_id = ?1 AND blobs.state <> 'missing' AND blobs.size_bytes <> scene_blobs.size_bytes
        AND (?2 IS NULL OR EXISTS (
            SELECT 1 FROM blob_owners WHERE blob_owners.sha256 = scene_blobs.sha256 AND token_id = ?2))
    LIMIT 1";
const OWN: &str = "/* own scene */
    INSERT INTO scene_owners (token_id, scene_id, touched_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const TOUCH_OWN: &str = "/* touch own scene */
    UPDATE scene_owners SET touched_ms = max(touched_ms, ?3) WHERE token_id = ?1 AND scene_id = ?2";
const OWN_TOUCH: &str = "/* own touch of a scene */
    SELECT touched_ms FROM scene_owners WHERE token_id = ?1 AND scene_id = ?2";
const TOUCH: &str = "/* touch scene */ UPDATE scenes SET touched_ms = max(touched_ms, ?2) WHERE id = ?1";
const MANIFEST: &str = "/* scene */ SELECT manifest FROM scenes WHERE id = ?1";
const REPORT: &str = "/* scene report */ SELECT manifest, inspection, size_bytes, touched_ms FROM scenes WHERE id = ?1";
const LACKING: &str = "/* what a scene lacks */ SELECT lacking, inspection FROM scenes WHERE id = ?1";
const KEEP_INSPECTION: &str = "/* keep inspection */
    UPDATE scenes SET inspection = coalesce(inspection, ?2), looks = coalesce(looks, ?3) WHERE id = ?1";
const ENTRY: &str = "/* entry of a scene */ SELECT entry_sha256, saved_by FROM scenes WHERE id = ?1";
const KEEP_SAVED_BY: &str = "/* keep who saved a scene */ UPDATE scenes SET saved_by = ?2 WHERE id = ?1";
// ?2 the token that asks or nothing: what it has not sent is missing to it.
const MISSING_BLOBS: &str = "/* missing blobs of a scene */
    SELECT sha256, scene_blobs.size_bytes FROM scene_blobs JOIN blobs USING (sha256)
    WHERE scene_id = ?1 AND (state <> 'stored' OR blobs.size_bytes <> scene_blobs.size_bytes
        OR ?2 IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM blob_owners WHERE blob_owners.sha256 = scene_blobs.sha256 AND token_id = ?2))
    ORDER BY sha256";
// ?1 the scene to go on after or nothing, ?2 how many, ?3 nothing.
const LIST: &str = "/* list of scenes */
    SELECT id, entry, files, size_bytes, touched_ms, NOT EXISTS (
        SELECT 1 FROM scene_blobs JOIN blobs USING (sha256)
        WHERE scene_id = scenes.id AND (state <> 'stored' OR blobs.size_bytes <> scene_blobs.size_bytes)) AS complete
    FROM scenes
    WHERE ?3 IS NULL AND (?1 IS NULL OR (touched_ms, id) < (SELECT touched_ms, id FROM scenes WHERE id = ?1))
    ORDER BY touched_ms DESC, id DESC LIMIT ?2";
// The same with the times of one token's own use, ?3.
const LIST_OWN: &str = "/* list of own scenes */
    SELECT id, entry, files, size_bytes, scene_owners.touched_ms, NOT EXISTS (
        SELECT 1 FROM scene_blobs JOIN blobs USING (sha256)
        WHERE scene_id = scenes.id AND (state <> 'stored' OR blobs.size_bytes <> scene_blobs.size_bytes
            OR NOT EXISTS (
                SELECT 1 FROM blob_owners WHERE blob_owners.sha256 = scene_blobs.sha256 AND token_id = ?3))) AS complete
    FROM scene_owners JOIN scenes ON id = scene_id
    WHERE token_id = ?3 AND (?1 IS NULL OR (scene_owners.touched_ms, id) < (
        SELECT touched_ms, scene_id FROM scene_owners WHERE scene_id = ?1 AND token_id = ?3))
    ORDER BY scene_owners.touched_ms DESC, id DESC LIMIT ?2";
const FORGET: &str = "/* forget untouched scenes */
    DELETE FROM scenes WHERE id IN (
        SELECT id FROM scenes
        WHERE touched_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.scene_id = scenes.id) LIMIT ?2)";

/// Scenes that are forgotten in one transaction. Each may have many blobs.
const FORGOTTEN_AT_ONCE: u32 = 10;

pub(super) async fn keep(tx: &mut Tx, manifest: Manifest, sight: Sight) -> Result<KeptScene, StoreError> {
    let owner = sight::of_scenes(sight)?;
    let id = manifest.id();
    let key = &id.digest().as_bytes()[..];
    let text = serde_json::to_string(&manifest).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    let kept = sqlx::query(KEEP)
        .bind(key)
        .bind(manifest.entry.as_str().to_owned())
        .bind(as_integer(manifest.files.len() as u64))
        .bind(as_integer(manifest.size_bytes()))
        .bind(as_integer(manifest.missing.len() as u64))
        .bind(tx.now_ms)
        .bind(text)
        .bind(manifest.entry_blob().map(|digest| digest.as_bytes().to_vec()))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let mut novelty = novelty(&kept);
    match novelty {
        Novelty::Known => touch(tx, id).await?,
        Novelty::New => pin(tx, id, &manifest, owner).await?,
    }
    if let Some(token) = owner {
        // It is new to whoever has not registered it.
        novelty = own(tx, id, token).await?;
    }
    Ok(KeptScene { report: report_in(&mut tx.conn, id, sight).await?, novelty })
}

fn novelty(kept: &SqliteQueryResult) -> Novelty {
    if kept.rows_affected() == 0 { Novelty::Known } else { Novelty::New }
}

async fn own(tx: &mut Tx, scene: SceneId, token: TokenId) -> Result<Novelty, StoreError> {
    let mut kept = None;
    for sql in [OWN, TOUCH_OWN] {
        let done = sqlx::query(sql)
            .bind(&token.as_bytes()[..])
            .bind(&scene.digest().as_bytes()[..])
            .bind(tx.now_ms)
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
        kept.get_or_insert_with(|| novelty(&done));
    }
    Ok(kept.unwrap_or(Novelty::Known))
}

/// The token as a query takes it.
fn bound(token: Option<TokenId>) -> Option<Vec<u8>> {
    token.map(|token| token.as_bytes().to_vec())
}

/// One statement for all blobs of a scene: there may be a hundred thousand.
async fn pin(tx: &mut Tx, scene: SceneId, manifest: &Manifest, owner: Option<TokenId>) -> Result<(), StoreError> {
    let key = &scene.digest().as_bytes()[..];
    let pairs: Vec<_> =
        manifest.blobs().iter().map(|blob| (blob.sha256.to_string(), as_integer(blob.size_bytes))).collect();
    let pairs = serde_json::to_string(&pairs).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    sqlx::query(KNOW_BLOBS).bind(pairs.clone()).bind(tx.now_ms).execute(&mut tx.conn).await.map_err(database_error)?;
    sqlx::query(PIN_BLOBS).bind(pairs).bind(key).execute(&mut tx.conn).await.map_err(database_error)?;
    let other = sqlx::query(OTHER_SIZE).bind(key).bind(bound(owner)).fetch_optional(&mut tx.conn);
    match other.await.map_err(database_error)? {
        None => Ok(()),
        Some(row) => Err(StoreError::OtherSize {
            blob: digest(&row, "sha256")?,
            here_bytes: count(&row, "here")?,
            said_bytes: count(&row, "said")?,
        }),
    }
}

pub(super) async fn touch(tx: &mut Tx, scene: SceneId) -> Result<(), StoreError> {
    sqlx::query(TOUCH)
        .bind(&scene.digest().as_bytes()[..])
        .bind(tx.now_ms)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

pub(super) async fn manifest(readers: &SqlitePool, scene: SceneId) -> Result<Manifest, StoreError> {
    manifest_in(&mut *readers.acquire().await.map_err(database_error)?, scene).await
}

async fn manifest_in(conn: &mut SqliteConnection, scene: SceneId) -> Result<Manifest, StoreError> {
    let row = sqlx::query(MANIFEST)
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    read_manifest(&row)
}

fn read_manifest(row: &SqliteRow) -> Result<Manifest, StoreError> {
    serde_json::from_str(&text(row, "manifest")?).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

pub(super) async fn report(readers: &SqlitePool, scene: SceneId, sight: Sight) -> Result<SceneReport, StoreError> {
    let mut reading = readers.begin().await.map_err(database_error)?;
    report_in(&mut reading, scene, sight).await
}

async fn report_in(conn: &mut SqliteConnection, scene: SceneId, sight: Sight) -> Result<SceneReport, StoreError> {
    let owner = sight::of_scenes(sight)?;
    let row = sqlx::query(REPORT)
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(&mut *conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    let touched_at = match owner {
        None => moment(&row, "touched_ms")?,
        Some(token) => own_touch(conn, scene, token).await?,
    };
    let missing_blobs = missing_blobs(conn, scene, owner).await?;
    let may_know = owner.is_none() || missing_blobs.is_empty();
    Ok(SceneReport {
        scene_id: scene,
        manifest: read_manifest(&row)?,
        size_bytes: count(&row, "size_bytes")?,
        missing_blobs,
        inspection: if may_know { read_inspection(&row)? } else { None },
        touched_at,
    })
}

/// When a token's bearer has touched a scene; there is none for whoever has not registered it.
async fn own_touch(conn: &mut SqliteConnection, scene: SceneId, token: TokenId) -> Result<Timestamp, StoreError> {
    let row = sqlx::query(OWN_TOUCH)
        .bind(&token.as_bytes()[..])
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    moment(&row, "touched_ms")
}

fn read_inspection(row: &SqliteRow) -> Result<Option<Inspection>, StoreError> {
    let text = optional_text(row, "inspection")?;
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
    read.map_err(|error| StoreError::Inconsistent(error.to_string()))
}

/// Keeps what was found in a scene; the first to look is believed.
pub(super) async fn keep_inspection(tx: &mut Tx, scene: SceneId, inspection: Inspection) -> Result<(), StoreError> {
    let text = json_text(&inspection)?;
    let kept = sqlx::query(KEEP_INSPECTION)
        .bind(&scene.digest().as_bytes()[..])
        .bind(text)
        .bind(json_text(&inspection.looks())?)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if kept.rows_affected() == 0 {
        return Err(StoreError::UnknownScene(scene));
    }
    Ok(())
}

/// The .blend that is rendered.
pub(super) async fn entry(readers: &SqlitePool, scene: SceneId) -> Result<SceneEntry, StoreError> {
    let row = sqlx::query(ENTRY)
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(readers)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    let blob = optional_bytes(&row, "entry_sha256")?.map(Sha256Digest::from_bytes);
    Ok(SceneEntry { blob, saved_by: saved_by(&row)? })
}

/// Keeps which Blender has saved a scene's file.
pub(super) async fn keep_saved_by(tx: &mut Tx, scene: SceneId, saved_by: Release) -> Result<(), StoreError> {
    sqlx::query(KEEP_SAVED_BY)
        .bind(&scene.digest().as_bytes()[..])
        .bind(saved_by.to_string())
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

async fn missing_blobs(
    conn: &mut SqliteConnection,
    scene: SceneId,
    owner: Option<TokenId>,
) -> Result<Vec<BlobRef>, StoreError> {
    let rows = sqlx::query(MISSING_BLOBS)
        .bind(&scene.digest().as_bytes()[..])
        .bind(bound(owner))
        .fetch_all(conn)
        .await
        .map_err(database_error)?;
    rows.iter()
        .map(|row| Ok(BlobRef { sha256: digest(row, "sha256")?, size_bytes: count(row, "size_bytes")? }))
        .collect()
}

pub(super) async fn list(readers: &SqlitePool, filter: SceneFilter) -> Result<Vec<SceneSummary>, StoreError> {
    let owner = sight::of_scenes(filter.sight)?;
    let rows = sqlx::query(if owner.is_none() { LIST } else { LIST_OWN })
        .bind(filter.before.map(|scene| scene.digest().as_bytes().to_vec()))
        .bind(filter.limit)
        .bind(bound(owner))
        .fetch_all(readers)
        .await
        .map_err(database_error)?;
    let summary = |row: &SqliteRow| {
        Ok(SceneSummary {
            scene_id: scene_id(row, "id")?,
            entry: relative_path(row, "entry")?,
            files: count(row, "files")?,
            size_bytes: count(row, "size_bytes")?,
            touched_at: moment(row, "touched_ms")?,
            complete: integer(row, "complete")? == 1,
        })
    };
    rows.iter().map(summary).collect()
}

/// A job is about to be queued: its scene must be all there, and lacks nothing unless its owner does not mind.
pub(super) async fn check(
    tx: &mut Tx,
    scene: SceneId,
    options: &RenderOptions,
    sight: Sight,
) -> Result<(), StoreError> {
    let owner = match sight {
        Sight::All => None,
        Sight::Token(token) => Some(token),
        Sight::Nobodys | Sight::Agent(_) => return Err(StoreError::UnknownScene(scene)),
    };
    if let Some(token) = owner {
        own_touch(&mut tx.conn, scene, token).await?;
        own(tx, scene, token).await?;
    }
    let row = sqlx::query(LACKING)
        .bind(&scene.digest().as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?
        .ok_or(StoreError::UnknownScene(scene))?;
    let missing: Vec<Sha256Digest> =
        missing_blobs(&mut tx.conn, scene, owner).await?.into_iter().map(|blob| blob.sha256).collect();
    if !missing.is_empty() {
        let files = manifest_in(&mut tx.conn, scene).await?.files.into_iter();
        let paths = files.filter(|file| missing.binary_search(&file.sha256).is_ok()).map(|file| file.path.to_string());
        return Err(StoreError::SceneIncomplete { scene, paths: SomePaths::of(paths) });
    }
    if count(&row, "lacking")? > 0 && !options.allow.contains(&Allowance::MissingFiles) {
        let paths = SomePaths::of(manifest_in(&mut tx.conn, scene).await?.missing);
        return Err(StoreError::SceneLacksFiles { scene, paths });
    }
    let objections = read_inspection(&row)?.map(|inspection| inspection.objections(options)).unwrap_or_default();
    if !objections.is_empty() {
        return Err(StoreError::WouldRenderWrong { scene, objections: objections.join("; ") });
    }
    Ok(())
}

pub(super) async fn forget_untouched(tx: &mut Tx, untouched_for: Duration) -> Result<usize, StoreError> {
    let forgotten = sqlx::query(FORGET)
        .bind(tx.now_ms - as_ms(untouched_for))
        .bind(FORGOTTEN_AT_ONCE)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    Ok(usize::try_from(forgotten.rows_affected()).unwrap_or(usize::MAX))
}
