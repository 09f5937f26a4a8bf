//! For how long a Blender is waited for before and between frames: what no job says.

use std::time::Duration;

/// How long a Blender is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From its start to the driver's first word.
    pub start: Duration,
    /// Without progress, output or use of a processor, while it opens a scene.
    pub open: Duration,
    /// To open a scene, whatever it does meanwhile: Python in it may never end. A job's limit for frames says nothing of that.
    pub open_in_all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { start: Duration::from_mins(2), open: Duration::from_mins(10), open_in_all: Duration::from_hours(1) }
    }
}
