//! A farm across the internet: the orchestrator is in public, with TLS and tokens, its agents are behind a router that hides them.
//! What lines do out there (they break, they are forgotten, they lead elsewhere) loses no frame and doubles none.
//!
//! Run by `cargo xtask test --only nat`, which makes the namespaces; it is no part of a plain `cargo test`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on is to fail")]

mod authority;
// The same as in the other end-to-end tests, which want more of them.
#[allow(dead_code, reason = "used in full by the other end-to-end tests")]
#[path = "../e2e/blenders.rs"]
mod blenders;
mod farm;
mod lines;
mod net;
#[path = "../e2e/process.rs"]
mod process;
#[allow(dead_code, reason = "used in full by the other end-to-end tests")]
#[path = "../e2e/system.rs"]
mod system;
