//! Who this agent is: an id made at its first start, which life of it this is, and the token by which it is known. All are in its
//! data folder, on disk before anybody is told.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::Path;

use haywain_shared::ids::{AgentId, Incarnation};
use haywain_shared::token::{self, NoTokenThere, Role, Token};
use serde::{Deserialize, Serialize};

use crate::marks::Marks;

/// Where the identity is kept.
const FILE: &str = "identity.json";
/// Where the token is kept.
const TOKEN: &str = "token";
/// The most by which one life is later than the one before.
const LONGEST_STEP: u32 = 4096;

/// An agent, in one of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The agent.
    pub agent_id: AgentId,
    /// This life of it.
    pub incarnation: Incarnation,
}

/// The identity as it is kept: with the marks of the machine that it is for.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    identity: Identity,
    #[serde(default)]
    marks: Marks,
}

/// The identity for this start: the one in `folder` in its next life, or a new one. A folder that comes from another machine, as
/// `here` says, holds that one's identity: this is a new agent, with another token.
pub fn next_life(folder: &Path, here: &Marks) -> io::Result<Identity> {
    let kept = match fs::read(folder.join(FILE)) {
        Ok(text) => Some(serde_json::from_slice::<Kept>(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let kept = match kept {
        Some(kept) if kept.marks.speak_against(here) => {
            tracing::warn!(
                was = %kept.identity.agent_id, folder = %folder.display(),
                "this data folder comes from another machine: a new agent starts here, and enrols as one"
            );
            // Before the identity changes: a new agent with the old one's token would never be let in.
            remove(&folder.join(TOKEN))?;
            None
        }
        kept => kept,
    };
    let (agent_id, last, marks) = match kept {
        Some(Kept { identity, marks }) => (identity.agent_id, identity.incarnation.0, here.clone().or(&marks)),
        None => (AgentId::generate(), 0, here.clone()),
    };
    let incarnation = last.checked_add(step()).map(Incarnation).ok_or_else(|| {
        io::Error::other(format!(
            "{}: no later life than {last} is possible: delete the file",
            folder.join(FILE).display()
        ))
    })?;
    let identity = Identity { agent_id, incarnation };
    let written = folder.join("identity.json.new");
    let mut file = File::create(&written)?;
    file.write_all(&serde_json::to_vec(&Kept { identity, marks })?)?;
    file.sync_all()?;
    fs::rename(written, folder.join(FILE))?;
    Ok(identity)
}

/// The enrolment token in `file`, or else in the variable for it, if there is one. An agent that has a token of its own needs none, so
/// that the file may be gone by then.
pub fn enrolment(folder: &Path, file: Option<&Path>) -> Result<Option<Token>, NoTokenThere> {
    match token::given(file) {
        Err(NoTokenThere::Unreadable { source, .. })
            if source.kind() == io::ErrorKind::NotFound && folder.join(TOKEN).is_file() =>
        {
            Ok(None)
        }
        given => given,
    }
}

/// By how much a life is later than the last. Not always by one: two copies of a folder that no mark tells apart shall not have
/// the same life, each taking the other for itself. This way one of them is replaced.
fn step() -> u32 {
    // Anybody may guess it; it only has to differ, and by what the simulation can repeat.
    let drawn = RandomState::new().build_hasher().finish();
    u32::try_from(drawn % u64::from(LONGEST_STEP)).unwrap_or(0) + 1
}

/// Another process lives on as this agent: the next start in this folder is a new one, so that the two do not take turns. Does nothing
/// if the folder itself has had a later life.
pub fn disown(folder: &Path, identity: Identity) -> io::Result<()> {
    let path = folder.join(FILE);
    let kept: Kept = serde_json::from_slice(&fs::read(&path)?)?;
    if kept.identity != identity {
        return Ok(());
    }
    remove(&folder.join(TOKEN))?;
    remove(&path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The agent's own token: the one in `folder`, or a new one. It stays when the agent is shut out: to let it in again is its
/// owner's to do.
pub fn own_token(folder: &Path) -> io::Result<Token> {
    match kept_token(folder) {
        Ok(Some(token)) => Ok(token),
        Ok(None) => {
            let token = Token::draw(Role::Agent).map_err(|error| io::Error::other(error.to_string()))?;
            token::keep_private(&folder.join(TOKEN), token.reveal().as_bytes())?;
            Ok(token)
        }
        Err(NoTokenThere::Unreadable { source, .. }) => Err(source),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

/// The token in `folder`, if there is one.
pub fn kept_token(folder: &Path) -> Result<Option<Token>, NoTokenThere> {
    match token::in_file(&folder.join(TOKEN)) {
        Err(NoTokenThere::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::tests::marks;

    #[test]
    fn the_agent_stays_the_same_and_each_life_is_later() {
        let folder = tempfile::tempdir().unwrap();
        let here = marks("here", "");
        let first = next_life(folder.path(), &here).unwrap();
        let second = next_life(folder.path(), &here).unwrap();
        assert_eq!(first.agent_id, second.agent_id);
        assert!(first.incarnation < second.incarnation);
        let token = own_token(folder.path()).unwrap();
        assert_eq!(own_token(folder.path()).unwrap().digest(), token.digest());
        fs::write(folder.path().join(TOKEN), "").unwrap();
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

    #[test]
    fn a_folder_from_another_machine_is_a_new_agent_s() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = [marks("here", ""), marks("there", "")];
        let first = next_life(folder.path(), &here).unwrap();
        let token = own_token(folder.path()).unwrap();
        // Where there are no marks it stays what it was, and they are not forgotten.
        assert_eq!(next_life(folder.path(), &Marks::default()).unwrap().agent_id, first.agent_id);
        let second = next_life(folder.path(), &there).unwrap();
        assert_ne!(second.agent_id, first.agent_id);
        assert_ne!(own_token(folder.path()).unwrap().digest(), token.digest());
        assert_eq!(next_life(folder.path(), &there).unwrap().agent_id, second.agent_id);
    }

    #[test]
    fn what_an_earlier_version_has_kept_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let first = Identity { agent_id: AgentId::generate(), incarnation: Incarnation(7) };
        fs::write(folder.path().join(FILE), serde_json::to_vec(&first).unwrap()).unwrap();
        let second = next_life(folder.path(), &marks("here", "")).unwrap();
        assert!(second.agent_id == first.agent_id && second.incarnation > first.incarnation);
        assert_ne!(next_life(folder.path(), &marks("there", "")).unwrap().agent_id, first.agent_id);
    }

    /// Else two copies that start at once would be one agent for the orchestrator, each having its batches taken back.
    #[test]
    fn copies_that_start_at_once_are_different_lives() {
        let lives: std::collections::HashSet<_> = (0..64)
            .map(|_| {
                let copy = tempfile::tempdir().unwrap();
                next_life(copy.path(), &Marks::default()).unwrap().incarnation.0
            })
            .collect();
        assert!(lives.len() > 32 && lives.iter().all(|life| (1..=LONGEST_STEP).contains(life)), "{lives:?}");
    }

    #[test]
    fn who_was_replaced_does_not_come_back_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let first = next_life(folder.path(), &Marks::default()).unwrap();
        own_token(folder.path()).unwrap();
        let second = next_life(folder.path(), &Marks::default()).unwrap();
        // The folder has gone on without that life.
        disown(folder.path(), first).unwrap();
        assert!(folder.path().join(TOKEN).exists());
        disown(folder.path(), second).unwrap();
        assert!(!folder.path().join(TOKEN).exists());
        assert_ne!(next_life(folder.path(), &Marks::default()).unwrap().agent_id, first.agent_id);
    }
}
