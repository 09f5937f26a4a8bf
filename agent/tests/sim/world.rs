//! What everybody in a run shares.

use std::sync::{Arc, Mutex};

use tokio_util::task::TaskTracker;

use crate::house::House;
use crate::log::Log;
use crate::time::Calendar;
use crate::weather::Weather;
use crate::witness::Witness;

/// A run's world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) calendar: Arc<Calendar>,
    pub(crate) log: Arc<Log>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) weather: Mutex<Weather>,
    pub(crate) house: House,
    pub(crate) tasks: TaskTracker,
}

impl World {
    pub(crate) fn is_cut_off(&self, agent: usize) -> bool {
        self.weather.lock().unwrap().cut_off.contains(&agent)
    }

    /// Whether Blenders and networks do what they should.
    pub(crate) fn is_calm(&self) -> bool {
        self.weather.lock().unwrap().loses_requests == 0
    }
}
