//! The agents' protocol: see `haywain_shared::protocol` for the words, and each handler for what it translates to.

mod calls;
mod frames;
mod scenes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};

use super::App;

/// The largest frame, all its files together. It bounds what a broken agent can fill the disk with, nothing else.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024 * 1024;

/// The agents' routes, below their prefix.
pub(super) fn router() -> Router<App> {
    let upload = put(frames::put_frame).layer(DefaultBodyLimit::max(MAX_FRAME_BYTES));
    Router::new()
        .route("/register", post(calls::register))
        .route("/lease", post(calls::lease))
        .route("/heartbeat", post(calls::heartbeat))
        .route("/leave", post(calls::leave))
        .route("/leases/{lease}/frames/{frame}", upload)
        .route("/leases/{lease}/failures", post(calls::fail))
        .route("/leases/{lease}/release", post(calls::release))
        .route("/leases/{lease}/complete", post(calls::complete))
        .route("/scenes/{scene}", get(scenes::manifest))
        .route("/scenes/{scene}/inspection", post(scenes::inspected))
        .route("/scenes/{scene}/inspection-failure", post(scenes::not_inspected))
        .route("/blobs/{blob}", get(scenes::blob))
}
