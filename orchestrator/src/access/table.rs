//! The table of all routes: who may call each, what it is about, and what it holds while it lasts. The gate decides from it alone,
//! so that a route without a row is refused to everybody.

use axum::http::Method;
use haywain_shared::token::Role;

use super::Caller;
use super::doors::Strangers;

/// Who may call a route, where tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Everybody: it tells and changes nothing that is anybody's.
    Everybody,
    /// `submit` and `operate`, and, if the owner wants it so, people without a token: the plain API's two calls.
    Plain,
    /// `submit` and `operate`.
    Clients,
    /// `operate`.
    Operators,
    /// `enrol`, and agents that make themselves known again.
    Newcomers,
    /// Agents.
    Agents,
}

/// What a route is about: a part of its path. Who may not see it is told that it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nothing that is anybody's, or something that its handler takes from the caller.
    Nothing,
    /// The job in `{job}`.
    Job,
    /// The scene in `{scene}`.
    Scene,
    /// The blob in `{blob}`.
    Blob,
    /// The lease in `{lease}`.
    Lease,
}

/// What a call holds while it lasts: of all but short ones only so many are under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Load {
    /// Little, and not for long.
    Short,
    /// A file on its way in.
    Upload,
    /// The manifest of a scene on its way in.
    Manifest,
    /// Files on their way out.
    Download,
    /// A call that waits for work.
    Poll,
    /// A stream of events.
    Stream,
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The method.
    pub method: &'static Method,
    /// The path, with its parts in braces.
    pub path: &'static str,
    /// Who may call it.
    pub to: To,
    /// What it is about.
    pub about: About,
    /// What it holds.
    pub load: Load,
}

const fn rule(method: &'static Method, path: &'static str, to: To, about: About, load: Load) -> Rule {
    Rule { method, path, to, about, load }
}

const GET: &Method = &Method::GET;
const HEAD: &Method = &Method::HEAD;
const POST: &Method = &Method::POST;
const PUT: &Method = &Method::PUT;
const DELETE: &Method = &Method::DELETE;

/// All routes.
#[rustfmt::skip]
pub const TABLE: &[Rule] = &[
    rule(POST, "/render", To::Plain, About::Nothing, Load::Short),
    rule(GET, "/status/{job}", To::Plain, About::Job, Load::Short),
    // No downloads: strangers would take the places of those who have a token.
    rule(GET, "/install", To::Everybody, About::Nothing, Load::Short),
    rule(GET, "/install/{file}", To::Everybody, About::Nothing, Load::Short),

    rule(GET, "/metrics", To::Operators, About::Nothing, Load::Short),

    rule(GET, "/api/v1", To::Everybody, About::Nothing, Load::Short),
    rule(POST, "/api/v1/session", To::Everybody, About::Nothing, Load::Short),
    rule(DELETE, "/api/v1/session", To::Everybody, About::Nothing, Load::Short),
    rule(GET, "/api/v1/openapi.json", To::Everybody, About::Nothing, Load::Short),
    rule(GET, "/api/v1/docs", To::Everybody, About::Nothing, Load::Short),
    rule(GET, "/api/v1/docs/", To::Everybody, About::Nothing, Load::Short),
    rule(GET, "/api/v1/docs/{*rest}", To::Everybody, About::Nothing, Load::Short),

    rule(GET, "/api/v1/jobs", To::Clients, About::Nothing, Load::Short),
    rule(GET, "/api/v1/jobs/{job}", To::Clients, About::Job, Load::Short),
    rule(DELETE, "/api/v1/jobs/{job}", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/cancel", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/pause", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/resume", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/retry", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/rerender", To::Clients, About::Job, Load::Short),
    rule(POST, "/api/v1/jobs/{job}/priority", To::Clients, About::Job, Load::Short),
    rule(GET, "/api/v1/jobs/{job}/attempts", To::Clients, About::Job, Load::Short),
    rule(GET, "/api/v1/jobs/{job}/frames", To::Clients, About::Job, Load::Short),
    rule(GET, "/api/v1/jobs/{job}/frames.zip", To::Clients, About::Job, Load::Download),
    rule(GET, "/api/v1/jobs/{job}/frames/{frame}", To::Clients, About::Job, Load::Short),
    rule(GET, "/api/v1/jobs/{job}/frames/{frame}/files/{name}", To::Clients, About::Job, Load::Download),
    rule(GET, "/api/v1/jobs/{job}/frames/{frame}/image", To::Clients, About::Job, Load::Download),
    rule(GET, "/api/v1/jobs/{job}/frames/{frame}/thumbnail", To::Clients, About::Job, Load::Short),

    rule(GET, "/api/v1/scenes", To::Clients, About::Nothing, Load::Short),
    rule(POST, "/api/v1/scenes", To::Clients, About::Nothing, Load::Manifest),
    rule(GET, "/api/v1/scenes/{scene}", To::Clients, About::Scene, Load::Short),
    rule(POST, "/api/v1/scenes/{scene}/inspection", To::Clients, About::Scene, Load::Short),
    rule(PUT, "/api/v1/scenes/files/{name}", To::Clients, About::Nothing, Load::Upload),
    rule(HEAD, "/api/v1/blobs/{blob}", To::Clients, About::Nothing, Load::Short),
    rule(GET, "/api/v1/blobs/{blob}", To::Clients, About::Blob, Load::Download),
    rule(PUT, "/api/v1/blobs/{blob}", To::Clients, About::Nothing, Load::Upload),

    rule(GET, "/api/v1/agents", To::Operators, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agents/{agent}/drain", To::Operators, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agents/{agent}/resume", To::Operators, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agents/{agent}/set-aside", To::Operators, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agents/{agent}/forget", To::Operators, About::Nothing, Load::Short),
    rule(GET, "/api/v1/events", To::Clients, About::Nothing, Load::Stream),

    rule(POST, "/api/v1/agent/register", To::Newcomers, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agent/lease", To::Agents, About::Nothing, Load::Poll),
    rule(POST, "/api/v1/agent/heartbeat", To::Agents, About::Nothing, Load::Short),
    rule(POST, "/api/v1/agent/leave", To::Agents, About::Nothing, Load::Short),
    rule(PUT, "/api/v1/agent/leases/{lease}/frames/{frame}", To::Agents, About::Lease, Load::Upload),
    rule(POST, "/api/v1/agent/leases/{lease}/failures", To::Agents, About::Lease, Load::Short),
    rule(POST, "/api/v1/agent/leases/{lease}/release", To::Agents, About::Lease, Load::Short),
    rule(POST, "/api/v1/agent/leases/{lease}/complete", To::Agents, About::Lease, Load::Short),
    rule(GET, "/api/v1/agent/scenes/{scene}", To::Agents, About::Scene, Load::Short),
    rule(POST, "/api/v1/agent/scenes/{scene}/inspection", To::Agents, About::Scene, Load::Short),
    rule(POST, "/api/v1/agent/scenes/{scene}/inspection-failure", To::Agents, About::Scene, Load::Short),
    rule(GET, "/api/v1/agent/blobs/{blob}", To::Agents, About::Blob, Load::Download),
];

/// The row of a call. What answers `GET` answers `HEAD`, too.
#[must_use]
pub fn rule_of(method: &Method, path: &str) -> Option<&'static Rule> {
    let row = |method: &Method| TABLE.iter().find(|rule| rule.method == method && rule.path == path);
    row(method).or_else(|| if *method == Method::HEAD { row(&Method::GET) } else { None })
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Allowed,
    /// Not without a token.
    NeedsToken,
    /// Not with this one.
    Forbidden,
}

/// Whether somebody may call what is open to `to`.
#[must_use]
pub fn verdict(to: To, caller: &Caller, strangers: Strangers) -> Verdict {
    let role = match caller {
        Caller::Anybody => return Verdict::Allowed,
        Caller::Stranger => {
            let open = to == To::Everybody || to == To::Plain && strangers == Strangers::MaySubmit;
            return if open { Verdict::Allowed } else { Verdict::NeedsToken };
        }
        Caller::Bearer(pass) => pass.role,
    };
    let allowed = match to {
        To::Everybody => true,
        To::Plain | To::Clients => matches!(role, Role::Submit | Role::Operate),
        To::Operators => role == Role::Operate,
        To::Newcomers => matches!(role, Role::Enrol | Role::Agent),
        To::Agents => role == Role::Agent,
    };
    if allowed { Verdict::Allowed } else { Verdict::Forbidden }
}
