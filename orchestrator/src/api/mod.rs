//! HTTP: handlers translate and decide nothing. Routes are split by who calls: `render` and `status` are the clients' two
//! calls, `v1` is for people and their programs, [`agent`] is the agents' protocol.

pub mod agent;
mod body;
mod browser;
mod guard;
mod guarded;
mod install;
mod metrics;
mod pace;
mod problem;
mod receiving;
mod render;
mod reply;
mod served;
mod status;
mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use haywain_shared::job::JobReport;
use haywain_shared::protocol::PREFIX;
use haywain_shared::scene::SceneId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::csrf::CsrfLayer;
use tower_http::trace::TraceLayer;

use crate::access::Caller;
use crate::access::gate::Gate;
use crate::access::limits::Limits;
use crate::access::sessions::Sessions;
use crate::blobs::Blobs;
use crate::desk::Desk;
use crate::installer::Installer;
use crate::measures::Measures;
use crate::store::{Sight, Store};

/// What handlers work with.
#[derive(Clone)]
pub struct App {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// The files.
    pub blobs: Blobs,
    /// Who is let in.
    pub gate: Arc<Gate>,
    /// How often each may call, and what is under way.
    pub limits: Arc<Limits>,
    /// Browsers that have logged in.
    pub sessions: Arc<Sessions>,
    /// What people want to know of scenes.
    pub desk: Arc<Desk>,
    /// What makes agents of new machines.
    pub installer: Arc<Installer>,
    /// What is measured.
    pub measures: Arc<Measures>,
    /// The scene of jobs that name none.
    pub default_scene: Option<SceneId>,
    /// The most frames in a job.
    pub max_frames: u64,
    /// The intervals that agents are told to keep.
    pub intervals: Intervals,
    /// Where work goes that must end well even when its caller has gone.
    pub tasks: TaskTracker,
    /// Cancelled when the orchestrator is to stop: long polls end.
    pub stop: CancellationToken,
}

impl App {
    /// Tells where a job's frames lie on this machine to whoever may know its folders.
    fn tell_folder(&self, caller: &Caller, report: &mut JobReport) {
        if caller.sight() == Sight::All {
            let folder = self.blobs.folder_of(report.job_id, report.name.as_deref());
            report.output_folder = Some(folder.display().to_string());
        }
    }
}

/// The intervals that agents are told to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// How long a lease lasts without a heartbeat that names it.
    pub lease_ttl: Duration,
    /// The time from one heartbeat to the next.
    pub heartbeat: Duration,
    /// How long a lease request is held open.
    pub poll: Duration,
}

/// Every route there is.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(v1::router())
        .nest(PREFIX, agent::router())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(CsrfLayer::new().with_rejection_response(browser::from_elsewhere))
        .layer(axum::middleware::from_fn(browser::harden))
        .layer(TraceLayer::new_for_http())
        .with_state(app)
}

async fn no_such_path(headers: HeaderMap) -> Response {
    reply::not_found(&headers)
}

async fn no_such_method(headers: HeaderMap) -> Response {
    reply::method_not_allowed(&headers)
}
