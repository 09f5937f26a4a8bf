//! How a call gets to the orchestrator and its answer back: a trait, so that a simulation can stand in for the network, and
//! the real one, HTTP by reqwest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::multipart::{Form, Part};
use url::Url;

use crate::errors::in_full;
use crate::protocol::UPLOAD_META_PART;
use crate::token::Token;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: less than the orchestrator and what lies between keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// After how much silence the system asks whether the other end is still there. It is less than a long poll, so that a router
/// between the two has reason to remember the connection.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How often it asks in vain before the connection is given up. On Linux what was sent may not stay unanswered for longer either:
/// otherwise a connection that a router has forgotten would be tried for a quarter of an hour.
const KEEPALIVE_TRIES: u32 = 2;
/// How long a download may stand still. It has no limit of its own: a slow line is no error.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The path, from the orchestrator's root.
    pub path: String,
    /// What goes with it.
    pub body: Body,
    /// How long it may take.
    pub limit: Limit,
    /// What says who calls.
    pub token: Option<Token>,
}

/// What goes with a call, and by which method it goes.
#[derive(Debug, Clone)]
pub enum Body {
    /// `GET`, with nothing.
    Get,
    /// `GET`, of the bytes from this one on.
    GetFrom(u64),
    /// `POST`, with JSON.
    Json(Vec<u8>),
    /// `PUT`, with a form: JSON first, then files.
    Files {
        /// The JSON.
        meta: String,
        /// The files.
        files: Vec<PathBuf>,
    },
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// All in all.
    Whole(Duration),
    /// As long as it takes, if it does not stand still.
    Idle,
}

/// The answer to a call.
pub struct Reply {
    /// The HTTP status code.
    pub status: u16,
    /// When the caller is to try again.
    pub retry_after: Option<Duration>,
    /// The first byte of the body in what was asked for, where the answer is a part and says so.
    pub first_byte: Option<u64>,
    /// The body, as it comes.
    pub body: BoxStream<'static, Result<Bytes, String>>,
}

/// Whatever carries calls. An error says why there is no answer.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Carries one call.
    async fn carry(&self, call: Call) -> Result<Reply, String>;
}

/// The two clients that every program of the farm calls the orchestrator by.
#[derive(Debug, Clone)]
pub struct HttpClients {
    /// For calls, each of which says how long it may take.
    pub calls: reqwest::Client,
    /// The same, with a limit on silence. That limit also runs while a request is still being sent, so that it suits
    /// downloads and nothing else.
    pub downloads: reqwest::Client,
}

/// Why there is no line to be had.
#[derive(Debug, thiserror::Error)]
pub enum NoLine {
    /// The file of the authority to trust can't be read.
    #[error("--ca {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no certificate.
    #[error("--ca {} holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----", .0.display())]
    NoCertificate(PathBuf),
    /// The HTTP client can't be made.
    #[error("{}", in_full(.0))]
    Client(#[from] reqwest::Error),
}

/// Has all TLS of this process done by ring. An error of rustls' says that it has been told so before, which is as good.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl HttpClients {
    /// Clients of a program that calls itself `user_agent`. They trust the authorities that the system trusts, or those in `ca` alone.
    /// They go through the proxy that `HTTPS_PROXY` and its like name. Opens no connection yet.
    pub fn new(user_agent: &str, ca: Option<&Path>) -> Result<Self, NoLine> {
        use_ring();
        let authorities = ca.map(authorities_in).transpose()?;
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(user_agent)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE)
                .tcp_keepalive(KEEPALIVE)
                .tcp_keepalive_interval(KEEPALIVE)
                .tcp_keepalive_retries(KEEPALIVE_TRIES);
            #[cfg(target_os = "linux")]
            let builder = builder.tcp_user_timeout(KEEPALIVE * (KEEPALIVE_TRIES + 1));
            match &authorities {
                Some(authorities) => builder.tls_certs_only(authorities.clone()),
                None => builder,
            }
        };
        Ok(Self { calls: builder().build()?, downloads: builder().read_timeout(IDLE_TIMEOUT).build()? })
    }
}

fn authorities_in(path: &Path) -> Result<Vec<reqwest::Certificate>, NoLine> {
    let text = std::fs::read(path).map_err(|source| NoLine::Unreadable { path: path.to_owned(), source })?;
    let found = reqwest::Certificate::from_pem_bundle(&text).ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| NoLine::NoCertificate(path.to_owned()))
}

/// HTTP by reqwest.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    http: HttpClients,
    base: String,
}

impl HttpTransport {
    /// To the orchestrator at `url`; `ca` is the authority to trust, if not the system's. Opens no connection yet.
    pub fn new(url: &Url, ca: Option<&Path>) -> Result<Self, NoLine> {
        let http = HttpClients::new(concat!("haywain-agent/", env!("CARGO_PKG_VERSION")), ca)?;
        Ok(Self { http, base: url.as_str().trim_end_matches('/').to_owned() })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn carry(&self, call: Call) -> Result<Reply, String> {
        let url = format!("{}{}", self.base, call.path);
        let client = match call.limit {
            Limit::Whole(_) => &self.http.calls,
            Limit::Idle => &self.http.downloads,
        };
        let request = match call.body {
            Body::Get => client.get(url),
            Body::GetFrom(first_byte) => client.get(url).header(RANGE, format!("bytes={first_byte}-")),
            Body::Json(json) => client.post(url).header(reqwest::header::CONTENT_TYPE, "application/json").body(json),
            Body::Files { meta, files } => client.put(url).multipart(form(meta, files).await?),
        };
        let request = match call.limit {
            Limit::Whole(limit) => request.timeout(limit),
            Limit::Idle => request,
        };
        let request = match &call.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        };
        let response = request.send().await.map_err(|error| in_full(&error))?;
        let retry_after = retry_after(response.headers());
        let first_byte =
            response.headers().get(CONTENT_RANGE).and_then(|value| first_byte_of_range(value.to_str().ok()?));
        let status = response.status().as_u16();
        let body = response.bytes_stream().map_err(|error| in_full(&error)).boxed();
        Ok(Reply { status, retry_after, first_byte, body })
    }
}

async fn form(meta: String, files: Vec<PathBuf>) -> Result<Form, String> {
    let mut form = Form::new().text(UPLOAD_META_PART, meta);
    for file in files {
        let part = Part::file(&file).await.map_err(|error| format!("reading {}: {error}", file.display()))?;
        form = form.part("file", part);
    }
    Ok(form)
}

/// Where a part begins, as `Content-Range: bytes 5-9/10` says it (RFC 9110, 14.4).
#[must_use]
pub fn first_byte_of_range(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// When an answer asks to be called again, in whole seconds (RFC 9110, 10.2.3); its other form, a date, is passed over.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let said = |path: &Path| HttpClients::new("test", Some(path)).unwrap_err().to_string();
        assert!(said(&path).contains("--ca"));
        for content in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            std::fs::write(&path, content).unwrap();
            assert!(said(&path).contains("no certificate"), "{content}");
        }
    }

    #[test]
    fn a_part_says_where_it_begins() {
        for (text, first_byte) in [
            ("bytes 5-9/10", Some(5)),
            ("bytes 0-0/*", Some(0)),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("bytes=5-", None),
        ] {
            assert_eq!(first_byte_of_range(text), first_byte, "{text}");
        }
    }
}
