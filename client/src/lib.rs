//! Haywain's command line for people: sends scenes with all that they link to an orchestrator, watches jobs and fetches
//! their frames. It speaks the API that is there for everybody, and has no way in of its own.

pub mod api;
pub mod blend;
pub mod blender;
pub mod cache;
pub mod cli;
pub mod exit;
pub mod scene;
pub mod settings;
