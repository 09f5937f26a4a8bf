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
