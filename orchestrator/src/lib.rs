//! Haywain's orchestrator: a durable queue of frame batches, and the frames that come back. It knows no agent's address,
//! opens no connection to one, and never renders.
//!
//! The rooms: [`access`] says who may do what, [`queue`] has the rules as functions of values, [`store`] keeps what must survive, [`blobs`] keeps files,
//! [`intake`] and [`retention`] change the two together, [`desk`] is where people ask what is in a scene, [`measures`] counts for programs
//! that watch, [`installer`] has what makes an agent of a new machine, [`scenes`] knows what a scene is made of, [`api`] translates HTTP,
//! [`server`] puts them together.

pub mod access;
pub mod api;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod desk;
pub mod enrol;
pub mod installer;
pub mod intake;
pub mod line;
pub mod measures;
pub mod queue;
pub mod retention;
pub mod scenes;
pub mod server;
pub mod store;
pub mod tls;
pub mod tokens;
