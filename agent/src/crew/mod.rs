//! The crew: opens and closes slots as the governor says, until the agent leaves. A slot that is to close finishes its frame and
//! gives back the rest of its batch; none is opened before it is gone, so that there are never more sessions than were decided on.

mod post;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use self::post::Post;
use self::post::Roster;
use crate::governor::{Courtesy, Governor, Reading, Turn};
use crate::link::LinkEnded;
use crate::load::Load;
use crate::memory::{Account, AtHand};
use crate::slot::equipment::Equipment;
use crate::slot::{Slot, Workshop};
use crate::status::Note;

/// How often the machine is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What is told of an agent that leaves its machine to others.
const OTHERS_FIRST: &str = "others use this machine: no new frames until they have stopped (--when-idle)";

/// The crew.
pub struct Crew {
    workshop: Workshop,
    /// For what the slots' Blenders and frames leave while they are in work: a folder for each.
    work: PathBuf,
    roster: Roster,
    courtesy: Courtesy,
    load: Box<dyn Load>,
    tasks: TaskTracker,
    /// How many of the slots share the GPUs.
    sharers: u32,
    /// Two for each slot that there ever was, by its number: it may open a scene beside the one that it renders.
    accounts: BTreeMap<u32, [Account; 2]>,
    slots: JoinSet<(u32, LinkEnded)>,
    /// Why there are none, while others use the machine.
    stands_back: Option<Note>,
}

impl Crew {
    /// A crew that works in `work`, a folder, and whose slots are among `tasks`.
    #[must_use]
    pub fn new(
        workshop: Workshop,
        work: PathBuf,
        governor: Governor,
        courtesy: Courtesy,
        load: Box<dyn Load>,
        tasks: TaskTracker,
    ) -> Self {
        let sharers = governor.sharers_of_gpus();
        let roster = Roster::new(governor);
        Self {
            workshop,
            work,
            roster,
            courtesy,
            load,
            tasks,
            sharers,
            accounts: BTreeMap::new(),
            slots: JoinSet::new(),
            stands_back: None,
        }
    }

    /// Works until the agent leaves, and the last slot is gone. What a slot has ended with makes the others stop.
    pub async fn run(mut self) -> anyhow::Result<LinkEnded> {
        let leaving = self.workshop.leaving.clone();
        let draining = leaving.draining();
        let mut ended = LinkEnded::Stopped;
        let mut next_look = Instant::now() + LOOK_EVERY;
        self.bring_to(self.roster.setting().slots);
        loop {
            if draining.is_cancelled() && self.slots.is_empty() {
                return Ok(ended);
            }
            tokio::select! {
                Some(gone) = self.slots.join_next() => {
                    let (number, how) = gone.context("a slot")?;
                    self.roster.gone(number);
                    tracing::info!(slot = number, "slot closed");
                    if how != LinkEnded::Stopped {
                        ended = how;
                        leaving.stop();
                    }
                    self.bring_to(self.roster.setting().slots);
                }
                () = tokio::time::sleep_until(next_look), if !draining.is_cancelled() => {
                    next_look = Instant::now() + LOOK_EVERY;
                    self.look();
                }
                () = draining.cancelled(), if !draining.is_cancelled() => {}
            }
        }
    }

    fn look(&mut self) {
        let AtHand { available_bytes, own_bytes, leaders } = self.workshop.memory.at_hand();
        let foreign_cores = self.load.foreign_cores(&leaders);
        match self.courtesy.note(self.roster.elapsed(), foreign_cores) {
            Some(Turn::StandsBack) => {
                tracing::info!(foreign_cores, "{OTHERS_FIRST}");
                self.stands_back = Some(self.workshop.board.note(OTHERS_FIRST));
            }
            Some(Turn::GoesOn) => {
                tracing::info!("this machine is idle: taking work");
                self.stands_back = None;
            }
            None => {}
        }
        let reading = Reading { foreign_cores, memory_available_bytes: available_bytes, own_bytes };
        let setting = self.roster.look(reading);
        self.bring_to(setting.slots);
    }

    /// Closes slots, or opens some once no other is closing.
    fn bring_to(&mut self, slots: u32) {
        let leaving = self.workshop.leaving.draining().clone();
        if leaving.is_cancelled() {
            return;
        }
        let slots = if self.courtesy.stands_back() { 0 } else { slots };
        self.workshop.link.has_slots(slots);
        let muster = self.roster.muster();
        self.roster.close(muster.open.saturating_sub(slots), self.sharers);
        if muster.closing > 0 {
            return;
        }
        for _ in muster.open..slots {
            let post = self.roster.open(self.workshop.memory.clone(), &leaving);
            let number = post.number;
            tracing::info!(slot = number, "slot opened");
            let new = || [(); 2].map(|()| self.workshop.memory.account());
            let accounts = self.accounts.entry(number).or_insert_with(new).clone();
            let equipment = Equipment::of(Arc::clone(&self.workshop.blenders), number, self.sharers);
            let folder = self.work.join(number.to_string());
            let slot = Slot::new(self.workshop.clone(), post, accounts, equipment, &folder);
            let working = async move { (number, slot.run().await) };
            self.slots.spawn(self.tasks.track_future(working));
        }
    }
}
