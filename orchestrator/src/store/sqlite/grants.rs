//! Grants: which batch an agent gets, carved at the moment of the lease.

use haywain_shared::blender_version::BlenderVersion;
use haywain_shared::devices::DeviceKind;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, JobId, LeaseId, RequestId};
use haywain_shared::job::EventKind;
use haywain_shared::options::FrameOrder;
use haywain_shared::protocol::{InspectionWish, LeaseTiming};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use super::agents;
use super::columns::{
    agent_id, as_integer, as_ms, blender, count, database_error, device, integer, job_id, json_text, lease_id,
    optional_duration, optional_integer, options, range, scene_id, small, text,
};
use super::events::{self, Subject};
use super::jobs::{CountChange, change_counts};
use super::leases::LeaseRow;
use super::needs::{needs, needs_columns, submitter, submitter_columns};
use super::shelves::{Shelf, Shelved, delete_range, shelve, take_from_shelf};
use super::sight;
use super::writer::Tx;
use crate::queue::ahead::{Ahead, FRAMES_AHEAD, Opening, is_granted};
use crate::queue::carve::{Carve, batch_frames, relative_speed};
use crate::queue::choose::{Candidate, LOOKED_AT, Nearness, choose};
use crate::queue::matching::Fit;
use crate::queue::retry::PICKY;
use crate::queue::state::Control;
use crate::store::{Lease, LeaseAsk, StoreError};

const WORTH_ASKING: &str = "/* worth asking for a lease */
    SELECT EXISTS (SELECT 1 FROM jobs WHERE pending > 0 AND control = 'active')
        OR EXISTS (SELECT 1 FROM leases WHERE agent_id = ?1 AND request_id = ?2)
        OR NOT EXISTS (SELECT 1 FROM agents WHERE id = ?1 AND incarnation = ?3) AS worth";
const BY_REQUEST: &str = concat!(
    "/* lease by request */
    SELECT leases.id, epoch, job_id, scene_id, first, last, leases.generation, leases.ended_ms,
        frame_timeout_ms, stall_timeout_ms, options, blender, device, inspection IS NULL AS uninspected, ",
    submitter_columns!(),
    " FROM leases JOIN jobs ON jobs.id = job_id JOIN scenes ON scenes.id = scene_id
    WHERE agent_id = ?1 AND request_id = ?2"
);
// In both: ?1 the agent, ?2 now, ?3 whether there are other agents, ?4 the memory that it has, ?5 the latest moment that
// anything can be waiting for now: what is later is from before the wall's clock was set back.
const NEXT_JOBS: &str = concat!(
    "/* next jobs to lease from */
    SELECT id AS job_id, scene_id, priority, created_ms, batch_size, pending, frame_timeout_ms, stall_timeout_ms,
        (SELECT inspection IS NULL FROM scenes WHERE scenes.id = scene_id) AS uninspected, ",
    needs_columns!(),
    " FROM jobs
    WHERE pending > 0 AND control = 'active' AND (frame_order = 'any' OR leased = 0)
        AND EXISTS (SELECT 1 FROM ranges WHERE ranges.job_id = jobs.id AND state = 'pending'
            AND (picky_until_ms IS NULL OR picky_until_ms <= ?2 OR picky_until_ms > ?5
                 OR ((avoid_agent IS NULL OR avoid_agent <> ?1 OR NOT ?3)
                     AND (min_memory_bytes IS NULL OR min_memory_bytes < ?4))))
        AND (NOT ?3 OR NOT EXISTS (SELECT 1 FROM job_doubts
                 WHERE job_doubts.job_id = jobs.id AND job_doubts.agent_id = ?1 AND until_ms > ?2 AND until_ms <= ?5))
    ORDER BY priority DESC, created_ms, id LIMIT ?6 OFFSET ?7"
);
const NEXT_RANGE: &str = "/* next range to lease */
    SELECT first, last, generation FROM ranges
    WHERE job_id = ?6 AND state = 'pending'
        AND (picky_until_ms IS NULL OR picky_until_ms <= ?2 OR picky_until_ms > ?5
             OR ((avoid_agent IS NULL OR avoid_agent <> ?1 OR NOT ?3)
                 AND (min_memory_bytes IS NULL OR min_memory_bytes < ?4)))
    ORDER BY first LIMIT 1";
const JOB_OF_LEASE: &str = concat!(
    "/* job of a lease */
    SELECT jobs.id AS job_id, scene_id, frame_timeout_ms, stall_timeout_ms, control, total, blender, device,
        (SELECT inspection IS NULL FROM scenes WHERE scenes.id = scene_id) AS uninspected, ",
    needs_columns!(),
    " FROM leases JOIN jobs ON jobs.id = job_id WHERE epoch = ?1"
);
const FOLLOWER: &str = "/* lease that follows an ended one */
    SELECT leases.id, leases.epoch FROM leases JOIN lease_frames USING (epoch)
    WHERE follows = ?1 AND ended_ms IS NULL AND lease_frames.frame = ?2";
const SPEEDS: &str = "/* speeds on a job */ SELECT agent_id, frames, render_ms FROM job_agents WHERE job_id = ?1";
const INSERT_LEASE: &str = "/* insert lease */
    INSERT INTO leases (id, job_id, agent_id, request_id, follows, first, last, generation, granted_ms, blender, device)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING epoch";
const PIN: &str = "/* pin job to a Blender and a kind of device */
    UPDATE jobs SET pinned = coalesce(pinned, ?2), pinned_device = coalesce(pinned_device, ?3) WHERE id = ?1";
const INSERT_FRAME: &str =
    "/* insert lease frame */ INSERT INTO lease_frames (epoch, frame, job_id) VALUES (?1, ?2, ?3)";

/// The most frames of a job in sequence that are leased at once: a bound on the transaction, not a rule.
const MOST_IN_SEQUENCE: u64 = 10_000;

/// The agents that could take what the one that asks does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Company {
    /// Slots of all agents that are there, those of the one that asks included.
    pub(super) slots: u64,
    /// Other agents that are there.
    pub(super) others: usize,
}

/// Whether a request can be answered by anything but "nothing now".
pub(super) async fn worth_asking(readers: &SqlitePool, ask: &LeaseAsk) -> Result<bool, StoreError> {
    let row = sqlx::query(WORTH_ASKING)
        .bind(&ask.agent.as_bytes()[..])
        .bind(&ask.request.as_bytes()[..])
        .bind(ask.incarnation.0)
        .fetch_one(readers)
        .await
        .map_err(database_error)?;
    Ok(integer(&row, "worth")? != 0)
}

pub(super) async fn grant(tx: &mut Tx, ask: LeaseAsk, company: Company) -> Result<Option<Lease>, StoreError> {
    agents::check(&mut tx.conn, ask.agent, ask.incarnation).await?;
    if let Some(lease) = already_granted(tx, &ask).await? {
        return Ok(Some(lease));
    }
    if !agents::takes_work(tx, ask.agent).await? {
        return Ok(None);
    }
    let now_ms = tx.now_ms;
    let asking = |sql: &'static str| {
        sqlx::query(sql)
            .bind(ask.agent.as_bytes().to_vec())
            .bind(now_ms)
            .bind(company.others > 0)
            .bind(as_integer(ask.memory_available_bytes))
            .bind(now_ms + as_ms(PICKY))
    };
    let agent = agents::known(tx, ask.agent).await?;
    let mut looked_at = 0;
    let mut fitting = Vec::new();
    loop {
        let page = asking(NEXT_JOBS).bind(LOOKED_AT).bind(looked_at);
        let page = page.fetch_all(&mut tx.conn).await.map_err(database_error)?;
        let is_last = page.len() < LOOKED_AT as usize;
        for row in page {
            let needs = needs(&row, now_ms)?;
            if let Ok(fit) = needs.fit(&agent.applicant(&ask)) {
                fitting.push((row, needs, fit));
            }
        }
        if is_last || !fitting.is_empty() {
            break;
        }
        looked_at += LOOKED_AT;
    }
    let candidates = fitting.iter().map(|(row, ..)| candidate(row, &ask)).collect::<Result<Vec<_>, _>>()?;
    let chosen = choose(&candidates);
    let Some((row, needs, fit)) = fitting.get(chosen) else { return Ok(None) };
    if ask.timing == LeaseTiming::Ahead {
        let is_open = candidates[chosen].nearness == Nearness::Warm;
        let pending = fitting.iter().map(|(row, ..)| count(row, "pending")).sum::<Result<u64, _>>()?;
        let opening = if is_open { Opening::SameScene } else { Opening::OtherScene };
        let ahead = Ahead { opening, order: needs.options.order, pending, slots: company.slots };
        if !is_granted(ahead) {
            return Ok(None);
        }
    }
    let job = job_id(row, "job_id")?;
    let next =
        asking(NEXT_RANGE).bind(job.as_bytes().to_vec()).fetch_one(&mut tx.conn).await.map_err(database_error)?;
    let carve = Carve {
        pending: count(row, "pending")?,
        eligible_slots: company.slots,
        relative_speed: speed(tx, job, ask.agent).await?,
        batch_size: small(row, "batch_size")?,
    };
    let whole = Shelved::of(range(&next)?, small(&next, "generation")?);
    let most = match (ask.timing, needs.options.order) {
        (LeaseTiming::Ahead, _) => FRAMES_AHEAD,
        (LeaseTiming::Now, FrameOrder::Any) => batch_frames(carve),
        // To go on elsewhere would mean to step through everything again.
        (LeaseTiming::Now, FrameOrder::Sequential) => MOST_IN_SEQUENCE,
    };
    let frames = carve_off(tx, job, whole, most).await?;
    if !needs.requirements.mixed {
        pin(tx, job, fit).await?;
    }
    let mut lease = lease_of(row, LeaseId::generate(), frames, whole.generation, fit.clone())?;
    lease.epoch = insert(tx, &lease, ask.agent, Origin::Request(ask.request)).await?;
    tx.lease_begins(lease.id, ask.agent);
    Ok(Some(lease))
}

/// From its first lease on, all of a job is rendered by one version of Blender, and with one kind of device once that is known.
async fn pin(tx: &mut Tx, job: JobId, Fit { blender, device }: &Fit) -> Result<(), StoreError> {
    let version: BlenderVersion =
        blender.version.parse().map_err(|error| StoreError::Inconsistent(format!("{error}")))?;
    sqlx::query(PIN)
        .bind(&job.as_bytes()[..])
        .bind(version.to_string())
        .bind(device.map(DeviceKind::word))
        .execute(&mut tx.conn)
        .await
        .map(drop)
        .map_err(database_error)
}

fn candidate(row: &SqliteRow, ask: &LeaseAsk) -> Result<Candidate, StoreError> {
    let scene = scene_id(row, "scene_id")?;
    let nearness = match ask.warm {
        Some(warm) if warm == scene => Nearness::Warm,
        _ if ask.cached.contains(&scene) => Nearness::Cached,
        _ => Nearness::Away,
    };
    Ok(Candidate { priority: integer(row, "priority")?, created_ms: integer(row, "created_ms")?, nearness })
}

/// Leases a frame to the agent that has it in work under a lease that has ended, if it is still pending in the same
/// generation. If that has been done before, and the agent has not heard of it, it is the same lease again.
pub(super) async fn readopt(tx: &mut Tx, ended: LeaseRow, frame: FrameNumber) -> Result<Option<Lease>, StoreError> {
    let job = job_of(tx, ended.epoch).await?;
    if text(&job, "control")? == Control::Cancelled.word() {
        return Ok(None);
    }
    let follower = sqlx::query(FOLLOWER)
        .bind(ended.epoch)
        .bind(frame.get())
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?;
    if let Some(row) = follower {
        let lease = lease_of(&job, lease_id(&row, "id")?, FrameRange::single(frame), ended.generation, fit_of(&job)?)?;
        tx.lease_extends(lease.id);
        return Ok(Some(Lease { epoch: count(&row, "epoch")?, ..lease }));
    }
    if !take_from_shelf(tx, ended.job, Shelf::Pending, frame, ended.generation).await? {
        return Ok(None);
    }
    change_counts(tx, ended.job, CountChange { pending: -1, leased: 1, ..CountChange::default() }).await?;
    let single = FrameRange::single(frame);
    let mut lease = lease_of(&job, LeaseId::generate(), single, ended.generation, fit_of(&job)?)?;
    lease.epoch = insert(tx, &lease, ended.agent, Origin::Follows(ended.epoch)).await?;
    tx.lease_begins(lease.id, ended.agent);
    Ok(Some(lease))
}

/// Leases a frame to another agent, beside its holder, for whoever delivers first. It stays leased, so that no counter
/// changes.
pub(super) async fn lease_beside(
    tx: &mut Tx,
    primary: &LeaseRow,
    frame: FrameRange,
    fit: Fit,
    ask: &LeaseAsk,
) -> Result<Lease, StoreError> {
    let row = job_of(tx, primary.epoch).await?;
    let mut lease = lease_of(&row, LeaseId::generate(), frame, primary.generation, fit)?;
    lease.epoch = insert(tx, &lease, ask.agent, Origin::Request(ask.request)).await?;
    tx.lease_begins(lease.id, ask.agent);
    Ok(lease)
}

/// What a lease's job says of itself.
pub(super) async fn job_of(tx: &mut Tx, epoch: i64) -> Result<SqliteRow, StoreError> {
    sqlx::query(JOB_OF_LEASE).bind(epoch).fetch_one(&mut tx.conn).await.map_err(database_error)
}

/// What a lease was granted for.
fn fit_of(row: &SqliteRow) -> Result<Fit, StoreError> {
    Ok(Fit { blender: blender(row)?, device: device(row, "device")? })
}

/// A lease of a job's frames; its epoch is drawn when it is inserted.
fn lease_of(
    row: &SqliteRow,
    id: LeaseId,
    frames: FrameRange,
    generation: u32,
    Fit { blender, device }: Fit,
) -> Result<Lease, StoreError> {
    Ok(Lease {
        id,
        epoch: 0,
        job: job_id(row, "job_id")?,
        submitted_by: submitter(row)?.name().map(str::to_owned),
        scene: scene_id(row, "scene_id")?,
        blender,
        device,
        frames,
        generation,
        frame_timeout: optional_duration(row, "frame_timeout_ms")?,
        stall_timeout: optional_duration(row, "stall_timeout_ms")?,
        options: options(row)?,
        inspection: if integer(row, "uninspected")? == 1 { InspectionWish::Wanted } else { InspectionWish::Known },
    })
}

pub(super) async fn already_granted(tx: &mut Tx, ask: &LeaseAsk) -> Result<Option<Lease>, StoreError> {
    let row = sqlx::query(BY_REQUEST)
        .bind(&ask.agent.as_bytes()[..])
        .bind(&ask.request.as_bytes()[..])
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let Some(row) = row else { return Ok(None) };
    if optional_integer(&row, "ended_ms")?.is_some() {
        return Err(StoreError::LeaseEnded(ask.request));
    }
    let lease = lease_of(&row, lease_id(&row, "id")?, range(&row)?, small(&row, "generation")?, fit_of(&row)?)?;
    tx.lease_extends(lease.id);
    Ok(Some(Lease { epoch: count(&row, "epoch")?, ..lease }))
}

async fn speed(tx: &mut Tx, job: JobId, agent: AgentId) -> Result<f64, StoreError> {
    let rows = sqlx::query(SPEEDS).bind(&job.as_bytes()[..]).fetch_all(&mut tx.conn).await.map_err(database_error)?;
    let mut own_ms = None;
    let mut each_ms = Vec::with_capacity(rows.len());
    for row in &rows {
        #[expect(clippy::cast_precision_loss, reason = "frames and milliseconds are far below 2^52")]
        let mean_ms = count(row, "render_ms")? as f64 / count(row, "frames")?.max(1) as f64;
        each_ms.push(mean_ms);
        if agent_id(row, "agent_id")? == agent {
            own_ms = Some(mean_ms);
        }
    }
    Ok(relative_speed(own_ms, &each_ms))
}

/// Takes up to `most` frames off the front of a pending range.
async fn carve_off(tx: &mut Tx, job: JobId, whole: Shelved, most: u64) -> Result<FrameRange, StoreError> {
    let (batch, rest) = whole.range.split(most);
    delete_range(tx, job, Shelf::Pending, whole.range).await?;
    if let Some(rest) = rest {
        shelve(tx, job, Shelf::Pending, Shelved { range: rest, ..whole }).await?;
    }
    let frames = as_integer(batch.len());
    change_counts(tx, job, CountChange { pending: -frames, leased: frames, ..CountChange::default() }).await?;
    Ok(batch)
}

/// What a lease comes from.
enum Origin {
    Request(RequestId),
    /// A lease that has ended, by its epoch.
    Follows(i64),
}

async fn insert(tx: &mut Tx, lease: &Lease, agent: AgentId, origin: Origin) -> Result<u64, StoreError> {
    let (request, follows) = match origin {
        Origin::Request(request) => (Some(request.as_bytes().to_vec()), None),
        Origin::Follows(epoch) => (None, Some(epoch)),
    };
    sight::give(tx, agent, lease.scene).await?;
    let row = sqlx::query(INSERT_LEASE)
        .bind(&lease.id.as_bytes()[..])
        .bind(&lease.job.as_bytes()[..])
        .bind(&agent.as_bytes()[..])
        .bind(request)
        .bind(follows)
        .bind(lease.frames.first().get())
        .bind(lease.frames.last().get())
        .bind(lease.generation)
        .bind(tx.now_ms)
        .bind(json_text(&lease.blender)?)
        .bind(lease.device.map(DeviceKind::word))
        .fetch_one(&mut tx.conn)
        .await
        .map_err(database_error)?;
    let epoch = integer(&row, "epoch")?;
    for frame in lease.frames.iter() {
        sqlx::query(INSERT_FRAME)
            .bind(epoch)
            .bind(frame.get())
            .bind(&lease.job.as_bytes()[..])
            .execute(&mut tx.conn)
            .await
            .map_err(database_error)?;
    }
    let about = Subject::job(lease.job).by(agent);
    events::note(tx, EventKind::BatchLeased, &about, &lease.frames.to_string()).await?;
    count(&row, "epoch")
}

/// How the database finds the job, and the range, to lease from.
#[cfg(test)]
pub(super) async fn explain_next(readers: &SqlitePool) -> Vec<String> {
    use sqlx::Row as _;
    let mut plans = Vec::new();
    for sql in [NEXT_JOBS, NEXT_RANGE] {
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(sql).fetch_all(readers).await.unwrap();
        plans.push(rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; "));
    }
    plans
}
