//! The farm, simulated: the real orchestrator (router, store, files) and the real agents in one process and one thread, under
//! virtual time, with a scripted Blender and a network that loses what it carries. A seed decides everything: who is there,
//! what is rendered, what goes wrong and when.
//!
//! ```text
//! cargo test -p haywain-agent --test sim                                    a few dozen seeds
//! HAYWAIN_SIM_SEEDS=0..5000 cargo test -p haywain-agent --test sim seeds    as many as you like; each failure with its trace
//! HAYWAIN_SIM_SEED=17 cargo test -p haywain-agent --test sim one_seed -- --nocapture    one, with its trace
//! ```
//!
//! Each seed runs in a process of its own: what the libraries count for the whole process (tokio draws the seeds of its
//! runtimes from a counter) would make it run otherwise after other seeds. In that process one thread works at a time: those
//! of the store ([`backstage`]) and of files ([`stagehand`]) do so while the simulation's own waits for them, and so a seed
//! runs the same on a busy machine as on an idle one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on is to fail")]

mod backstage;
mod blender;
mod ending;
mod entropy;
mod gate;
mod house;
mod http;
mod line;
mod log;
mod overseer;
mod plan;
mod run;
mod script;
mod seeds;
mod stagehand;
mod store;
mod time;
mod weather;
mod witness;
mod worker;
mod world;

/// The intervals of the real server.
const LEASE_TTL_MS: u64 = 20_000;
const HEARTBEAT_MS: u64 = 5000;
const SWEEP_MS: u64 = 1000;
const POLL_MS: u64 = 25_000;
