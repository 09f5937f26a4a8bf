//! The program as people use it: against a stand-in that misbehaves on purpose, against a real orchestrator, and with real
//! Blender from a file to its frames.
//!
//! The Blenders to test with are named by `HAYWAIN_TEST_BLENDER` (a Blender program) and `HAYWAIN_TEST_BPY` (a Python with
//! the `bpy` module); `cargo xtask test` installs both and sets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on is to fail")]

mod blenders;
mod commands;
mod double;
mod downloads;
mod farm;
mod frames;
mod hand;
mod inspecting;
mod links;
mod logins;
mod media;
mod program;
mod refusals;
mod tls;
mod uploads;
mod watching;
