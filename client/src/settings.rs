//! Where the orchestrator is and who asks: flags, `HAYWAIN_…` variables, the user's `config.toml`, defaults. A token is
//! never an argument: everybody on a machine can read those.

use std::path::{Path, PathBuf};

use haywain_shared::config;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::exit::{Failure, Outcome};

/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "HAYWAIN_TOKEN";

/// What was given by flag or variable.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Given {
    /// The orchestrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Url>,
    /// A file with the token.
    #[serde(skip)]
    pub token_file: Option<PathBuf>,
    /// The settings file.
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// The settings, all sources taken together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The orchestrator.
    #[serde(default = "default_server")]
    pub server: Url,
    /// What says who asks.
    pub token: Option<String>,
}

#[expect(clippy::expect_used, reason = "a constant that the tests parse")]
fn default_server() -> Url {
    Url::parse("http://127.0.0.1:4000").expect("a constant URL")
}

/// Reads the settings. A token file wins over the variable, and that over the settings file.
pub fn load(given: &Given) -> Outcome<Settings> {
    let settings: Settings =
        config::load("config", given, given.config.as_deref()).map_err(|error| Failure::error(error.to_string()))?;
    server(settings.server.as_str())
        .map_err(|reason| Failure::error(format!("server = \"{}\": {reason}", settings.server)))?;
    let token = match &given.token_file {
        Some(file) => Some(token_in(file)?),
        None => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()).or(settings.token),
    };
    Ok(Settings { token, ..settings })
}

/// The address of an orchestrator, as people write it.
pub fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "an orchestrator's address is written http://HOST:4000, or https://HOST".to_owned())
}

fn token_in(file: &Path) -> Outcome<String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::error(format!("--token-file {}: {error}", file.display())))?;
    match text.trim() {
        "" => Err(Failure::error(format!("--token-file {} is empty", file.display()))),
        token => Ok(token.to_owned()),
    }
}

#[cfg(test)]
mod tests {
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
        std::fs::write(&token, "s3cret\n").unwrap();
        std::fs::write(&settings, "server = \"http://render.example:4000\"\ntoken = \"other\"\n").unwrap();
        let given = Given { server: None, token_file: Some(token.clone()), config: Some(settings.clone()) };
        let loaded = load(&given).unwrap();
        assert_eq!(loaded.token.as_deref(), Some("s3cret"));
        assert_eq!(loaded.server.host_str(), Some("render.example"));
        let server = Some(Url::parse("http://here:1").unwrap());
        assert_eq!(load(&Given { server, ..given }).unwrap().server.host_str(), Some("here"));

        std::fs::write(&settings, "sever = \"http://render.example:4000\"\n").unwrap();
        let failure = load(&Given { config: Some(settings), ..Given::default() }).unwrap_err();
        assert!(failure.message.contains("sever"), "{}", failure.message);
        let server = Some(Url::parse("ftp://here").unwrap());
        assert!(load(&Given { server, token_file: Some(token), config: None }).is_err());
    }
}
