//! Where the orchestrator is and who asks: flags, `HAYWAIN_…` variables, the user's `config.toml`, defaults. A token is
//! never an argument: everybody on a machine can read those.

use std::path::PathBuf;

use haywain_shared::config;
use haywain_shared::token::{self, Token};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::exit::{Failure, Outcome};
use crate::logins;

/// What was given by flag or variable.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Given {
    /// The orchestrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Url>,
    /// The only authority to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A file with the token.
    #[serde(skip)]
    pub token_file: Option<PathBuf>,
    /// The settings file.
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// The settings, all sources taken together.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The orchestrator.
    pub server: Url,
    /// The only authority to trust.
    pub ca: Option<PathBuf>,
    /// What says who asks.
    pub token: Option<Token>,
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "default_server")]
    server: Url,
    ca: Option<PathBuf>,
    token: Option<String>,
}

#[expect(clippy::expect_used, reason = "a constant that the tests parse")]
fn default_server() -> Url {
    Url::parse("http://127.0.0.1:4000").expect("a constant URL")
}

/// Reads the settings. A token file wins over the variable, that over what `haywain login` has kept for this orchestrator, and that
/// over the settings file.
pub fn load(given: &Given) -> Outcome<Settings> {
    let Written { server, ca, token } = written(given)?;
    let of_file = || {
        let token = token.map(|text| text.parse::<Token>());
        token.transpose().map_err(|error| Failure::error(format!("token in the settings file: {error}")))
    };
    let token = match token_given(given)? {
        Some(token) => Some(token),
        None => match logins::of(&server)? {
            Some(token) => Some(token),
            None => of_file()?,
        },
    };
    Ok(Settings { server, ca, token })
}

/// The orchestrator, and the authority to trust: what does not take a token.
pub fn place_of(given: &Given) -> Outcome<(Url, Option<PathBuf>)> {
    let written = written(given)?;
    Ok((written.server, written.ca))
}

fn written(given: &Given) -> Outcome<Written> {
    let written: Written =
        config::load("config", given, given.config.as_deref()).map_err(|error| Failure::error(error.to_string()))?;
    server(written.server.as_str())
        .map_err(|reason| Failure::error(format!("server = \"{}\": {reason}", written.server)))?;
    Ok(written)
}

/// The token that was given for this run alone.
pub fn token_given(given: &Given) -> Outcome<Option<Token>> {
    token::given(given.token_file.as_deref()).map_err(|error| Failure::error(error.to_string()))
}

/// The address of an orchestrator, as people write it.
pub fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "an orchestrator's address is written http://HOST:4000, or https://HOST".to_owned())
}

#[cfg(test)]
mod tests {
    use haywain_shared::token::Role;

    use super::*;

    #[test]
    fn the_default_server_is_a_url() {
        assert_eq!(default_server().port(), Some(4000));
    }

    #[test]
    fn an_address_has_its_scheme() {
        for (text, is_one) in [
            ("http://render.example:4000", true),
            ("https://farm.example/haywain", true),
            ("127.0.0.1:4000", false),
            ("localhost:4000", false),
            ("ftp://render.example", false),
            ("", false),
        ] {
            assert_eq!(server(text).is_ok(), is_one, "{text}");
        }
    }

    #[test]
    fn a_token_comes_from_its_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let (token, settings) = (folder.path().join("token"), folder.path().join("config.toml"));
        let [mine, other] = [Role::Submit, Role::Operate].map(|role| Token::draw(role).unwrap());
        std::fs::write(&token, format!("{}\n", mine.reveal())).unwrap();
        let other = other.reveal();
        std::fs::write(&settings, format!("server = \"http://render.example:4000\"\ntoken = \"{other}\"\n")).unwrap();
        let given = Given { token_file: Some(token.clone()), config: Some(settings.clone()), ..Given::default() };
        let loaded = load(&given).unwrap();
        assert_eq!(loaded.token.unwrap().digest(), mine.digest());
        assert_eq!(loaded.server.host_str(), Some("render.example"));
        let server = Some(Url::parse("http://here:1").unwrap());
        assert_eq!(load(&Given { server, ..given }).unwrap().server.host_str(), Some("here"));

        std::fs::write(&settings, "sever = \"http://render.example:4000\"\n").unwrap();
        let failure = load(&Given { config: Some(settings), ..Given::default() }).unwrap_err();
        assert!(failure.message.contains("sever"), "{}", failure.message);
        let server = Some(Url::parse("ftp://here").unwrap());
        assert!(load(&Given { server, token_file: Some(token), ..Given::default() }).is_err());
    }
}
