//! Where the orchestrator is and who asks: flags, `HAYWAIN_…` variables, the user's `config.toml`, defaults. A token is
//! never an argument: everybody on a machine can read those.

use std::path::PathBuf;

use haywain_shared::token::{self, Token};
use haywain_shared::{config, orchestrator_url};
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
    #[serde(default = "orchestrator_url::on_this_machine", deserialize_with = "orchestrator_url::deserialize")]
    server: Url,
    ca: Option<PathBuf>,
    token: Option<String>,
}

/// Reads the settings. A token file wins over the variable, that over what `haywain login` has kept for this orchestrator, and that
/// over the settings file.
pub fn load(given: &Given) -> Outcome<Settings> {
    let Written { server, ca, token } = written(given)?;
    let is_files_own = server == written(&Given { server: None, ..given.clone() })?.server;
    let of_file = || {
        // It is for the orchestrator that the file names, and goes to no other.
        let token = token.filter(|_| is_files_own).map(|text| text.parse::<Token>());
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
    config::load("config", given, given.config.as_deref()).map_err(|error| Failure::error(error.to_string()))
}

/// The token that was given for this run alone.
pub fn token_given(given: &Given) -> Outcome<Option<Token>> {
    token::given(given.token_file.as_deref()).map_err(|error| Failure::error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use haywain_shared::token::Role;

    use super::*;

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
        assert_eq!(load(&Given { server: server.clone(), ..given }).unwrap().server.host_str(), Some("here"));
        // The file's own token is for the file's own orchestrator.
        let given = Given { config: Some(settings.clone()), ..Given::default() };
        assert_eq!(load(&given).unwrap().token.unwrap().reveal(), other);
        assert!(load(&Given { server, ..given }).unwrap().token.is_none());

        std::fs::write(&settings, "sever = \"http://render.example:4000\"\n").unwrap();
        let failure = load(&Given { config: Some(settings), ..Given::default() }).unwrap_err();
        assert!(failure.message.contains("sever"), "{}", failure.message);
        let server = Some(Url::parse("ftp://here").unwrap());
        assert!(load(&Given { server, token_file: Some(token), ..Given::default() }).is_err());
    }
}
