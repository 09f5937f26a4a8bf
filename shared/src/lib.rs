//! What Haywain's programs have in common: the words of the system as types, the wire between agent and
//! orchestrator, and the habits of a well-behaved client. This crate knows no database and starts no Blender.

pub mod blend;
pub mod blender_places;
pub mod blender_python;
pub mod blender_version;
pub mod cause;
pub mod client;
pub mod config;
pub mod devices;
pub mod digest;
pub mod errors;
pub mod file_kind;
pub mod folder;
pub mod frame_list;
pub mod frames;
pub mod ids;
pub mod inspection;
pub mod job;
pub mod limits;
pub mod logging;
pub mod options;
pub mod orchestrator_url;
pub mod path;
pub mod problem;
pub mod protocol;
pub mod requirements;
pub mod retry;
pub mod scene;
pub mod scripts;
pub mod shutdown;
pub mod size;
pub mod span;
pub mod token;
pub mod transport;
