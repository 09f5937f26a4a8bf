//! Keeps a token for an orchestrator, after trying it, and forgets it again.

use std::io::{BufRead as _, IsTerminal as _};

use console::Term;
use haywain_shared::token::Token;
use serde_json::json;
use url::Url;

use crate::api::Api;
use crate::exit::{Exit, Failure, Outcome};
use crate::logins;
use crate::settings::{self, Given};
use crate::show::Show;

pub(super) async fn login(given: &Given, show: Show) -> Outcome {
    // What is kept so far may be no good any more.
    let (server, ca) = settings::place_of(given)?;
    let token = match settings::token_given(given)? {
        Some(token) => token,
        None => ask(&server)?,
    };
    let api = Api::new(&server, Some(token.clone()), ca.as_deref())
        .map_err(|error| Failure::error(format!("setting up the line to {server}: {error}")))?;
    let about = api.about().await?;
    if about.asks_for_tokens && about.you.is_none() {
        return Err(Failure::refused(format!("{server} does not know this token, or it has expired or was revoked")));
    }
    let path = logins::keep(&server, &token)?;
    if server.scheme() == "http" && !is_this_machine(&server) {
        eprintln!("haywain: {server} has no TLS: everybody between here and there can read the token");
    }
    show.result(&json!({ "server": server, "you": about.you }), || {
        let who = about
            .you
            .as_ref()
            .map_or_else(|| "which asks for no token now".to_owned(), |you| format!("as {} ({})", you.name, you.role));
        format!("Logged in at {server}, {who}; the token is kept in {}", path.display())
    })?;
    Ok(Exit::Done)
}

pub(super) fn logout(given: &Given, show: Show) -> Outcome {
    let (server, _) = settings::place_of(given)?;
    let was_there = logins::forget(&server)?;
    show.result(&json!({ "server": server, "forgotten": was_there }), || {
        if was_there {
            format!("The token for {server} is forgotten here; it stays good until it is revoked there")
        } else {
            format!("No token is kept for {server}")
        }
    })?;
    Ok(Exit::Done)
}

/// Asks for a token: a person unseen, a program by a line of standard input.
fn ask(server: &Url) -> Outcome<Token> {
    let failed = |error: std::io::Error| Failure::error(format!("reading the token: {error}"));
    let text = if std::io::stdin().is_terminal() {
        let term = Term::stderr();
        term.write_str(&format!("Token for {server}: ")).map_err(failed)?;
        term.read_secure_line().map_err(failed)?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        line
    };
    text.trim().parse().map_err(|error| Failure::error(format!("{error}")))
}

fn is_this_machine(server: &Url) -> bool {
    match server.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
