//! End to end, with real processes and real Blender: a job goes in, real frames come out, also when something dies.
//!
//! The Blenders to test with are named by `HAYWAIN_TEST_BLENDER` (a Blender program) and `HAYWAIN_TEST_BPY` (a Python with
//! the `bpy` module); `cargo xtask test` installs both and sets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on is to fail")]

mod acquaintance;
mod ahead;
mod apart;
mod blenders;
mod cache;
mod colors;
mod control;
mod copies;
mod deaths;
mod devices;
mod doctor;
mod enrolment;
mod errands;
mod farm;
mod faults;
mod fidelity;
mod frames;
mod governor;
mod inspection;
mod jail;
mod kills;
mod lies;
mod memory;
mod options;
mod outputs;
mod places;
mod process;
mod scale;
mod scripts;
mod session;
mod simulations;
mod status;
mod system;
mod versions;
mod warm;
