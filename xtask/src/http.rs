//! Calls to an orchestrator on this machine, as any HTTP client makes them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use ureq::http::Response;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use ureq::{Agent, Body, RequestBuilder};

/// Talks to one orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    /// What is sent as `Authorization`.
    authorization: Option<String>,
}

/// What was answered, whichever status it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Location` header.
    pub(crate) location: Option<String>,
    /// The body.
    pub(crate) body: String,
}

impl Client {
    /// Calls the orchestrator at `base`, each call within `limit`.
    pub(crate) fn new(base: &str, limit: Duration) -> Self {
        // No proxy: it is this machine that is called.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(limit));
        Self { agent: config.build().new_agent(), base: base.to_owned(), authorization: None }
    }

    /// The same, by a token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self }
    }

    /// A request, with what goes with each.
    fn with_authorization<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// `POST`, with a body of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let answer = self.with_authorization(self.agent.post(format!("{}{path}", self.base))).send_json(body);
        answer.map_err(Into::into).and_then(Answer::read).with_context(|| format!("POST {path}"))
    }

    /// `POST` of something that may be sent again: it is done once for each `key`.
    pub(crate) fn post_once(&self, path: &str, body: &Value, key: &str) -> anyhow::Result<Answer> {
        let request = self.with_authorization(self.agent.post(format!("{}{path}", self.base)));
        let answer = request.header("idempotency-key", key).send_json(body);
        answer.map_err(Into::into).and_then(Answer::read).with_context(|| format!("POST {path}"))
    }

    /// `GET`, as a client that wants plain text.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let answer = self.with_authorization(self.agent.get(format!("{}{path}", self.base))).call();
        answer.map_err(Into::into).and_then(Answer::read).with_context(|| format!("GET {path}"))
    }

    /// `GET`, as a client that wants JSON. The status code is the caller's to judge.
    pub(crate) fn get_json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self
            .with_authorization(self.agent.get(format!("{}{path}", self.base)))
            .header(ACCEPT, "application/json")
            .call();
        let answer = answer.map_err(Into::into).and_then(Answer::read);
        answer.and_then(|answer| answer.json()).with_context(|| format!("GET {path}"))
    }
}

impl Answer {
    fn read(mut response: Response<Body>) -> anyhow::Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            location: response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: response.body_mut().read_to_string()?,
        })
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{} with a body that is no JSON", self.status))
    }

    /// The answer itself, if it has the status that it should.
    pub(crate) fn expect_status(self, status: u16) -> anyhow::Result<Self> {
        if self.status != status {
            bail!("the orchestrator answers {} where {status} was expected: {}", self.status, self.body.trim());
        }
        Ok(self)
    }
}
