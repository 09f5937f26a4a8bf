//! The wire as others see it: raw bytes over a socket to a running orchestrator, and what comes back, held against the
//! contract (DESIGN.md, sections 3 and 4). Nothing here uses the typed client or the types of the wire: a renamed member
//! is a broken contract, and must break a test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code, helpers included")]

mod access;
mod agent;
mod apart;
mod bad_input;
mod blobs;
mod browser;
mod control;
mod downloads;
mod durability;
mod enrolment;
mod hostile;
mod inspections;
mod install;
mod leases;
mod limits;
mod lives;
mod metrics;
mod program;
mod render;
mod retention;
mod scenes;
mod server;
mod status;
mod tokens;
mod uploads;
mod wire;
mod zips;
