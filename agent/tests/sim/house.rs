//! The orchestrator: the real router, store and files, opened as its server opens them, killed without a word, and opened
//! anew on what is left.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use haywain_orchestrator::access::doors::{Doors, Line, Reach, Strangers};
use haywain_orchestrator::access::gate::Gate as AccessGate;
use haywain_orchestrator::access::limits::Limits;
use haywain_orchestrator::access::sessions::Sessions;
use haywain_orchestrator::api::{self, App, Intervals};
use haywain_orchestrator::blobs::Blobs;
use haywain_orchestrator::clock::Clock;
use haywain_orchestrator::desk::Desk;
use haywain_orchestrator::installer::Installer;
use haywain_orchestrator::measures::Measures;
use haywain_orchestrator::scenes;
use haywain_orchestrator::store::Store;
use haywain_orchestrator::store::sqlite::{LeaseTimes, SqliteStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backstage::Backstage;
use crate::gate::Gate;
use crate::store::SimStore;
use crate::time::OrchestratorClock;
use crate::witness::Witness;
use crate::{HEARTBEAT_MS, LEASE_TTL_MS, POLL_MS, SWEEP_MS};

/// The house, whoever lives in it.
pub(crate) struct House {
    folder: PathBuf,
    witness: Arc<Witness>,
    backstage: Backstage,
    tasks: TaskTracker,
    /// How far the wall's clock is off.
    pub(crate) wall_offset_ms: Arc<AtomicI64>,
    /// Shut while the orchestrator is frozen.
    pub(crate) gate: Gate,
    life: Mutex<Option<Life>>,
}

/// One life of the orchestrator.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) router: Router,
    pub(crate) store: Arc<SimStore>,
    /// Cancelled when it is killed.
    pub(crate) death: CancellationToken,
}

impl House {
    pub(crate) fn new(folder: &Path, witness: Arc<Witness>, backstage: Backstage, tasks: TaskTracker) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let wall_offset_ms = Arc::default();
        let folder = folder.to_owned();
        Self { folder, witness, backstage, tasks, wall_offset_ms, gate: Gate::open(), life: Mutex::default() }
    }

    /// The orchestrator, if it is up.
    pub(crate) fn life(&self) -> Option<Life> {
        self.life.lock().unwrap().clone()
    }

    /// Where the files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens, as the server does.
    pub(crate) async fn open(&self, files: &[PathBuf]) {
        let clock =
            Arc::new(OrchestratorClock::start(Arc::clone(&self.witness.calendar), Arc::clone(&self.wall_offset_ms)));
        let times = LeaseTimes {
            ttl: Duration::from_millis(LEASE_TTL_MS),
            heartbeat: Duration::from_millis(HEARTBEAT_MS),
            absence: Duration::from_millis(HEARTBEAT_MS),
        };
        let (file, same_clock) = (self.folder.join("queue.sqlite"), Arc::clone(&clock));
        let opening = async move {
            SqliteStore::open(&file, times, same_clock, &TaskTracker::new(), CancellationToken::new()).await
        };
        let real = self.backstage.run(Box::pin(opening)).unwrap();
        let desk = Arc::new(Desk::new(Arc::clone(&clock) as Arc<_>));
        let limits_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let store = Arc::new(SimStore::new(real, self.backstage.clone(), clock, Arc::clone(&self.witness)));
        let blobs = Blobs::open_local(&self.folder).unwrap();
        for files in store.jobs_under_way().await.unwrap() {
            blobs.tidy(&files).unwrap();
        }
        let mut default_scene = None;
        for file in files {
            let scene = scenes::take_in(file, &blobs, &*store).await.unwrap();
            default_scene.get_or_insert(scene);
        }
        let app = App {
            store: Arc::clone(&store) as Arc<dyn Store>,
            gate: Arc::new(AccessGate::new(Doors::Insecure, Reach::Away, Strangers::Refused, 0)),
            limits: Arc::new(Limits::new(Arc::clone(&limits_clock))),
            sessions: Arc::new(Sessions::new(limits_clock)),
            blobs,
            desk,
            installer: Arc::new(Installer::new(Some(self.folder.clone()), Line::Plain)),
            measures: Arc::new(Measures::new().unwrap()),
            default_scene,
            max_frames: 1000,
            intervals: Intervals {
                lease_ttl: Duration::from_millis(LEASE_TTL_MS),
                heartbeat: Duration::from_millis(HEARTBEAT_MS),
                poll: Duration::from_millis(POLL_MS),
            },
            tasks: self.tasks.clone(),
            stop: CancellationToken::new(),
        };
        self.witness.all_renewed();
        self.check_all(&store).await;
        let life = Life { router: api::router(app), store, death: CancellationToken::new() };
        self.tasks.spawn(sweep(
            Arc::clone(&life.store),
            Arc::clone(&self.witness),
            self.gate.clone(),
            life.death.clone(),
        ));
        *self.life.lock().unwrap() = Some(life);
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        if let Some(life) = self.life.lock().unwrap().take() {
            life.death.cancel();
            life.store.kill();
        }
    }

    /// What must hold of everything in the store at any moment.
    pub(crate) async fn check_all(&self, store: &SimStore) {
        let jobs: Vec<_> = self.witness.notes().jobs.iter().map(|(job, _)| *job).collect();
        for job in jobs {
            self.witness.adds_up(store.job(job).await);
            let frames = store.frames(job, 0, 1000).await.unwrap();
            self.witness.all_there(job, &frames.into_iter().map(|kept| kept.report).collect::<Vec<_>>());
        }
    }
}

/// Looks for leases that have run out, as the server does, and whether they are gone then.
async fn sweep(store: Arc<SimStore>, witness: Arc<Witness>, gate: Gate, death: CancellationToken) {
    let looking = async {
        loop {
            let frozen = !gate.is_open();
            gate.pass().await;
            if frozen {
                witness.all_renewed();
            }
            let expired = store.sweep().await.unwrap();
            if expired > 0 {
                witness.log.note(format_args!("{expired} leases have run out"));
            }
            for _ in 0..expired {
                witness.log.count("leases expired");
            }
            let jobs: Vec<_> = witness.notes().jobs.iter().map(|(job, _)| *job).collect();
            for job in jobs {
                if let Ok(Some(report)) = store.job(job).await {
                    witness.nobody_holds_for_ever(&report);
                }
            }
            witness.calendar.pass(SWEEP_MS).await;
        }
    };
    tokio::select! {
        biased;
        () = death.cancelled() => {}
        () = looking => {}
    }
}
