//! Who this agent is: an id made at its first start, which life of it this is, and the token by which it is known. All are in its
//! data folder, on disk before anybody is told.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use haywain_shared::ids::{AgentId, Incarnation};
use haywain_shared::token::{self, NoTokenThere, Role, Token};
use serde::{Deserialize, Serialize};

/// The file of its own token.
const OWN_TOKEN: &str = "token";

/// An agent, in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The agent.
    pub agent_id: AgentId,
    /// This life of it.
    pub incarnation: Incarnation,
}

/// The identity for this start: the one in `folder` in its next life, or a new one.
pub fn next_life(folder: &Path) -> io::Result<Identity> {
    let path = folder.join("identity.json");
    let identity = match fs::read(&path) {
        Ok(text) => {
            let last: Identity = serde_json::from_slice(&text)?;
            Identity { incarnation: Incarnation(last.incarnation.0 + 1), ..last }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Identity { agent_id: AgentId::generate(), incarnation: Incarnation(1) }
        }
        Err(error) => return Err(error),
    };
    let written = folder.join("identity.json.new");
    let mut file = File::create(&written)?;
    file.write_all(&serde_json::to_vec(&identity)?)?;
    file.sync_all()?;
    fs::rename(written, path)?;
    Ok(identity)
}

/// The enrolment token in `file`, or else in the variable for it, if there is one. An agent that has a token of its own needs none, so
/// that the file may be gone by then.
pub fn enrolment(folder: &Path, file: Option<&Path>) -> Result<Option<Token>, NoTokenThere> {
    match token::given(file) {
        Err(NoTokenThere::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound && folder.join(OWN_TOKEN).is_file() =>
        {
            Ok(None)
        }
        given => given,
    }
}

/// The agent's own token: the one in `folder`, or a new one. It stays when the agent is shut out: to let it in again is its
/// owner's to do.
pub fn own_token(folder: &Path) -> io::Result<Token> {
    let path = folder.join(OWN_TOKEN);
    match token::in_file(&path) {
        Ok(token) => Ok(token),
        Err(NoTokenThere::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let token = Token::draw(Role::Agent).map_err(|error| io::Error::other(error.to_string()))?;
            token::keep_private(&path, token.reveal().as_bytes())?;
            Ok(token)
        }
        Err(NoTokenThere::Unreadable { source, .. }) => Err(source),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_stays_the_same_and_each_life_is_later() {
        let folder = tempfile::tempdir().unwrap();
        let first = next_life(folder.path()).unwrap();
        let second = next_life(folder.path()).unwrap();
        assert_eq!(first.agent_id, second.agent_id);
        assert!(first.incarnation < second.incarnation);
        let token = own_token(folder.path()).unwrap();
        assert_eq!(own_token(folder.path()).unwrap().digest(), token.digest());
        std::fs::write(folder.path().join(OWN_TOKEN), "").unwrap();
        assert!(own_token(folder.path()).is_err(), "what is there is not thrown away");
    }

    #[test]
    fn the_file_with_the_enrolment_token_may_go_once_there_is_one_s_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("enrolment");
        let enrolment = || enrolment(folder.path(), Some(&file));
        assert!(enrolment().is_err(), "it is said where a token was to be, and is not");
        let token = Token::draw(Role::Enrol).unwrap();
        fs::write(&file, token.reveal()).unwrap();
        assert_eq!(enrolment().unwrap().map(|read| read.digest()), Some(token.digest()));
        own_token(folder.path()).unwrap();
        assert!(enrolment().unwrap().is_some(), "an owner may have put it there to let the agent in again");
        fs::remove_file(&file).unwrap();
        assert!(enrolment().unwrap().is_none());
        fs::write(&file, "hunter2").unwrap();
        assert!(enrolment().is_err());
    }
}
