//! The gate as HTTP has it: every call passes here first. It finds the call's row in [`crate::access::table`], who calls, and
//! whether that may be; handlers find the [`Caller`] in the request. A call that is under way ends when its caller is shut out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use haywain_shared::problem::ProblemKind;
use haywain_shared::token::Token;
use http_body::Body as _;
use tokio_util::sync::CancellationToken;

use super::guarded::{Guarded, SHUT_OUT, ShutOut};
use super::pace::Paced;
use super::problem::Failed;
use super::{App, browser, receiving, reply};
use crate::access::Caller;
use crate::access::doors::{Reach, names_this_machine};
use crate::access::limits::{Place, Whose};
use crate::access::table::{About, Load, Rule, To, Verdict, rule_of, verdict};
use crate::blobs::BlobError;
use crate::measures::Traffic;
use crate::store::{Admission, Sight, StoreError, Thing, TokenStanding};

/// Why a call goes no further.
#[derive(Debug)]
enum Stopped {
    /// Its path does not know its method.
    NoSuchMethod,
    /// A token is needed, or another one: and why.
    Unauthenticated(&'static str),
    /// Not with this token.
    Forbidden(String),
    /// Not so often, or not so much at once: when to try again.
    TooMuch(Duration),
    /// It has taken too long.
    TooLong,
    /// What it is about is not there, or not for this caller.
    NotThere(Failed),
    /// The orchestrator has failed at finding out.
    Failed(StoreError),
}

/// Lets a call through, or answers it.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        // There is nothing.
        return next.run(request).await;
    };
    let headers = request.headers().clone();
    let (mut parts, body) = request.into_parts();
    let changes = app.gate.listen();
    let (caller, rule, place) = match admit(&app, &path, &mut parts).await {
        Ok(admitted) => admitted,
        Err(stopped) => {
            pass_over(&app, &headers, body);
            return refusal(&headers, &path, stopped);
        }
    };
    // From what is open to everybody nobody is shut out.
    let watched = if rule.to == To::Everybody { &Caller::Stranger } else { &caller };
    let mut shut_out: ShutOut = Box::pin(app.gate.shut_out(changes, watched, app.store.clone()));
    let place = place.map(Arc::new);
    // A handler's task may have the body when the handler is gone: it ends before the caller hears why.
    let given_up = CancellationToken::new();
    let ends = Box::pin(given_up.clone().cancelled_owned());
    parts.extensions.insert(caller);
    let Traffic { received, sent } = app.measures.traffic(rule.to).clone();
    let body = Guarded::new(Body::new(Paced::new(body)), received, ends, place.clone());
    let request = Request::from_parts(parts, Body::new(body));
    let too_long = async {
        match time_of(rule.load, app.intervals.poll) {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        response = next.run(request) => {
            // A short answer is there: what is cut is what goes on.
            let cut = if rule.load == Load::Short { Box::pin(std::future::pending()) } else { shut_out };
            response.map(|body| Body::new(Guarded::new(body, sent, cut, place)))
        }
        () = &mut shut_out => {
            given_up.cancel();
            refusal(&headers, &path, Stopped::Unauthenticated(SHUT_OUT))
        }
        () = too_long => refusal(&headers, &path, Stopped::TooLong),
    }
}

/// Reads some of a body that is refused, for a while and beside the answer: a client that is still sending when it is cut off may
/// never see why.
fn pass_over(app: &App, headers: &HeaderMap, body: Body) {
    if body.is_end_stream() {
        return;
    }
    let (headers, stop) = (headers.clone(), app.stop.clone());
    app.tasks.spawn(async move {
        let mut pieces = body.into_data_stream();
        tokio::select! {
            () = receiving::drain(&headers, &mut pieces) => {}
            () = tokio::time::sleep(PASSED_OVER_WITHIN) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// How long a body that is refused is read.
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(10);

/// How long a call may take until it is answered. What a file has come or gone of is [`Paced`]'s and the line's to watch.
fn time_of(load: Load, poll: Duration) -> Option<Duration> {
    match load {
        Load::Short => Some(ANSWERED_WITHIN),
        Load::Manifest => Some(MANIFEST_WITHIN),
        Load::Poll => Some(poll + ANSWERED_WITHIN),
        Load::Upload | Load::Download | Load::Stream => None,
    }
}

/// How long the answer to a short call may take, its body included.
const ANSWERED_WITHIN: Duration = Duration::from_mins(2);
/// The same for a manifest, of which there are few places: the largest comes over a megabit a second.
const MANIFEST_WITHIN: Duration = Duration::from_mins(10);

/// Who calls, by which rule, and what place the call has, if it may go on.
async fn admit(
    app: &App,
    path: &MatchedPath,
    parts: &mut Parts,
) -> Result<(Caller, &'static Rule, Option<Place>), Stopped> {
    let rule = rule_of(&parts.method, path.as_str()).ok_or(Stopped::NoSuchMethod)?;
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let identified = identify(app, &parts.headers).await;
    // Who shows what is no good token is limited as one who shows none.
    let whose = match &identified {
        Ok(caller) => Whose::of(caller, address),
        Err(_) => address.map(Whose::at),
    };
    if let Some(whose) = whose {
        app.limits.call(whose).map_err(Stopped::TooMuch)?;
    }
    let caller = match identified {
        // What is open to everybody is so to bearers of old tokens, too.
        Err(Stopped::Unauthenticated(_)) if rule.to == To::Everybody => Caller::Stranger,
        identified => identified?,
    };
    match verdict(rule.to, &caller, app.gate.strangers()) {
        Verdict::Allowed => {}
        Verdict::NeedsToken => return Err(Stopped::Unauthenticated("a token is needed here")),
        Verdict::Forbidden => return Err(Stopped::Forbidden(forbidden(rule, &caller))),
    }
    must_see(app, rule, &caller, parts).await?;
    let place = app.limits.begin(whose, rule).map_err(Stopped::TooMuch)?;
    Ok((caller, rule, place))
}

/// Who calls, by what it shows.
async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Stopped> {
    if !app.gate.asks() {
        check_host(app, headers)?;
        return Ok(Caller::Anybody);
    }
    let Some(shown) = headers.get(AUTHORIZATION) else { return of_session(app, headers).await };
    let token = bearer(shown).ok_or(Stopped::Unauthenticated(
        "what came as Authorization is no token of Haywain's: send `Bearer haywain_…`",
    ))?;
    admitted(app.store.admit(token.digest()).await)
}

/// Whose session a browser shows.
async fn of_session(app: &App, headers: &HeaderMap) -> Result<Caller, Stopped> {
    let Some(secret) = browser::session(headers) else { return Ok(Caller::Stranger) };
    match app.sessions.token(&secret) {
        Some(token) => admitted(app.store.admit_again(token).await),
        None => Err(Stopped::Unauthenticated("the session is over: log in again")),
    }
}

fn admitted(admission: Result<Admission, StoreError>) -> Result<Caller, Stopped> {
    match admission.map_err(Stopped::Failed)? {
        Admission::Granted(pass) => Ok(Caller::Bearer(pass)),
        Admission::Over(TokenStanding::Expired) => Err(Stopped::Unauthenticated("the token has expired")),
        Admission::Over(_) => Err(Stopped::Unauthenticated("the token was revoked")),
        Admission::Unknown => Err(Stopped::Unauthenticated("this orchestrator does not know the token")),
    }
}

/// The token in `Authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(value: &HeaderValue) -> Option<Token> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())?.parse().ok()
}

/// What is open to everybody on this machine, be it by `--insecure`, is so under this machine's own names only.
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), Stopped> {
    let Some(host) = headers.get(HOST).filter(|_| app.gate.reach() == Reach::Here) else { return Ok(()) };
    if host.to_str().is_ok_and(names_this_machine) {
        return Ok(());
    }
    Err(Stopped::Forbidden(
        "without tokens this orchestrator answers to localhost and 127.0.0.1 alone, so that neither a page from elsewhere nor a \
         proxy opens it to others: make a token with `haywain-orchestrator token create`"
            .to_owned(),
    ))
}

fn forbidden(rule: &Rule, caller: &Caller) -> String {
    let shown = match caller {
        Caller::Bearer(pass) => pass.role.word(),
        Caller::Anybody | Caller::Stranger => "no",
    };
    let needed = match rule.to {
        To::Operators => "operate",
        To::Everybody | To::Plain | To::Clients => "submit or operate",
        To::Newcomers => "enrol, or an agent's own",
        To::Agents => "an agent's own",
    };
    format!("a token with the role {shown} is not for this call: it takes one with the role {needed}")
}

/// Whoever may not see what a call is about hears that it is not there.
async fn must_see(app: &App, rule: &Rule, caller: &Caller, parts: &mut Parts) -> Result<(), Stopped> {
    let sight = caller.sight();
    if sight == Sight::All || rule.about == About::Nothing {
        return Ok(());
    }
    let name = match rule.about {
        About::Nothing => return Ok(()),
        About::Job => "job",
        About::Scene => "scene",
        About::Blob => "blob",
        About::Lease => "lease",
    };
    let named = RawPathParams::from_request_parts(parts, &()).await.ok();
    let named = named.and_then(|named| named.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()));
    let named = named.unwrap_or_default();
    let unseen = || Failed::not_found(format!("there is no {name} {named:?}"));
    let (thing, unseen) = match rule.about {
        About::Nothing => return Ok(()),
        About::Job => {
            let job = named.parse().map_err(|_| Stopped::NotThere(unseen()))?;
            (Thing::Job(job), StoreError::UnknownJob(job).into())
        }
        About::Scene => {
            let scene = named.parse().map_err(|_| Stopped::NotThere(unseen()))?;
            (Thing::Scene(scene), StoreError::UnknownScene(scene).into())
        }
        About::Blob => {
            let blob = named.parse().map_err(|_| Stopped::NotThere(unseen()))?;
            (Thing::Blob(blob), BlobError::Unknown(blob).into())
        }
        About::Lease => {
            let lease = named.parse().map_err(|_| Stopped::NotThere(unseen()))?;
            (Thing::Lease(lease), StoreError::UnknownLease(lease).into())
        }
    };
    match app.store.sees(sight, thing).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Stopped::NotThere(unseen)),
        Err(error) => Err(Stopped::Failed(error)),
    }
}

/// The answer to a call that goes no further. The plain API's two calls are answered in plain words.
fn refusal(headers: &HeaderMap, path: &MatchedPath, stopped: Stopped) -> Response {
    let is_plain = !path.as_str().starts_with("/api/");
    let failed = match stopped {
        Stopped::NoSuchMethod => return reply::method_not_allowed(headers),
        Stopped::NotThere(_) if is_plain => return super::status::not_found(headers),
        Stopped::NotThere(failed) => failed,
        Stopped::Failed(error) => error.into(),
        Stopped::Unauthenticated(why) => {
            Failed::new(ProblemKind::Unauthenticated, StatusCode::UNAUTHORIZED, why.to_owned())
        }
        Stopped::Forbidden(why) => Failed::new(ProblemKind::Forbidden, StatusCode::FORBIDDEN, why),
        Stopped::TooMuch(wait) => return too_much(headers, is_plain, wait),
        Stopped::TooLong => Failed::new(
            ProblemKind::Unavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            "this took too long: try again".to_owned(),
        ),
    };
    let is_challenge = failed.0.kind == ProblemKind::Unauthenticated;
    let mut response = if is_plain { reply::failed(headers, failed) } else { failed.into_response() };
    if is_challenge {
        let challenge = if headers.contains_key(AUTHORIZATION) {
            r#"Bearer realm="haywain", error="invalid_token""#
        } else {
            r#"Bearer realm="haywain""#
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// The answer to a call that comes too soon: in whole seconds, when it does not.
fn too_much(headers: &HeaderMap, is_plain: bool, wait: Duration) -> Response {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let text = format!("too many calls at once, or too soon after another: try again in {seconds} s");
    let failed = Failed::new(ProblemKind::TooManyRequests, StatusCode::TOO_MANY_REQUESTS, text);
    let mut response = if is_plain { reply::failed(headers, failed) } else { failed.into_response() };
    if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // Without the gate nobody is let in.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            let text = "nobody has said who calls".to_owned();
            Failed::new(ProblemKind::Unauthenticated, StatusCode::UNAUTHORIZED, text).into_response()
        })
    }
}
