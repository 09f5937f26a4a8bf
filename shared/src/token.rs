//! Tokens: 256 random bits that say who asks, as `haywain_<role>_<43 characters of base64url>`, so that people, programs and
//! scanners for lost secrets know one when they see one. A token is written into no log and no error; the orchestrator keeps
//! nothing but its digest. No slow hash is needed: nobody can try 2^256 of them.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::Sha256Digest;

/// How every token begins.
const MARK: &str = "haywain_";
/// The random bytes of a token.
const RANDOM_BYTES: usize = 32;

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Submit jobs, and everything with jobs and scenes that were submitted with this token.
    Submit,
    /// Everything with all jobs and agents.
    Operate,
    /// Make an agent known, and nothing else.
    Enrol,
    /// Be one agent.
    Agent,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Operate, Self::Enrol, Self::Agent];

    /// Its word, on the command line and in a token.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Operate => "operate",
            Self::Enrol => "enrol",
            Self::Agent => "agent",
        }
    }

    /// The role with a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A text that is no token. It does not say which text: it may be half of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no token of Haywain's: one looks like haywain_submit_… and has {RANDOM_BYTES} random bytes in base64url"
)]
pub struct NoToken;

/// A token. What it shows of itself when it is printed is nothing.
#[derive(Debug, Clone)]
pub struct Token {
    role: Role,
    text: SecretString,
}

impl Token {
    /// A new one, of the system's randomness.
    pub fn draw(role: Role) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        let text = format!("{MARK}{role}_{}", URL_SAFE_NO_PAD.encode(bytes));
        Ok(Self { role, text: text.into() })
    }

    /// What it says it is for. The orchestrator goes by what it knows of it.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What is kept and looked up in its place.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.reveal().as_bytes())
    }

    /// The token itself, for a header, its own file, or the eyes of whoever made it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.expose_secret()
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (role, random) = text.strip_prefix(MARK).and_then(|rest| rest.split_once('_')).ok_or(NoToken)?;
        let role = Role::from_word(role).ok_or(NoToken)?;
        match URL_SAFE_NO_PAD.decode(random) {
            Ok(bytes) if bytes.len() == RANDOM_BYTES => Ok(Self { role, text: text.to_owned().into() }),
            _ => Err(NoToken),
        }
    }
}

/// The variable that holds a token.
pub const VARIABLE: &str = "HAYWAIN_TOKEN";

/// A token that was to be had from somewhere, and is not.
#[derive(Debug, thiserror::Error)]
pub enum NoTokenThere {
    /// A file can't be read.
    #[error("the token file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is something else.
    #[error("{place}: {source}")]
    SomethingElse {
        /// Where.
        place: String,
        /// What is wrong with it.
        source: NoToken,
    },
}

/// The token in `file`, or else in the variable `HAYWAIN_TOKEN`, if there is one. Never on the command line, which everybody on a
/// machine can read.
pub fn given(file: Option<&Path>) -> Result<Option<Token>, NoTokenThere> {
    if let Some(path) = file {
        return in_file(path).map(Some);
    }
    let Some(text) = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    let token = text.trim().parse();
    token.map(Some).map_err(|source| NoTokenThere::SomethingElse { place: format!("the variable {VARIABLE}"), source })
}

/// The token that a file holds, and nothing else.
pub fn in_file(path: &Path) -> Result<Token, NoTokenThere> {
    let text =
        std::fs::read_to_string(path).map_err(|source| NoTokenThere::Unreadable { path: path.to_owned(), source })?;
    let place = || format!("the token file {}", path.display());
    text.trim().parse().map_err(|source| NoTokenThere::SomethingElse { place: place(), source })
}

/// Writes a file that its owner alone can read, whole or not at all.
pub fn keep_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".new");
    // What an earlier try has left may have other permissions.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_drawn() {
        for role in Role::ALL {
            let token = Token::draw(role).unwrap();
            let read: Token = token.reveal().parse().unwrap();
            assert_eq!((read.role(), read.digest()), (role, token.digest()));
            assert_eq!(token.reveal().len(), MARK.len() + role.word().len() + 1 + 43);
            assert_ne!(token.digest(), Token::draw(role).unwrap().digest());
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_told() {
        let random = "A".repeat(43);
        for text in [
            String::new(),
            random.clone(),
            format!("haywain_{random}"),
            format!("haywain_king_{random}"),
            format!("haywain_submit_{random}A"),
            format!("haywain_submit_{}", "A".repeat(42)),
            format!("haywain_submit_{}=", "A".repeat(43)),
            format!(" haywain_submit_{random}"),
        ] {
            let error = text.parse::<Token>().unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(&text), "{error}");
        }
        assert!(format!("haywain_submit_{random}").parse::<Token>().is_ok());
    }

    #[test]
    fn a_file_holds_a_token_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let missing = in_file(&path).unwrap_err().to_string();
        assert!(missing.contains("token file"), "{missing}");
        let token = Token::draw(Role::Enrol).unwrap();
        for _ in 0..2 {
            keep_private(&path, format!("{}\n", token.reveal()).as_bytes()).unwrap();
        }
        assert_eq!(in_file(&path).unwrap().digest(), token.digest());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        keep_private(&path, b"hunter2").unwrap();
        let wrong = in_file(&path).unwrap_err().to_string();
        assert!(wrong.contains("token file") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn a_token_does_not_show_itself() {
        let token = Token::draw(Role::Operate).unwrap();
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.reveal()[20..]), "{shown}");
    }
}
