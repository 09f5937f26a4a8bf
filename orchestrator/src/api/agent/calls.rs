//! The short calls: who an agent is, what it asks for, that it lives, and what became of a batch.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use haywain_shared::ids::LeaseId;
use haywain_shared::protocol::{
    FailureReport, HeartbeatAnswer, HeartbeatRequest, HeldLease, LeaseGrant, LeaseRequest, LeaseTiming, LeaveRequest,
    MAX_CACHED, RegisterAnswer, RegisterRequest, ReleaseRequest, Work,
};
use haywain_shared::token::Role;

use super::FromAgent;
use crate::access::Caller;
use crate::api::App;
use crate::api::problem::{Failed, Json, Path};
use crate::queue::said;
use crate::queue::waiting::{NextWork, next_work, work_ahead};
use crate::store::{AgentFacts, Beat, Enrolment, Failure, LeaseAsk, Pass, Registration};

pub(super) async fn register(
    State(app): State<App>,
    caller: Caller,
    FromAgent(request): FromAgent<RegisterRequest>,
) -> Result<Json<RegisterAnswer>, Failed> {
    let blenders: Vec<_> = request.blenders.iter().map(|blender| blender.build.version.as_str()).collect();
    tracing::info!(agent = %request.agent_id, name = request.name, slots = request.slots, ?blenders, "agent registered");
    let registration = Registration {
        agent: request.agent_id,
        incarnation: request.incarnation,
        name: request.name,
        facts: AgentFacts {
            slots: request.slots,
            machine: request.machine,
            blenders: request.blenders,
            abilities: request.abilities,
        },
    };
    match (caller, request.token_sha256) {
        (Caller::Bearer(Pass { role: Role::Enrol, token: by, .. }), Some(own)) => {
            app.store.enrol(Enrolment { by, own }, registration).await?;
        }
        (Caller::Bearer(Pass { role: Role::Enrol, .. }), None) => {
            return Err(Failed::invalid("an agent that enrols sends the digest of its own token".to_owned()));
        }
        (Caller::Anybody | Caller::Stranger | Caller::Bearer(_), _) => app.store.register(registration).await?,
    }
    app.desk.gone(request.agent_id, "it was started anew while it looked at the scene");
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(RegisterAnswer {
        lease_ttl_ms: ms(app.intervals.lease_ttl),
        heartbeat_ms: ms(app.intervals.heartbeat),
        poll_ms: ms(app.intervals.poll),
    }))
}

pub(super) async fn lease(
    State(app): State<App>,
    FromAgent(request): FromAgent<LeaseRequest>,
) -> Result<Response, Failed> {
    if request.cached.len() > MAX_CACHED {
        return Err(Failed::invalid(format!("cached names at most {MAX_CACHED} scenes, not {}", request.cached.len())));
    }
    let ask = LeaseAsk {
        agent: request.agent_id,
        incarnation: request.incarnation,
        request: request.request_id,
        timing: request.timing,
        memory_available_bytes: request.memory_available_bytes,
        warm: request.warm,
        cached: request.cached,
        devices: request.devices,
    };
    let agent = request.agent_id;
    let next = match ask.timing {
        LeaseTiming::Now => next_work(&*app.store, &app.desk, ask, app.intervals.poll, &app.stop).await?,
        LeaseTiming::Ahead => work_ahead(&*app.store, ask).await?,
    };
    let work = match next {
        None => return Ok(StatusCode::NO_CONTENT.into_response()),
        Some(NextWork::Batch { lease, after }) => {
            app.measures.leased(after);
            let (job, frames) = (lease.job, lease.frames);
            tracing::info!(lease = %lease.id, epoch = lease.epoch, %job, %agent, %frames, "batch leased");
            Work::Batch(Box::new(LeaseGrant::from(*lease)))
        }
        Some(NextWork::Inspection(scene)) => {
            tracing::info!(%scene, %agent, "scene to be inspected");
            Work::Inspection { scene }
        }
    };
    Ok(Json(work).into_response())
}

pub(super) async fn heartbeat(
    State(app): State<App>,
    FromAgent(request): FromAgent<HeartbeatRequest>,
) -> Result<Json<HeartbeatAnswer>, Failed> {
    let beat = Beat {
        agent: request.agent_id,
        incarnation: request.incarnation,
        sequence: request.sequence,
        slots: request.slots,
        sample: request.sample,
        held: request.leases.into_iter().map(|held| HeldLease { log_tail: said::log(held.log_tail), ..held }).collect(),
    };
    Ok(Json(app.store.renew(beat).await?))
}

pub(super) async fn fail(
    State(app): State<App>,
    Path(lease): Path<LeaseId>,
    Json(report): Json<FailureReport>,
) -> Result<StatusCode, Failed> {
    let FailureReport { frame, cause, stage, peak_memory_bytes, message, log_tail } = report;
    let (message, log_tail) = (said::reason(message), said::log(log_tail));
    tracing::warn!(%lease, %frame, %cause, reason = message, "attempt failed");
    app.store.fail(Failure { lease, frame, cause, stage, peak_memory_bytes, message, log_tail }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn release(
    State(app): State<App>,
    Path(lease): Path<LeaseId>,
    Json(request): Json<ReleaseRequest>,
) -> Result<StatusCode, Failed> {
    app.store.release(lease, request.frames).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn complete(State(app): State<App>, Path(lease): Path<LeaseId>) -> Result<StatusCode, Failed> {
    app.store.complete(lease).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn leave(
    State(app): State<App>,
    FromAgent(request): FromAgent<LeaveRequest>,
) -> Result<StatusCode, Failed> {
    tracing::info!(agent = %request.agent_id, "agent leaves");
    app.store.leave(request.agent_id, request.incarnation).await?;
    app.desk.gone(request.agent_id, "it was stopped while it looked at the scene");
    Ok(StatusCode::NO_CONTENT)
}
