//! The bench that a store is tried on: what a case does to it, and a check of what must always hold.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, Incarnation, JobId, RequestId};
use haywain_shared::job::JobReport;
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::{
    Abilities, BlenderBuild, BlenderKind, HeartbeatAnswer, HeldLease, LeaseStanding, LeaseTiming, MachineFacts,
    MachineSample, Stage, UploadOutcome,
};
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::{Manifest, SceneId};

use crate::clock::HeldClock;
use crate::queue::submission::Limits;
use crate::store::{
    AgentFacts, Beat, Delivered, Failure, Lease, LeaseAsk, NewJob, Registration, RenderedFrame, Sight, Store,
    StoreError, StoredFile,
};

/// How long leases last in these cases.
pub(in crate::store) const TTL: Duration = Duration::from_secs(20);
/// The time from one heartbeat to the next; left alone for longer, the store blames nobody for silence.
pub(in crate::store) const HEARTBEAT: Duration = Duration::from_secs(5);

/// The memory that agents have in these cases, and the peak of what they fail at.
pub(super) const GIB: u64 = 1 << 30;

/// What every machine says of itself.
pub(super) const SAMPLE: MachineSample = MachineSample { cores_busy: 1.0, memory_available_bytes: GIB };

type Opened = Pin<Box<dyn Future<Output = Arc<dyn Store>>>>;

/// A store under test.
pub(in crate::store) struct Bench {
    pub(super) store: Arc<dyn Store>,
    clock: Arc<HeldClock>,
    open: Box<dyn Fn() -> Opened>,
}

impl Bench {
    pub(in crate::store) async fn new(clock: Arc<HeldClock>, open: Box<dyn Fn() -> Opened>) -> Self {
        Self { store: open().await, clock, open }
    }

    /// Closes the store and opens it anew, on what it has on disk.
    pub(super) async fn restart(&mut self) {
        self.store = (self.open)().await;
    }

    /// The scene of every job that needs no other.
    pub(super) async fn scene(&self) -> SceneId {
        self.complete_scene(Manifest::of_one_file("a.blend".parse().unwrap(), 1, Sha256Digest::of(b"a"))).await
    }

    pub(super) async fn submit(&self, from: i64, to: i64, batch_size: u32) -> JobId {
        let scene = self.scene().await;
        let id = JobId::generate();
        self.store.submit(NewJob { batch_size, ..new_job(id, scene, range(from, to)) }).await.unwrap();
        // Jobs are told apart by their age, and the clock stands still.
        self.clock.advance(Duration::from_millis(1));
        id
    }

    /// Keeps a scene, and says that all its blobs are here.
    pub(super) async fn complete_scene(&self, manifest: Manifest) -> SceneId {
        let blobs = manifest.blobs();
        let scene = self.store.keep_scene(manifest, Sight::All).await.unwrap().report.scene_id;
        for blob in blobs {
            self.store.blob_arrived(blob).await.unwrap();
        }
        scene
    }

    pub(super) async fn agent(&self) -> AgentId {
        let agent = AgentId::generate();
        self.register(agent, 1).await.unwrap();
        agent
    }

    pub(super) async fn register(&self, agent: AgentId, incarnation: u32) -> Result<(), StoreError> {
        self.register_with(agent, incarnation, Abilities::default()).await
    }

    pub(super) async fn register_with(
        &self,
        agent: AgentId,
        incarnation: u32,
        abilities: Abilities,
    ) -> Result<(), StoreError> {
        let facts = AgentFacts { abilities, ..facts(&["3.4.1"]) };
        let incarnation = Incarnation(incarnation);
        self.store.register(Registration { agent, incarnation, name: "test".to_owned(), facts }).await
    }

    /// A new agent with these Blenders.
    pub(super) async fn agent_named(&self, name: &str, blenders: &[&str]) -> AgentId {
        let agent = AgentId::generate();
        let (name, facts) = (name.to_owned(), facts(blenders));
        self.store.register(Registration { agent, incarnation: Incarnation(1), name, facts }).await.unwrap();
        agent
    }

    pub(super) async fn ask(&self, agent: AgentId, request: RequestId) -> Result<Option<Lease>, StoreError> {
        self.store.lease(new_ask(agent, request)).await
    }

    /// A lease for an agent with so much memory, if there is one for it.
    pub(super) async fn lease_with(&self, agent: AgentId, memory_available_bytes: u64) -> Option<Lease> {
        let request = RequestId::generate();
        let ask = LeaseAsk { memory_available_bytes, ..new_ask(agent, request) };
        self.store.lease(ask).await.unwrap()
    }

    pub(super) async fn lease(&self, agent: AgentId) -> Lease {
        self.ask(agent, RequestId::generate()).await.unwrap().expect("something is pending")
    }

    /// A heartbeat that names some leases, each with its frame in work.
    pub(super) async fn heartbeat(&self, agent: AgentId, held: &[(&Lease, Option<i64>)]) -> HeartbeatAnswer {
        self.heartbeat_of(agent, held, SAMPLE).await
    }

    /// A heartbeat of an agent that holds nothing and has so much memory free.
    pub(super) async fn heartbeat_with_memory(&self, agent: AgentId, memory_available_bytes: u64) {
        self.heartbeat_of(agent, &[], MachineSample { memory_available_bytes, ..SAMPLE }).await;
    }

    async fn heartbeat_of(
        &self,
        agent: AgentId,
        held: &[(&Lease, Option<i64>)],
        sample: MachineSample,
    ) -> HeartbeatAnswer {
        let held = held.iter().map(|(lease, in_work)| HeldLease {
            lease_id: lease.id,
            frame: in_work.map(frame),
            fraction: 0.5,
            frames_done: 0,
            log_tail: "rendering".to_owned(),
        });
        let beat = Beat { agent, incarnation: Incarnation(1), sequence: 0, slots: 1, sample, held: held.collect() };
        self.store.renew(beat).await.unwrap()
    }

    /// What a heartbeat that names one lease is told about it.
    pub(super) async fn standing(&self, agent: AgentId, lease: &Lease, in_work: Option<i64>) -> LeaseStanding {
        let mut answer = self.heartbeat(agent, &[(lease, in_work)]).await;
        assert_eq!(answer.leases.len(), 1);
        answer.leases.remove(0).standing
    }

    /// The frames that a heartbeat that names one lease is told it still holds.
    pub(super) async fn beat(&self, agent: AgentId, lease: &Lease, in_work: Option<i64>) -> Vec<FrameRange> {
        match self.standing(agent, lease, in_work).await {
            LeaseStanding::Renewed { frames } => frames,
            LeaseStanding::Revoked { .. } => Vec::new(),
            LeaseStanding::Readopted { grant } => panic!("re-adopted: {grant:?}"),
        }
    }

    pub(super) async fn deliver(&self, lease: &Lease, number: i64) -> Result<UploadOutcome, StoreError> {
        self.record(lease, number, vec![Self::stored_file(lease, number, &format!("{number}.png"))]).await
    }

    pub(super) fn stored_file(lease: &Lease, number: i64, name: &str) -> StoredFile {
        StoredFile {
            name: name.parse().unwrap(),
            blob_key: format!("frames/{}/{number}/{name}", lease.id),
            size_bytes: 1,
            sha256: Sha256Digest::of(b"pixels"),
            width: 1,
            height: 1,
        }
    }

    pub(super) async fn record(
        &self,
        lease: &Lease,
        number: i64,
        files: Vec<StoredFile>,
    ) -> Result<UploadOutcome, StoreError> {
        Ok(self.record_whole(lease, number, files).await?.outcome)
    }

    pub(super) async fn record_whole(
        &self,
        lease: &Lease,
        number: i64,
        files: Vec<StoredFile>,
    ) -> Result<Delivered, StoreError> {
        let rendered = RenderedFrame {
            lease: lease.id,
            job: lease.job,
            frame: frame(number),
            generation: lease.generation,
            render_ms: 100,
            peak_memory_bytes: None,
            files,
            thumbnail_key: None,
        };
        self.store.record(rendered).await
    }

    pub(super) async fn fail(&self, lease: &Lease, number: i64, cause: Cause) {
        self.fail_at(Stage::Rendering, lease, number, cause).await;
    }

    /// The agent finds out that it cannot render a frame before it has begun it.
    pub(super) async fn refuse(&self, lease: &Lease, number: i64) {
        self.fail_at(Stage::Preparing, lease, number, Cause::DeviceUnavailable).await;
    }

    async fn fail_at(&self, stage: Stage, lease: &Lease, number: i64, cause: Cause) {
        let failure = Failure {
            lease: lease.id,
            frame: frame(number),
            cause,
            stage,
            peak_memory_bytes: Some(GIB),
            message: format!("{cause} it is"),
            log_tail: "the log".to_owned(),
        };
        self.store.fail(failure).await.unwrap();
    }

    /// Lets time pass without anybody looking.
    pub(super) fn sleep(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets time pass as it does for an orchestrator that is there: with a look for expired leases each second.
    pub(super) async fn pass(&self, seconds: u64) -> usize {
        let mut expired = 0;
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            expired += self.store.sweep().await.unwrap();
        }
        expired
    }

    /// The job, after a check that each of its frames is in exactly one state and that the counters say the same.
    pub(super) async fn job(&self, job: JobId) -> JobReport {
        let report = self.store.job(job).await.unwrap().expect("the job is there");
        let states = [
            (&report.frames.pending, report.counts.pending),
            (&report.frames.leased, report.counts.leased),
            (&report.frames.done, report.counts.done),
            (&report.frames.failed, report.counts.failed),
        ];
        let mut all = Vec::new();
        for (ranges, count) in states {
            let frames: Vec<_> = ranges.iter().flat_map(|range| range.iter()).collect();
            assert_eq!(frames.len() as u64, count, "{report:?}");
            all.extend(frames);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u64, report.counts.total, "{report:?}");
        report
    }

    /// The frames in each state, in words: pending, leased, done, failed.
    pub(super) async fn frames(&self, job: JobId) -> [String; 4] {
        let frames = self.job(job).await.frames;
        [frames.pending, frames.leased, frames.done, frames.failed]
            .map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}

/// What an agent tells that has these Blenders.
pub(super) fn facts(blenders: &[&str]) -> AgentFacts {
    let blenders = blenders
        .iter()
        .map(|version| BlenderBuild { version: (*version).to_owned(), kind: BlenderKind::Program }.into());
    let machine = MachineFacts {
        os: "test".to_owned(),
        arch: "test".to_owned(),
        logical_cores: 1,
        memory_bytes: GIB,
        gpus: Vec::new(),
    };
    AgentFacts { slots: 1, machine, blenders: blenders.collect(), abilities: Abilities::default() }
}

/// A job with nothing special about it.
pub(super) fn new_job(id: JobId, scene: SceneId, frames: FrameRange) -> NewJob {
    NewJob {
        id,
        owner: None,
        sight: Sight::All,
        name: None,
        scene,
        frames: FrameList::of_range(frames),
        batch_size: 5,
        options: RenderOptions::default(),
        requirements: Requirements::default(),
        priority: 0,
        limits: Limits::default(),
        idempotency: None,
    }
}

pub(super) fn frame(number: i64) -> FrameNumber {
    number.try_into().unwrap()
}

pub(super) fn range(from: i64, to: i64) -> FrameRange {
    FrameRange::new(frame(from), frame(to)).unwrap()
}

/// A request for a lease by an agent with a gibibyte.
pub(super) fn new_ask(agent: AgentId, request: RequestId) -> LeaseAsk {
    LeaseAsk {
        agent,
        incarnation: Incarnation(1),
        request,
        timing: LeaseTiming::Now,
        memory_available_bytes: GIB,
        warm: None,
        cached: Vec::new(),
        devices: None,
    }
}
