//! Puts the rooms together: opens what is on disk, listens, sweeps, and ends in order. Nothing that was started here lives
//! on after [`Orchestrator::run_until`].

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum_server::Handle;
use haywain_shared::folder::OwnFolder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::doors::{Line, Setup, Strangers};
use crate::access::gate::Gate;
use crate::access::limits::Limits;
use crate::access::sessions::Sessions;
use crate::api::{self, App};
use crate::blobs::Blobs;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::desk::Desk;
use crate::installer::Installer;
use crate::intake;
use crate::line;
use crate::measures::Measures;
use crate::retention::{self, Collector, Keep};
use crate::scenes;
use crate::store::Store;
use crate::store::sqlite::{LeaseTimes, QUEUE_FILE, SqliteStore};
use crate::tls::Certificate;

/// A lease lasts at least this many heartbeats: one may be lost, and one late.
const HEARTBEATS_IN_A_LEASE: u32 = 3;
/// The time from one look for expired leases to the next.
const SWEEP: Duration = Duration::from_secs(1);
/// Looks for expired leases that an orchestrator misses before it takes itself for having been frozen.
const LOOKS_MISSED: u32 = 3;
/// How long a lease request waits when there is nothing to do. Shorter than what proxies and NATs take for dead.
const POLL: Duration = Duration::from_secs(25);
/// How long requests may take to end once the orchestrator has been asked to.
const GRACE: Duration = Duration::from_secs(10);

/// An orchestrator that is ready and listening.
pub struct Orchestrator {
    listener: TcpListener,
    certificate: Option<Certificate>,
    app: App,
    collector: Collector,
    tasks: TaskTracker,
    /// Cancelled when the queue's writer is gone: nothing can be promised any more.
    writer_gone: CancellationToken,
    _folder: OwnFolder,
}

impl Orchestrator {
    /// Opens the data folder, takes in the default scene, and begins to listen. Connections wait until it runs.
    pub async fn start(settings: &Settings, data_dir: &Path) -> anyhow::Result<Self> {
        let (lease_ttl, heartbeat) = (settings.lease_ttl.0, settings.heartbeat.0);
        if heartbeat.is_zero() || lease_ttl < HEARTBEATS_IN_A_LEASE * heartbeat {
            bail!("--lease-ttl must be at least {HEARTBEATS_IN_A_LEASE} times --heartbeat, and that at least 1s");
        }
        if settings.keep_scenes.0 < retention::SHORTEST {
            bail!("--keep-scenes must be at least 24h: what is being uploaded must not go before it is used");
        }
        let folder = OwnFolder::take(data_dir)?;
        let tasks = TaskTracker::new();
        let writer_gone = CancellationToken::new();
        let times = LeaseTimes { ttl: lease_ttl, heartbeat, absence: heartbeat.max(LOOKS_MISSED * SWEEP) };
        let clock = Arc::new(SystemClock::start());
        let database = folder.path().join(QUEUE_FILE);
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&database, times, clock.clone(), &tasks, writer_gone.clone()).await?);
        let blobs = Blobs::open_local(folder.path())?;
        for files in store.jobs_under_way().await? {
            blobs.tidy(&files)?;
        }
        intake::reconcile(&*store, &blobs).await?;
        let keep =
            Keep { jobs: settings.keep_jobs.map(|span| span.0), scenes: settings.keep_scenes.0, default_scene: None };
        let desk = Arc::new(Desk::new(clock.clone()));
        let collector_clock = clock.clone();
        let mut collector = Collector { store: Arc::clone(&store), blobs: blobs.clone(), clock: collector_clock, keep };
        // What a crash has left half deleted is neither here nor gone, and the default scene may be among it.
        collector.finish_deletions().await?;
        let default_scene = match &settings.scene {
            Some(path) => Some(scenes::take_in(path, &blobs, &*store).await?),
            None => None,
        };
        collector.keep.default_scene = default_scene;
        let certificate = Certificate::open(settings.tls_cert.as_deref(), settings.tls_key.as_deref()).await?;
        let changes = store.token_changes().await?;
        let setup = Setup {
            listen: settings.listen.ip(),
            insecure: settings.insecure,
            strangers: if settings.anonymous_submit { Strangers::MaySubmit } else { Strangers::Refused },
            line: if certificate.is_some() { Line::Sealed } else { Line::Plain },
            has_tokens: changes > 0,
        };
        let doors = setup.doors()?;
        let listener = TcpListener::bind(settings.listen).await.with_context(|| {
            format!("listening on {}: choose another address or port with --listen", settings.listen)
        })?;
        tracing::info!(
            listen = %listener.local_addr()?,
            data_dir = %folder.path().display(),
            access = ?doors,
            tls = certificate.is_some(),
            scene = %settings.scene.as_ref().map_or_else(|| "none".into(), |path| path.display().to_string()),
            "orchestrator ready"
        );
        for warning in setup.warnings() {
            tracing::warn!(listen = %listener.local_addr()?, "{warning}");
        }
        let app = App {
            store,
            gate: Arc::new(Gate::new(doors, setup.reach(), setup.strangers, changes)),
            limits: Arc::new(Limits::new(clock.clone())),
            sessions: Arc::new(Sessions::new(clock)),
            blobs,
            desk,
            installer: Arc::new(Installer::new(settings.agent_programs.clone(), setup.line)),
            measures: Arc::new(Measures::new()?),
            default_scene,
            max_frames: settings.max_frames.get(),
            intervals: api::Intervals { lease_ttl, heartbeat, poll: POLL },
            tasks: tasks.clone(),
            stop: CancellationToken::new(),
        };
        Ok(Self { listener, certificate, app, collector, tasks, writer_gone, _folder: folder })
    }

    /// The address that it listens on: the port is a real one also when 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `signal`, then lets requests end.
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { listener, certificate, app, collector, tasks, writer_gone, _folder } = self;
        let stop = app.stop.clone();
        tasks.spawn(sweep(Arc::clone(&app.store), Arc::clone(&app.measures), stop.clone()));
        tasks.spawn(collector.run(stop.clone()));
        tasks.spawn(Arc::clone(&app.gate).watch(Arc::clone(&app.store), stop.clone()));
        let handle = Handle::new();
        let tls = certificate.as_ref().map(Certificate::config);
        if let Some(certificate) = certificate {
            tasks.spawn(certificate.watch(stop.clone()));
        }
        let server = tasks.spawn(line::serve(listener, api::router(app), tls, handle.clone()));
        let asked_to_stop = tokio::select! {
            () = signal => true,
            () = writer_gone.cancelled() => false,
        };
        tracing::info!("stopping");
        stop.cancel();
        handle.graceful_shutdown(None);
        let ended = async {
            let outcome = server.await;
            // With the server's end the last handles on the store are gone, and with them its writer.
            tasks.close();
            tasks.wait().await;
            outcome
        };
        if let Ok(outcome) = tokio::time::timeout(GRACE, ended).await {
            outcome??;
        } else {
            tracing::warn!(grace_s = GRACE.as_secs(), "requests were still open and are cut off");
        }
        if !asked_to_stop {
            bail!("the queue's writer has ended unexpectedly; the log says why. Nothing that was answered is lost");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Looks for leases that have run out, again and again.
async fn sweep(store: Arc<dyn Store>, measures: Arc<Measures>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        measures.settle();
        if let Err(error) = store.sweep().await {
            tracing::error!(%error, "looking for expired leases");
        }
    }
}
