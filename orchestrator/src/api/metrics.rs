//! `GET /metrics`: how the farm does, for programs that watch it or scale it, in Prometheus' text format.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::{App, reply};

/// The version of the format that is spoken.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the farm does, as metrics for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "about", responses(
    (status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.store.census().await {
        Ok(census) => ([(CONTENT_TYPE, FORMAT)], app.measures.text(&census)).into_response(),
        Err(error) => reply::failed(&headers, error.into()),
    }
}
