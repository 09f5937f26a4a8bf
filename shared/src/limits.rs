//! What a submission may ask for at most: the orchestrator refuses more, and the command line says so before it asks.

/// The largest upper bound on a batch that a job may set, in frames.
pub const MAX_BATCH_SIZE: u32 = 1000;
/// The highest priority that a job may have, and the lowest below 0.
pub const MAX_PRIORITY: i32 = 1000;
/// The most attempts that a job may give its frames.
pub const MAX_ATTEMPTS: u32 = 100;
/// The longest time limit that a job may set: thirty days, in seconds.
pub const MAX_TIMEOUT_SECONDS: u64 = 30 * 24 * 3600;
/// The largest step from one frame to the next.
pub const MAX_STEP: u32 = 1_000_000;
/// The longest name of a job, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// The longest name of something in a .blend, in bytes. Blender's own have 63 (255 from 5.0 on).
pub const MAX_DATABLOCK_NAME_BYTES: usize = 255;
/// The most samples that a job may set: what Cycles has as its own bound, 2^24.
pub const MAX_SAMPLES: u32 = 1 << 24;
/// The largest picture that a job may ask for, in percent of the scene's resolution.
pub const MAX_RESOLUTION_PERCENT: u32 = 1000;
/// The most add-ons that a job may name.
pub const MAX_ADDONS: usize = 32;
/// The longest tag of an agent, in bytes.
pub const MAX_TAG_BYTES: usize = 64;
/// The most tags, or agents, in one list of a job.
pub const MAX_LISTED: usize = 100;
