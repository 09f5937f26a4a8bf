//! Frames that come back.

use std::time::Duration;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::job::{EventKind, RecordedFrame};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{OutputFile, UploadOutcome};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::attempts;
use super::columns::{
    as_integer, count, database_error, digest, frame, integer, lease_id, moment, optional_count, optional_text,
    relative_path, small, text,
};
use super::events::{self, Subject};
use super::jobs::{CountChange, change_counts};
use super::leases::{self, LeaseRow};
use super::shelves::{Shelf, take_from_shelf};
use super::writer::Tx;
use crate::queue::state::Control;
use crate::store::{Delivered, KeptFrame, RenderedFrame, StoreError, StoredFile};

const RECORDED_BY: &str = "/* recorded by */
    SELECT epoch, generation FROM frames WHERE job_id = ?1 AND frame = ?2 AND generation >= ?3 ORDER BY generation LIMIT 1";
const HOLDERS: &str = "/* holders of a frame */
    SELECT lease_frames.epoch, leases.id, leases.generation FROM lease_frames JOIN leases USING (epoch)
    WHERE lease_frames.job_id = ?1 AND frame = ?2";
const INSERT_FRAME: &str = "/* insert frame */
    INSERT INTO frames (job_id, frame, generation, epoch, recorded_ms, render_ms, peak_memory_bytes, place, thumbnail_key)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const NEXT_PLACE: &str =
    "/* next place */ UPDATE jobs SET recorded = recorded + 1 WHERE id = ?1 RETURNING recorded, created_ms";
const INSERT_FILE: &str = "/* insert frame file */
    INSERT INTO frame_files (job_id, frame, generation, position, name, blob_key, size_bytes, sha256, width, height)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const ADD_SHARE: &str = "/* add to an agent's share */
    INSERT INTO job_agents (job_id, agent_id, frames, render_ms) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT DO UPDATE SET frames = frames + 1, render_ms = render_ms + excluded.render_ms";
const PAGE: &str = "/* page of recorded frames */
    SELECT frame, frames.generation, recorded_ms, render_ms, peak_memory_bytes, place, thumbnail_key, agents.name
    FROM frames JOIN leases USING (epoch) JOIN agents ON agents.id = leases.agent_id
    WHERE frames.job_id = (SELECT id FROM jobs WHERE id = ?1 AND removed_ms IS NULL) AND current = 1 AND place > ?2 ORDER BY place LIMIT ?3";
const ONE: &str = "/* one recorded frame */
    SELECT frame, frames.generation, recorded_ms, render_ms, peak_memory_bytes, place, thumbnail_key, agents.name
    FROM frames JOIN leases USING (epoch) JOIN agents ON agents.id = leases.agent_id
    WHERE frames.job_id = (SELECT id FROM jobs WHERE id = ?1 AND removed_ms IS NULL) AND frame = ?2 AND current = 1";
const FILES: &str = "/* files of a frame */
    SELECT name, blob_key, size_bytes, sha256, width, height FROM frame_files
    WHERE job_id = ?1 AND frame = ?2 AND generation = ?3 ORDER BY position";
const NAMED: &str = "/* latest file of a name */
    SELECT blob_key FROM frame_files JOIN frames USING (job_id, frame, generation)
    WHERE frame_files.job_id = ?1 AND name = ?2 ORDER BY place DESC LIMIT 1";

/// The lease that a frame is delivered under, if it can be: the job is its job, and the frame was in its batch.
pub(super) async fn lease_of(
    conn: &mut SqliteConnection,
    lease: LeaseId,
    job: JobId,
    frame: FrameNumber,
    generation: u32,
) -> Result<LeaseRow, StoreError> {
    let row = leases::find(conn, lease).await?;
    if row.job == job && row.frames.contains(frame) && row.generation == generation {
        Ok(row)
    } else {
        Err(StoreError::NotInLease { lease, frame })
    }
}

/// What is to be answered for a frame that is not wanted any more: `None` when it is.
pub(super) async fn unwanted(
    conn: &mut SqliteConnection,
    lease: &LeaseRow,
    frame: FrameNumber,
) -> Result<Option<UploadOutcome>, StoreError> {
    let row = sqlx::query(RECORDED_BY)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.generation)
        .fetch_optional(conn)
        .await
        .map_err(database_error)?;
    if let Some(row) = row {
        let own = integer(&row, "epoch")? == lease.epoch;
        return Ok(Some(if own { UploadOutcome::AlreadyRecorded } else { UploadOutcome::Superseded }));
    }
    Ok((lease.control == Control::Cancelled).then_some(UploadOutcome::JobGone))
}

pub(super) async fn record(tx: &mut Tx, rendered: RenderedFrame) -> Result<Delivered, StoreError> {
    let RenderedFrame { lease, job, frame, generation, render_ms, peak_memory_bytes, files, thumbnail_key } = rendered;
    let lease = lease_of(&mut tx.conn, lease, job, frame, generation).await?;
    if let Some(outcome) = unwanted(&mut tx.conn, &lease, frame).await? {
        return Ok(outcome.into());
    }
    let Some(taken) = take_from_wherever_it_is(tx, job, frame, generation).await? else {
        // It is in another generation by now.
        return Ok(UploadOutcome::Superseded.into());
    };
    let next =
        sqlx::query(NEXT_PLACE).bind(&job.as_bytes()[..]).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    let place = integer(&next, "recorded")?;
    let waited_ms = u64::try_from(tx.now_ms - integer(&next, "created_ms")?).unwrap_or(0);
    let first_after = (place == 1).then_some(Duration::from_millis(waited_ms));
    sqlx::query(INSERT_FRAME)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .bind(generation)
        .bind(lease.epoch)
        .bind(tx.now_ms)
        .bind(as_integer(render_ms))
        .bind(peak_memory_bytes.map(as_integer))
        .bind(place)
        .bind(thumbnail_key)
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    for (position, file) in (0_i64..).zip(files) {
        insert_file(tx, &lease, frame, position, file).await?;
    }
    sqlx::query(ADD_SHARE)
        .bind(&job.as_bytes()[..])
        .bind(&lease.agent.as_bytes()[..])
        .bind(as_integer(render_ms))
        .execute(&mut tx.conn)
        .await
        .map_err(database_error)?;
    attempts::succeeded(tx, &lease, frame, render_ms, peak_memory_bytes).await?;
    events::note(tx, EventKind::FrameDone, &Subject::job(job).by(lease.agent).at(frame), "").await?;
    change_counts(tx, job, CountChange { done: 1, ..taken }).await?;
    Ok(Delivered { outcome: UploadOutcome::Recorded, first_after })
}

async fn insert_file(
    tx: &mut Tx,
    lease: &LeaseRow,
    frame: FrameNumber,
    position: i64,
    file: StoredFile,
) -> Result<(), StoreError> {
    sqlx::query(INSERT_FILE)
        .bind(&lease.job.as_bytes()[..])
        .bind(frame.get())
        .bind(lease.generation)
        .bind(position)
        .bind(file.name.as_str().to_owned())
        .bind(file.blob_key)
        .bind(as_integer(file.size_bytes))
        .bind(&file.sha256.as_bytes()[..])
        .bind(file.width)
        .bind(file.height)
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

/// Takes a frame of a generation that is not done out of its home, which is one of three, and says which counter that
/// lowers. `None` when the frame is in another generation.
async fn take_from_wherever_it_is(
    tx: &mut Tx,
    job: JobId,
    frame: FrameNumber,
    generation: u32,
) -> Result<Option<CountChange>, StoreError> {
    let holders = sqlx::query(HOLDERS)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .fetch_all(&mut tx.conn)
        .await
        .map_err(database_error)?;
    for holder in &holders {
        if small(holder, "generation")? != generation {
            return Ok(None);
        }
        let epoch = integer(holder, "epoch")?;
        leases::take_from_lease(tx, epoch, frame).await?;
        leases::end_if_empty(tx, lease_id(holder, "id")?, epoch).await?;
    }
    if !holders.is_empty() {
        return Ok(Some(CountChange { leased: -1, ..CountChange::default() }));
    }
    if take_from_shelf(tx, job, Shelf::Pending, frame, generation).await? {
        return Ok(Some(CountChange { pending: -1, ..CountChange::default() }));
    }
    let failed = take_from_shelf(tx, job, Shelf::Failed, frame, generation).await?;
    Ok(failed.then(|| CountChange { failed: -1, ..CountChange::default() }))
}

/// The recorded frames of a job after a place, in the order of their places.
pub(super) async fn page(
    readers: &SqlitePool,
    job: JobId,
    since: u64,
    limit: u32,
) -> Result<Vec<KeptFrame>, StoreError> {
    let mut reading = readers.begin().await.map_err(database_error)?;
    let rows = sqlx::query(PAGE)
        .bind(&job.as_bytes()[..])
        .bind(as_integer(since))
        .bind(limit)
        .fetch_all(&mut *reading)
        .await
        .map_err(database_error)?;
    let mut frames = Vec::with_capacity(rows.len());
    for row in &rows {
        frames.push(kept(&mut reading, job, row).await?);
    }
    Ok(frames)
}

/// One recorded frame, and where it lies.
pub(super) async fn one(readers: &SqlitePool, job: JobId, frame: FrameNumber) -> Result<Option<KeptFrame>, StoreError> {
    let mut reading = readers.begin().await.map_err(database_error)?;
    let row = sqlx::query(ONE)
        .bind(&job.as_bytes()[..])
        .bind(frame.get())
        .fetch_optional(&mut *reading)
        .await
        .map_err(database_error)?;
    match row {
        Some(row) => kept(&mut reading, job, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Of each of these names the key of the file that was recorded last, where there is one.
pub(super) async fn files_named(
    readers: &SqlitePool,
    job: JobId,
    names: Vec<RelativePath>,
) -> Result<Vec<(RelativePath, String)>, StoreError> {
    let mut reading = readers.begin().await.map_err(database_error)?;
    let mut found = Vec::new();
    for name in names {
        let row = sqlx::query(NAMED)
            .bind(&job.as_bytes()[..])
            .bind(name.as_str().to_owned())
            .fetch_optional(&mut *reading)
            .await
            .map_err(database_error)?;
        if let Some(row) = row {
            found.push((name, text(&row, "blob_key")?));
        }
    }
    Ok(found)
}

async fn kept(conn: &mut SqliteConnection, job: JobId, row: &SqliteRow) -> Result<KeptFrame, StoreError> {
    let (number, generation) = (frame(row, "frame")?, small(row, "generation")?);
    let files = sqlx::query(FILES)
        .bind(&job.as_bytes()[..])
        .bind(number.get())
        .bind(generation)
        .fetch_all(conn)
        .await
        .map_err(database_error)?;
    let thumbnail_key = optional_text(row, "thumbnail_key")?;
    Ok(KeptFrame {
        report: RecordedFrame {
            frame: number,
            generation,
            recorded_at: moment(row, "recorded_ms")?,
            render_ms: count(row, "render_ms")?,
            peak_memory_bytes: optional_count(row, "peak_memory_bytes")?,
            agent: text(row, "name")?,
            files: files.iter().map(output_file).collect::<Result<_, _>>()?,
            place: count(row, "place")?,
            has_thumbnail: thumbnail_key.is_some(),
        },
        blob_keys: files.iter().map(|file| text(file, "blob_key")).collect::<Result<_, _>>()?,
        thumbnail_key,
    })
}

fn output_file(row: &SqliteRow) -> Result<OutputFile, StoreError> {
    Ok(OutputFile {
        name: relative_path(row, "name")?,
        size_bytes: count(row, "size_bytes")?,
        sha256: digest(row, "sha256")?,
        width: small(row, "width")?,
        height: small(row, "height")?,
    })
}
