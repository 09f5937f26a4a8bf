//! What a slot does while it waits, on a clock that is turned by hand.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::Inspection;
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::{BlenderBuild, BlenderKind};

use super::*;
use crate::blender::SceneFolder;
use crate::blender::log::LogView;
use crate::blender::session::{Opened, Opening, Rendered, Terms};
use crate::blender::studio::WarmBlender;
use crate::memory::Memory;
use crate::memory::learnt::{Learnt, Workload};
use crate::memory::limits::Limits;
use crate::memory::look::Look;

const GIB: u64 = 1 << 30;

/// A machine on which nothing changes.
struct Still;

impl Look for Still {
    fn available_bytes(&mut self) -> u64 {
        4 * GIB
    }

    fn resident_bytes(&mut self, leaders: &[u32]) -> Vec<u64> {
        vec![0; leaders.len()]
    }
}

fn memory() -> Memory {
    Memory::new(Limits { max_bytes: None, reserve_bytes: 0, machine_bytes: u64::MAX }, Still, Learnt::default())
}

fn build() -> BlenderBuild {
    BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program }
}

/// A Blender that is only there, until it is ended.
struct Resting {
    ended: Arc<AtomicBool>,
}

#[async_trait]
impl WarmBlender for Resting {
    async fn open(&mut self, _scene: &SceneFolder, _opening: Opening<'_>) -> Result<Opened, Failure> {
        unreachable!("it has nothing to do")
    }

    fn take_inspection(&mut self) -> Option<Box<Inspection>> {
        None
    }

    async fn render(
        &mut self,
        _frame: FrameNumber,
        _directory: &Path,
        _terms: Terms,
        _progress: &mut (dyn FnMut(f32) + Send),
    ) -> Result<Rendered, Failure> {
        unreachable!("it has nothing to do")
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn process(&self) -> Option<u32> {
        None
    }

    fn log(&self) -> Option<LogView> {
        None
    }

    fn begin_log(&mut self) {}

    fn log_tail(&self) -> String {
        String::new()
    }

    async fn end(self: Box<Self>) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_asks_for_ends_after_a_while() {
    let account = memory().account();
    let ended = Arc::new(AtomicBool::new(false));
    let blender = Box::new(Resting { ended: Arc::clone(&ended) });
    let mut session = Some(Warm::of(blender, build(), account.started(None)));
    idly(&account, &mut session, tokio::time::sleep(IDLE.saturating_sub(Duration::from_secs(1)))).await;
    assert!(session.is_some() && !ended.load(Ordering::Relaxed));
    // Work has come in between: it begins anew.
    idly(&account, &mut session, tokio::time::sleep(IDLE.saturating_sub(Duration::from_secs(1)))).await;
    assert!(session.is_some() && !ended.load(Ordering::Relaxed));
    let began = Instant::now();
    idly(&account, &mut session, tokio::time::sleep(3 * IDLE)).await;
    assert!(session.is_none() && ended.load(Ordering::Relaxed));
    // The slot goes on waiting without it.
    assert_eq!(began.elapsed(), 3 * IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_to_close_waits_for_no_room() {
    let memory = memory();
    let (one, other) = (memory.account(), memory.account());
    let digest = haywain_shared::digest::Sha256Digest::from_bytes([0; 32]);
    let workload = Workload { scene: digest.into(), blender: build(), options: RenderOptions::default() };
    let all = Need { most_bytes: 4 * GIB, least_bytes: None };
    assert_eq!(one.ask(&workload, all), Admission::Open);
    let _place = one.started(Some(1));
    let closing = CancellationToken::new();
    let began = Instant::now();
    assert_eq!(perhaps_room(&other, all, &closing).await, Ok(()));
    assert_eq!(began.elapsed(), WAIT_FOR_ROOM, "by then it is worth asking for anything");
    closing.cancel();
    assert_eq!(perhaps_room(&other, all, &closing).await, Err(Closing));
    let _ = one.rests(None);
    one.waits();
    assert_eq!(perhaps_room(&other, all, &closing).await, Ok(()));
}
