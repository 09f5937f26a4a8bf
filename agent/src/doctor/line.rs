//! The way to the orchestrator: proxy, TLS, clock and token. Each is looked at by calls that change nothing.

use std::path::Path;
use std::time::Duration;

use haywain_shared::errors::in_full;
use haywain_shared::problem::Problem;
use haywain_shared::protocol::PREFIX;
use haywain_shared::token::{self, Role, Token};
use haywain_shared::transport::HttpClients;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;
use url::Url;

use super::words::{self, Standing};
use super::{Finding, Verdict};
use crate::clock;
use crate::config::Settings;
use crate::identity;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most of an answer that is read: what answers may be anything.
const MOST_BYTES: usize = 1 << 20;

/// What `GET /api/v1` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    name: String,
    version: String,
    asks_for_tokens: bool,
    you: Option<You>,
}

#[derive(Debug, Deserialize)]
struct You {
    name: String,
    role: Role,
}

/// An answer, whatever gave it.
struct Answer {
    status: u16,
    /// By how much this machine's clock is ahead.
    ahead: Option<jiff::SignedDuration>,
    body: Vec<u8>,
}

/// The way to the orchestrator.
struct Way<'a> {
    clients: HttpClients,
    url: &'a Url,
}

pub(super) async fn check(settings: &Settings, data_dir: &Path) -> Vec<Finding> {
    let url = &settings.orchestrator;
    let set = proxy_for(url, |name| std::env::var(name).ok());
    let proxy = words::proxy(set.as_ref().map(|(name, value)| (*name, value.as_str())));
    let is_usable = proxy.verdict != Verdict::Bad;
    let mut findings = vec![proxy];
    let clients = match HttpClients::new(concat!("haywain-agent/", env!("CARGO_PKG_VERSION")), settings.ca.as_deref()) {
        Ok(clients) => clients,
        Err(error) => {
            let advice =
                "name the file of your certificate authority with --ca, or leave it out to trust those of the system";
            findings.push(Finding::bad("TLS", error.to_string(), advice));
            return findings;
        }
    };
    if !is_usable {
        return findings;
    }
    let way = Way { clients, url };
    let answer = match way.ask("/api/v1", None).await {
        Ok(answer) => answer,
        Err(reason) => {
            findings.push(words::no_answer(url, &reason, set.is_some()));
            return findings;
        }
    };
    let about = serde_json::from_slice::<About>(&answer.body).ok().filter(|about| about.name == "haywain");
    let Some(about) = about else {
        findings.push(something_else(url, &answer));
        return findings;
    };
    findings.push(Finding::good("orchestrator", format!("Haywain {} answers at {url}", about.version)));
    findings.push(words::tls(url, settings.ca.as_deref()));
    findings.push(words::clock(answer.ahead));
    let own = match identity::kept_token(data_dir) {
        Ok(token) => way.standing(token).await,
        Err(error) => Standing::Unreadable(error.to_string()),
    };
    let enrolment = match token::given(settings.token_file.as_deref()) {
        Ok(token) => way.standing(token).await,
        Err(error) => Standing::Unreadable(error.to_string()),
    };
    findings.push(words::token(about.asks_for_tokens, &own, &enrolment));
    findings
}

/// What answers is no orchestrator, or one that does not answer to this name.
fn something_else(url: &Url, answer: &Answer) -> Finding {
    let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
    let said = problem.map_or_else(String::new, |problem| format!(": {}", problem.detail));
    let seen = format!("what answers at {url} is not an orchestrator that takes agents (HTTP {}){said}", answer.status);
    Finding::bad("orchestrator", seen, "look at --orchestrator: address, port, and the proxy that may be before it")
}

impl Way<'_> {
    /// An answer to `GET`; else why there is none.
    async fn ask(&self, path: &str, token: Option<&Token>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let request = self.clients.calls.get(url).timeout(PATIENCE);
        let request = match token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| in_full(&error))?;
        let now = clock::wall();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let ahead = date.and_then(moment).map(|there| now.duration_since(there));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| in_full(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > MOST_BYTES {
                break;
            }
        }
        Ok(Answer { status, ahead, body })
    }

    /// How a token stands.
    async fn standing(&self, token: Option<Token>) -> Standing {
        let Some(token) = token else { return Standing::Absent };
        let known = self.ask("/api/v1", Some(&token)).await;
        let about = known.ok().and_then(|answer| serde_json::from_slice::<About>(&answer.body).ok());
        if let Some(You { name, role }) = about.and_then(|about| about.you) {
            return Standing::Known(name, role);
        }
        // Where a token is needed, the refusal says what is wrong with it.
        let nothing = format!("{PREFIX}/scenes/{}", "0".repeat(64));
        let refused = self.ask(&nothing, Some(&token)).await;
        let problem = refused.ok().and_then(|answer| serde_json::from_slice::<Problem>(&answer.body).ok());
        Standing::Refused(problem.map_or_else(|| "no reason is given".to_owned(), |problem| problem.detail))
    }
}

/// A moment as HTTP tells it (RFC 9110, 5.6.7).
fn moment(date: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(date).ok()
}

/// The variable that names the proxy for a URL, and its value, as the HTTP client chooses. `NO_PROXY` is not looked at: what it
/// says is too much to tell again.
fn proxy_for(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    let names: &[&'static str] = match url.scheme() {
        "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    names.iter().find_map(|name| Some((*name, variable(name).filter(|value| !value.trim().is_empty())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_tells_the_time() {
        let told = moment("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(told.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(moment("now"), None);
    }

    #[test]
    fn the_proxy_is_the_one_for_the_scheme() {
        let of = |url: &str, set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let look = |name: &str| set.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            proxy_for(&Url::parse(url).unwrap(), look).map(|(name, _)| name)
        };
        for (url, set, expected) in [
            ("https://a", &[][..], None),
            ("https://a", &[("HTTPS_PROXY", "http://p:1")], Some("HTTPS_PROXY")),
            ("http://a", &[("HTTPS_PROXY", "http://p:1")], None),
            ("http://a", &[("http_proxy", "http://p:1")], Some("http_proxy")),
            ("http://a", &[("ALL_PROXY", "http://p:1")], Some("ALL_PROXY")),
            ("https://a", &[("HTTPS_PROXY", " "), ("all_proxy", "p")], Some("all_proxy")),
        ] {
            assert_eq!(of(url, set), expected, "{url}, {set:?}");
        }
    }
}
