//! The two ways in which clients are answered: the tutorial's plain texts, which are a contract, and JSON for those who
//! ask for it.

use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use haywain_shared::problem::ProblemKind;

use super::problem::Failed;

const PLAIN: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// What a client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Plain,
    Json,
}

/// What the `Accept` header asks for (RFC 9110, 12.5.1): JSON where it is named and preferred to text. A client that takes
/// both alike (`application/json, text/plain, */*` is what one common library sends unasked) gets the plain texts, as it
/// always did.
pub(super) fn wanted(headers: &HeaderMap) -> Wanted {
    let mut json = 0.0_f32;
    let mut text = 0.0_f32;
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','))
    {
        let mut parameters = range.split(';').map(str::trim);
        let media_type = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parameters
            .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
            .map_or(1.0, |weight| weight.parse().unwrap_or(0.0_f32));
        match media_type.as_str() {
            "application/json" | "application/problem+json" => json = weight.max(json),
            "text/html" | "text/plain" | "text/*" | "*/*" => text = weight.max(text),
            _ => {}
        }
    }
    if json > text { Wanted::Json } else { Wanted::Plain }
}

/// A plain answer. What a client has sent may be in it, and it is served as HTML: so it is escaped.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    (status, [(CONTENT_TYPE, PLAIN)], escaped).into_response()
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            Failed::new(ProblemKind::Other, StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// An error in the client's words, or as a problem document.
pub(super) fn error(headers: &HeaderMap, kind: ProblemKind, status: StatusCode, text: &str) -> Response {
    match wanted(headers) {
        Wanted::Plain => plain(status, text),
        Wanted::Json => Failed::new(kind, status, text.to_owned()).into_response(),
    }
}

pub(super) fn not_found(headers: &HeaderMap) -> Response {
    error(headers, ProblemKind::NotFound, StatusCode::NOT_FOUND, "Not found")
}

pub(super) fn method_not_allowed(headers: &HeaderMap) -> Response {
    error(headers, ProblemKind::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

/// A failure of the orchestrator itself.
pub(super) fn failed(headers: &HeaderMap, failed: Failed) -> Response {
    match wanted(headers) {
        Wanted::Json => failed.into_response(),
        Wanted::Plain => {
            let text = failed.0.detail.clone();
            let mut response = failed.into_response();
            let body = plain(response.status(), &text).into_body();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PLAIN));
            *response.body_mut() = body;
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_prefer_it() {
        use Wanted::*;
        let cases = [
            (None, Plain),
            (Some("*/*"), Plain),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Plain),
            (Some("application/json"), Json),
            (Some("Application/JSON"), Json),
            (Some("application/problem+json"), Json),
            (Some("application/json, */*;q=0.5"), Json),
            (Some("application/json; q=0.5, text/html"), Plain),
            (Some("application/json, text/plain, */*"), Plain),
            (Some("application/json;q=0"), Plain),
            (Some("application/json;charset=utf-8"), Json),
            (Some("nonsense;q=q,;;"), Plain),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(wanted(&headers), expected, "{accept:?}");
        }
    }
}
