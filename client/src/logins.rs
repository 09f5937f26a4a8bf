//! The tokens that `haywain login` has kept: one for each orchestrator, in a file that nobody but the user can read. A token goes
//! to the orchestrator that it was kept for, and to no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haywain_shared::config;
use haywain_shared::token::{self, Token};
use url::Url;

use crate::exit::{Failure, Outcome};

/// The file, in the user's folder for settings.
const FILE: &str = "tokens.json";

/// The token for an orchestrator.
pub fn of(server: &Url) -> Outcome<Option<Token>> {
    let Some(path) = path() else { return Ok(None) };
    let Some(text) = read(&path)?.remove(&name(server)) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Failure::error(format!("{}: {error}", path.display())))
}

/// Keeps the token for an orchestrator: where.
pub fn keep(server: &Url, token: &Token) -> Outcome<PathBuf> {
    let path = path().ok_or_else(|| Failure::error("this system does not say where settings are kept"))?;
    let mut all = read(&path)?;
    all.insert(name(server), token.reveal().to_owned());
    write(&path, &all)?;
    Ok(path)
}

/// Forgets the token for an orchestrator; false when there was none.
pub fn forget(server: &Url) -> Outcome<bool> {
    let Some(path) = path() else { return Ok(false) };
    let mut all = read(&path)?;
    let was_there = all.remove(&name(server)).is_some();
    if was_there {
        write(&path, &all)?;
    }
    Ok(was_there)
}

fn path() -> Option<PathBuf> {
    config::config_dir().map(|folder| folder.join(FILE))
}

/// What an orchestrator is called here.
fn name(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

fn read(path: &Path) -> Outcome<BTreeMap<String, String>> {
    let failed = |reason: String| Failure::error(format!("{}: {reason}", path.display()));
    match std::fs::read(path) {
        // What the parser says of it could hold a part of it.
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| failed("is not what `haywain login` writes: remove it and log in again".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn write(path: &Path, all: &BTreeMap<String, String>) -> Outcome<()> {
    let write = || {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        token::keep_private(path, &serde_json::to_vec_pretty(all)?)
    };
    write().map_err(|error: std::io::Error| Failure::error(format!("keeping the token in {}: {error}", path.display())))
}
