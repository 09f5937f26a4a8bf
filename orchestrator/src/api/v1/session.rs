//! A browser logs in with a token, and out again.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use haywain_shared::problem::{Problem, ProblemKind};
use haywain_shared::token::Token;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::problem::{Failed, Json};
use crate::api::{App, browser};
use crate::store::Admission;

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The token.
    #[schema(format = Password)]
    token: String,
}

/// Begins a session: a browser gets a cookie in place of a token
///
/// It lasts twelve hours, or as long as the token is good. Programs have no use for it: they send the token with every call.
#[utoipa::path(post, path = "/api/v1/session", tag = "about", request_body = Login, responses(
    (status = 204, description = "The cookie is set",
        headers(("Set-Cookie" = String, description = "`__Host-haywain`, for this host alone, unseen by scripts"))),
    (status = 400, description = "The body is no JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The token is no good", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not said to be JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is JSON of another kind", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn begin(State(app): State<App>, login: Result<Json<Login>, Failed>) -> Result<Response, Failed> {
    // What a parser says of a body repeats parts of it.
    let Json(login) = login.map_err(|Failed(problem)| {
        let detail = "the body is to be JSON, {\"token\": \"haywain_…\"}, and is said to be".to_owned();
        Failed(Problem { detail, ..problem })
    })?;
    let no_good = || {
        let text = "this orchestrator does not know the token, or it is good no longer".to_owned();
        Failed::new(ProblemKind::Unauthenticated, StatusCode::UNAUTHORIZED, text)
    };
    let token: Token = login.token.trim().parse().map_err(|_| no_good())?;
    let Admission::Granted(pass) = app.store.admit(token.digest()).await? else { return Err(no_good()) };
    let secret = app.sessions.begin(pass.token, pass.role).map_err(Failed::of_the_system)?;
    Ok(with_cookie(browser::cookie(&secret)))
}

/// Ends the session of the cookie that comes with it
#[utoipa::path(delete, path = "/api/v1/session", tag = "about", responses(
    (status = 204, description = "There is no session any more"),
))]
pub(super) async fn end(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(secret) = browser::session(&headers) {
        app.sessions.end(&secret);
    }
    with_cookie(browser::no_cookie())
}

fn with_cookie(cookie: Option<axum::http::HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
