//! Haywain's command line for people: sends scenes with all that they link to an orchestrator, watches jobs and fetches
//! their frames. It speaks the API that is there for everybody, and has no way in of its own.

pub mod api;
pub mod blend;
pub mod blender;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod context;
pub mod download;
pub mod exit;
pub mod hashing;
pub mod inspect;
pub mod logins;
pub mod naming;
pub mod perseverance;
pub mod scene;
pub mod sending;
pub mod settings;
pub mod show;
pub mod status;
pub mod submit;
pub mod upload;
pub mod watch;
