//! The agents' protocol: see `haywain_shared::protocol` for the words, and each handler for what it translates to.

mod calls;
mod frames;
mod parcel;
mod scenes;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts as _, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use haywain_shared::ids::AgentId;
use haywain_shared::problem::ProblemKind;
use haywain_shared::protocol::{
    HeartbeatRequest, InspectionFailureReport, LeaseRequest, LeaveRequest, RegisterRequest,
};
use serde::de::DeserializeOwned;

use super::App;
use super::problem::{Failed, Json};
use crate::access::Caller;

/// The largest frame, all its files together. It bounds what a broken agent can fill the disk with, nothing else.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024 * 1024;

/// The agents' routes, below their prefix.
fn routes() -> [(&'static str, MethodRouter<App>); 12] {
    let upload = put(frames::put_frame).layer(DefaultBodyLimit::max(MAX_FRAME_BYTES));
    [
        ("/register", post(calls::register)),
        ("/lease", post(calls::lease)),
        ("/heartbeat", post(calls::heartbeat)),
        ("/leave", post(calls::leave)),
        ("/leases/{lease}/frames/{frame}", upload),
        ("/leases/{lease}/failures", post(calls::fail)),
        ("/leases/{lease}/release", post(calls::release)),
        ("/leases/{lease}/complete", post(calls::complete)),
        ("/scenes/{scene}", get(scenes::manifest)),
        ("/scenes/{scene}/inspection", post(scenes::inspected)),
        ("/scenes/{scene}/inspection-failure", post(scenes::not_inspected)),
        ("/blobs/{blob}", get(scenes::blob)),
    ]
}

/// The agents' routes, below their prefix.
pub(super) fn router() -> Router<App> {
    routes().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

/// The paths of the agents' routes, below their prefix.
#[cfg(test)]
pub(super) fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}

/// A call that says which agent it comes from.
trait SaysWho: DeserializeOwned {
    fn agent(&self) -> AgentId;
}

macro_rules! says_who {
    ($($request:ty)*) => {$(
        impl SaysWho for $request {
            fn agent(&self) -> AgentId {
                self.agent_id
            }
        }
    )*};
}

says_who!(RegisterRequest LeaseRequest HeartbeatRequest LeaveRequest InspectionFailureReport);

/// The body of a call that says which agent it comes from, if its bearer may say so.
struct FromAgent<T>(T);

impl<T: SaysWho> FromRequest<App> for FromAgent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let said = Json::<T>::from_request(Request::from_parts(parts, body), app).await;
        let Json(said) = said.map_err(IntoResponse::into_response)?;
        if caller.speaks_for(said.agent()) {
            return Ok(Self(said));
        }
        let text = format!("this token is another agent's, not that of agent {}", said.agent());
        Err(Failed::new(ProblemKind::Forbidden, StatusCode::FORBIDDEN, text).into_response())
    }
}
