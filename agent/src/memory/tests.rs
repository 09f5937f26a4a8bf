//! The account as slots use it, of a machine that is scripted.

use std::collections::BTreeMap;

use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::{BlenderBuild, BlenderKind};
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Need};
use super::*;

const GIB: u64 = 1 << 30;

/// A machine that tests can change: what is free, and what processes have.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    total_bytes: u64,
    resident_bytes: BTreeMap<u32, u64>,
}

impl Scripted {
    fn has(&self, process: u32, gib: u64) {
        self.0.lock().unwrap().resident_bytes.insert(process, gib * GIB);
    }
}

impl Look for Scripted {
    fn available_bytes(&mut self) -> u64 {
        let script = self.0.lock().unwrap();
        script.total_bytes - script.resident_bytes.values().sum::<u64>()
    }

    fn resident_bytes(&mut self, leaders: &[u32]) -> Vec<u64> {
        let script = self.0.lock().unwrap();
        leaders.iter().map(|leader| script.resident_bytes.get(leader).copied().unwrap_or(0)).collect()
    }
}

/// A machine of 16 GiB, of which one is reserved.
fn machine(max_gib: Option<u64>) -> (Scripted, Memory) {
    let script = Scripted::default();
    script.0.lock().unwrap().total_bytes = 16 * GIB;
    let limits = Limits { max_bytes: max_gib.map(|gib| gib * GIB), reserve_bytes: GIB, machine_bytes: 16 * GIB };
    (script.clone(), Memory::new(limits, script, Learnt::default()))
}

fn workload(samples: u32) -> Workload {
    Workload {
        scene: "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c".parse().unwrap(),
        blender: BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program },
        options: RenderOptions { samples: Some(samples), ..RenderOptions::default() },
    }
}

/// Has a session of `account` open a scene that takes so much, and render a frame of it.
fn renders(script: &Scripted, account: &Account, samples: u32, process: u32, gib: u64) -> Place {
    let workload = workload(samples);
    assert_eq!(account.ask(&workload, account.need(&workload, 0)), Admission::Open);
    let place = account.started(Some(process));
    script.has(process, gib);
    account.opened();
    account.begins();
    place
}

async fn is_stopped(account: &Account) -> Option<Stopped> {
    tokio::time::timeout(Duration::from_millis(1), account.stopped()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_scene_waits_for_the_work_of_others_and_ends_their_rest() {
    let (script, memory) = machine(None);
    let (one, two) = (memory.account(), memory.account());
    let place = renders(&script, &one, 1, 100, 8);
    assert_eq!(one.rests(Some(8 * GIB)), Some(8 * GIB));
    assert_eq!(memory.of_scene(&workload(1)), Some(SceneMemory { peak_bytes: Some(8 * GIB), least_bytes: 8 * GIB }));

    // While the first renders on, a second of the same does not fit.
    one.begins();
    let need = two.need(&workload(1), 0);
    assert_eq!(need.most_bytes, 9 * GIB);
    assert_eq!(two.ask(&workload(1), need), Admission::Wait);
    assert!(two.is_crowded_for(need));
    // What is promised to it is not free: 16 GiB less the reserve, and what the first may come to.
    assert_eq!(two.room_bytes(), 6 * GIB);
    assert_eq!(one.room_bytes(), 15 * GIB);

    // When it rests, its session is to end.
    let mut changes = two.changes();
    changes.borrow_and_update();
    let _ = one.rests(None);
    assert!(changes.has_changed().unwrap() && !two.is_crowded_for(need));
    assert_eq!(is_stopped(&one).await, None);
    assert_eq!(two.ask(&workload(1), need), Admission::EndIdle);
    assert_eq!(is_stopped(&one).await, Some(Stopped::Wanted));
    script.has(100, 0);
    drop(place);
    assert_eq!(two.ask(&workload(1), need), Admission::Open);
    // From then on it is the first that waits, though the second has not begun to load.
    assert_eq!(one.ask(&workload(1), need), Admission::Wait);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_more_than_it_said_is_stopped_alone() {
    let (script, memory) = machine(Some(4));
    let (light, heavy) = (memory.account(), memory.account());
    let _light = renders(&script, &light, 1, 100, 0);
    script.has(100, 1);
    let _ = light.rests(None);
    light.begins();
    let place = renders(&script, &heavy, 2, 200, 0);
    heavy.is_at(0.9);
    script.has(200, 3);
    assert!(memory.look_after().is_some());
    assert_eq!((is_stopped(&light).await, is_stopped(&heavy).await), (None, None));
    script.has(200, 5);
    memory.look_after();
    let short = Shortage::Limit { together_bytes: 6 * GIB, max_bytes: 4 * GIB };
    assert_eq!((is_stopped(&light).await, is_stopped(&heavy).await), (None, Some(Stopped::Short(short))));
    // As long as its memory is on its way back, nobody else has to go.
    memory.look_after();
    assert_eq!(heavy.rests(None), Some(5 * GIB));
    drop(place);
    memory.look_after();
    script.has(200, 0);
    memory.look_after();
    assert_eq!(is_stopped(&light).await, None);
    // The frame is not known to fit, and is tried again only with nothing beside it.
    let need = heavy.need(&workload(2), 0);
    assert_eq!(heavy.ask(&workload(2), need), Admission::Wait);
    let _ = light.rests(None);
    assert_eq!(heavy.ask(&workload(2), need), Admission::EndIdle);
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_ahead_takes_no_memory_from_anybody() {
    let (script, memory) = machine(None);
    let [renders_on, warm, ahead, other] = [(); 4].map(|()| memory.account());
    let _busy = renders(&script, &renders_on, 1, 100, 4);
    let _idle = renders(&script, &warm, 2, 200, 4);
    let _ = warm.rests(None);
    let gib = |gib: u64| Need { most_bytes: gib * GIB, least_bytes: None };
    // 16 GiB less 8 in use and the reserve; what waits warm is not ended for it.
    assert!(!ahead.ask_ahead(&workload(3), gib(8)));
    assert_eq!(is_stopped(&warm).await, None);
    assert!(ahead.ask_ahead(&workload(3), gib(6)));
    // What it is promised counts, until somebody has a frame to begin.
    assert_eq!(other.room_bytes(), GIB);
    let _place = ahead.started(Some(300));
    script.has(300, 1);
    assert_eq!(other.ask(&workload(4), gib(6)), Admission::EndIdle);
    assert_eq!(is_stopped(&ahead).await, Some(Stopped::Wanted));
    assert_eq!(is_stopped(&renders_on).await, None);
    // At its turn it is a session like any other.
    assert!(ahead.ask_ahead(&workload(3), gib(2)), "and what it was told before counts no more");
    assert_eq!(is_stopped(&ahead).await, None);
    ahead.waits();
    ahead.begins();
    assert_eq!(other.ask(&workload(4), gib(12)), Admission::Wait);
}

#[tokio::test(start_paused = true)]
async fn a_scene_that_cannot_even_be_opened_is_refused_from_then_on() {
    let (script, memory) = machine(None);
    let account = memory.account();
    assert_eq!(
        account.ask(&workload(1), account.need(&workload(1), 1 << 40)),
        Admission::Open,
        "a guess refuses nothing"
    );
    let place = account.started(Some(100));
    script.has(100, 16);
    memory.look_after();
    assert!(matches!(is_stopped(&account).await, Some(Stopped::Short(Shortage::Machine { available_bytes: 0, .. }))));
    let peak_bytes = account.rests(None).unwrap();
    account.could_not_open(peak_bytes);
    script.has(100, 0);
    drop(place);
    let need = account.need(&workload(1), 0);
    assert_eq!(account.ask(&workload(1), need), Admission::TooLarge { room_bytes: 15 * GIB });
}

#[tokio::test(start_paused = true)]
async fn memory_is_watched_while_there_is_a_session() {
    let (script, memory) = machine(None);
    let account = memory.account();
    let end = CancellationToken::new();
    let tasks = TaskTracker::new();
    let watching = tasks.spawn(memory.clone().watch(end.clone()));
    tokio::task::yield_now().await;
    let place = renders(&script, &account, 1, 100, 4);
    script.has(100, 16);
    let began = Instant::now();
    assert!(matches!(account.stopped().await, Stopped::Short(_)));
    assert!(began.elapsed() <= Duration::from_millis(600), "{:?}", began.elapsed());
    drop(place);
    end.cancel();
    watching.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_session_had_for_the_scene_before_is_none_of_the_next_one_s() {
    let (script, memory) = machine(None);
    let account = memory.account();
    let _place = renders(&script, &account, 1, 100, 8);
    let _ = account.rests(Some(8 * GIB));
    let small = Need { most_bytes: GIB, least_bytes: None };
    assert!(account.has_room_beside_own(small));
    assert!(!account.has_room_beside_own(Need { most_bytes: 8 * GIB, ..small }), "8 of 16 GiB are its own");
    assert_eq!(account.ask(&workload(2), small), Admission::Open);
    // While it is opened both are there.
    script.has(100, 9);
    memory.look_after();
    script.has(100, 1);
    account.opened();
    account.begins();
    script.has(100, 2);
    memory.look_after();
    assert_eq!(account.rests(None), Some(2 * GIB));
    assert_eq!(memory.of_scene(&workload(2)), Some(SceneMemory { peak_bytes: Some(2 * GIB), least_bytes: GIB }));

    // One that is stopped on the way there has said nothing of the next scene.
    assert_eq!(account.ask(&workload(3), small), Admission::Open);
    script.has(100, 16);
    memory.look_after();
    let peak_bytes = account.rests(None).unwrap();
    account.could_not_open(peak_bytes);
    assert_eq!(memory.of_scene(&workload(3)), None);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_is_not_thrown_away() {
    let (script, memory) = machine(None);
    let account = memory.account();
    let _place = renders(&script, &account, 1, 100, 16);
    memory.look_after();
    assert!(matches!(is_stopped(&account).await, Some(Stopped::Short(_))));
    // Its frame was finished at that moment: the session ends, and the frame stays.
    let _ = account.rests(None);
    let starved = tokio::time::timeout(Duration::from_millis(1), account.starved()).await;
    assert!(starved.is_err(), "{starved:?}");
    assert!(matches!(is_stopped(&account).await, Some(Stopped::Spare(_))));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_is_not_told_again_and_again() {
    let (script, memory) = machine(None);
    let (deaf, busy) = (memory.account(), memory.account());
    let _deaf = renders(&script, &deaf, 1, 100, 3);
    let _ = deaf.rests(None);
    let _busy = renders(&script, &busy, 2, 200, 4);
    script.has(200, 13);
    memory.look_after();
    assert!(matches!(is_stopped(&deaf).await, Some(Stopped::Spare(_))), "it has nothing to do");
    assert_eq!(is_stopped(&busy).await, None);
    tokio::time::advance(RETURNS_WITHIN).await;
    memory.look_after();
    assert!(matches!(is_stopped(&busy).await, Some(Stopped::Short(_))));
}
