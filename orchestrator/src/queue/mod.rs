//! The rules of the queue, each a function of values with a table of cases. Nothing here does I/O but [`waiting`], which
//! stands between a long poll and the store.

pub mod ahead;
pub mod carve;
pub mod choose;
pub mod matching;
mod members;
mod options;
pub mod pace;
mod requirements;
pub mod retry;
pub mod said;
pub mod state;
pub mod submission;
pub mod submitter;
pub mod waiting;
