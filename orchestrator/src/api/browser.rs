//! What keeps a browser from being used against the farm: calls that a page from elsewhere makes are refused, nothing that is
//! served runs as a page but the API's own, and that runs no script but its own. A browser that has logged in has a cookie that no
//! script reads and no other site sends.

use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, COOKIE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use haywain_shared::problem::ProblemKind;
use haywain_shared::token::Token;
use tower_http::csrf::ProtectionError;

use super::problem::Failed;
use super::v1::PAGE;
use crate::access::sessions::LASTS;

/// The cookie of a session. Its name binds it to this host, to TLS and to every path (RFC 6265bis, 4.1.3.2).
const COOKIE_NAME: &str = "__Host-haywain";
/// What the API's own page may load: what is here, and nothing inline.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What everything else may do in a browser: nothing.
const NOTHING_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What is served is what it says it is, and is shown in no other site's page.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let is_page = request.uri().path().starts_with(PAGE);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let policy = if is_page { PAGE_POLICY } else { NOTHING_POLICY };
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The answer to a call that a page from elsewhere makes.
pub(super) fn from_elsewhere(_: ProtectionError) -> Response {
    let text = "a browser makes this call for a page of another site".to_owned();
    Failed::new(ProblemKind::Forbidden, StatusCode::FORBIDDEN, text).into_response()
}

/// The session that a browser shows.
pub(super) fn session(headers: &HeaderMap) -> Option<Token> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
    let mut values = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
    values.next()?.parse().ok()
}

/// The cookie that a browser is to keep for a session.
pub(super) fn cookie(secret: &Token) -> Option<HeaderValue> {
    cookie_of(secret.reveal(), LASTS.as_secs())
}

/// The cookie that makes a browser forget it.
pub(super) fn no_cookie() -> Option<HeaderValue> {
    cookie_of("", 0)
}

fn cookie_of(value: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use haywain_shared::token::Role;

    use super::*;

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let secret = Token::draw(Role::Submit).unwrap();
        let own = format!("{COOKIE_NAME}={}", secret.reveal());
        for (cookies, found) in [
            (own.clone(), true),
            (format!("a=b; {own}; c=d"), true),
            (format!("a=b;{own}"), true),
            (format!("x{own}"), false),
            (format!("{COOKIE_NAME}2={}", secret.reveal()), false),
            (COOKIE_NAME.to_owned(), false),
            (format!("{COOKIE_NAME}=hunter2"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookies.parse().unwrap());
            assert_eq!(session(&headers).is_some_and(|it| it.digest() == secret.digest()), found, "{cookies}");
        }
    }
}
