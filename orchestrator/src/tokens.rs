//! `haywain-orchestrator token …`: makes tokens, lists them, takes them back, on the queue in the data folder, also while an
//! orchestrator runs on it. A token is shown once, when it is made, on standard output, and is kept nowhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use haywain_shared::ids::TokenId;
use haywain_shared::span::Span;
use haywain_shared::token::{Role, Token};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{SystemClock, UnixMs};
use crate::store::sqlite::{LeaseTimes, QUEUE_FILE, SqliteStore};
use crate::store::{Admissions as _, NewToken, TokenReport, TokenStanding};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and show it this once
    Create {
        /// What people call it: a person, a program, a room
        #[arg(long)]
        name: String,
        /// What it is for
        #[arg(long)]
        role: GivenRole,
        /// For how long it is good, for example 30d [default: for ever]
        #[arg(long, value_name = "DURATION")]
        expires: Option<Span>,
        /// How many agents it may enrol [default: any number]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
    },
    /// List the tokens, those of agents included
    List,
    /// Take a token back: whoever has it is shut out within a second
    Revoke {
        /// Its name, its id, or the end of it
        token: String,
    },
}

/// What a token can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GivenRole {
    /// Submit jobs, and everything with jobs and scenes that were submitted with this token
    Submit,
    /// Everything with all jobs and agents
    Operate,
    /// Make agents known, and nothing else
    Enrol,
}

impl From<GivenRole> for Role {
    fn from(given: GivenRole) -> Self {
        match given {
            GivenRole::Submit => Self::Submit,
            GivenRole::Operate => Self::Operate,
            GivenRole::Enrol => Self::Enrol,
        }
    }
}

/// Does it.
pub async fn run(command: TokenCommand, data_dir: &Path) -> anyhow::Result<()> {
    let tasks = TaskTracker::new();
    let store = open(&command, data_dir, &tasks).await?;
    match command {
        TokenCommand::Create { name, role, expires, uses } => {
            if uses.is_some() && role != GivenRole::Enrol {
                bail!("--uses counts agents that are enrolled: it is for --role enrol");
            }
            create(&store, Wanted { name, role: role.into(), expires, uses }).await?;
        }
        TokenCommand::List => println!("{}", list(&store.tokens().await?)),
        TokenCommand::Revoke { token } => revoke(&store, &token).await?,
    }
    drop(store);
    tasks.close();
    tasks.wait().await;
    Ok(())
}

async fn open(command: &TokenCommand, data_dir: &Path, tasks: &TaskTracker) -> anyhow::Result<SqliteStore> {
    if matches!(command, TokenCommand::Create { .. }) {
        std::fs::create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    } else {
        must_be_there(data_dir)?;
    }
    open_queue(data_dir, tasks).await
}

/// Fails where no orchestrator has a queue.
pub(crate) fn must_be_there(data_dir: &Path) -> anyhow::Result<()> {
    if !data_dir.join(QUEUE_FILE).is_file() {
        bail!("there is no queue in {}: --data-dir names the orchestrator's folder", data_dir.display());
    }
    Ok(())
}

/// The queue of a data folder, to look after its tokens.
pub(crate) async fn open_queue(data_dir: &Path, tasks: &TaskTracker) -> anyhow::Result<SqliteStore> {
    // It leases nothing: the terms are of no matter.
    let term = Duration::from_secs(1);
    let times = LeaseTimes { ttl: term, heartbeat: term, absence: term };
    let clock = Arc::new(SystemClock::start());
    Ok(SqliteStore::open(&data_dir.join(QUEUE_FILE), times, clock, tasks, CancellationToken::new()).await?)
}

async fn create(store: &SqliteStore, wanted: Wanted) -> anyhow::Result<()> {
    let (name, role) = (wanted.name.clone(), wanted.role);
    let (id, token) = make(store, wanted).await?;
    eprintln!("The token {name:?} ({role}, {id}) is shown this once:");
    println!("{}", token.reveal());
    eprintln!("{}", what_to_do(role));
    Ok(())
}

/// A token that somebody wants.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) expires: Option<Span>,
    pub(crate) uses: Option<u32>,
}

/// Makes a token and keeps its digest.
pub(crate) async fn make(store: &SqliteStore, wanted: Wanted) -> anyhow::Result<(TokenId, Token)> {
    let Wanted { name, role, expires, uses } = wanted;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        bail!("--name is what people call the token: it must have something to read");
    }
    let token = Token::draw(role).context("the system has no random numbers")?;
    let id = TokenId::generate();
    let new = NewToken { id, name, role, digest: token.digest(), good_for: expires.map(|span| span.0), uses };
    store.keep_token(new).await?;
    Ok((id, token))
}

const fn what_to_do(role: Role) -> &'static str {
    match role {
        Role::Submit | Role::Operate => "Give it to `haywain login`, or to programs as `Authorization: Bearer …`.",
        Role::Enrol => {
            "Put it into a file on each machine that is to render and start haywain-agent with --token-file FILE; each agent gets \
             a token of its own."
        }
        Role::Agent => "",
    }
}

async fn revoke(store: &SqliteStore, wanted: &str) -> anyhow::Result<()> {
    let tokens = store.tokens().await?;
    let token = find(&tokens, wanted)?;
    store.revoke_token(token.id).await?;
    eprintln!("The token {:?} ({}, {}) is good for nothing from now on.", token.name, token.role, token.id);
    let parent = tokens.iter().find(|other| Some(other.id) == token.enrolled_by);
    if let Some(parent) = parent.filter(|parent| parent.standing == TokenStanding::Good && parent.uses_left != Some(0))
    {
        eprintln!(
            "It was enrolled by {:?} ({}), which is still good: whoever has that on the machine can come back as another agent.",
            parent.name, parent.id
        );
    }
    Ok(())
}

/// The token that somebody means.
fn find<'t>(tokens: &'t [TokenReport], wanted: &str) -> anyhow::Result<&'t TokenReport> {
    let by_id: Vec<_> =
        tokens.iter().filter(|token| !wanted.is_empty() && token.id.to_string().ends_with(wanted)).collect();
    let named = |standing: fn(TokenStanding) -> bool| {
        tokens.iter().filter(|token| token.name == wanted && standing(token.standing)).collect::<Vec<_>>()
    };
    let good = named(|standing| standing == TokenStanding::Good);
    let found = [good, named(|_| true), by_id].into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!("there is no token {wanted:?}: `haywain-orchestrator token list` shows all"),
        several => {
            let ids: Vec<_> = several.iter().map(|token| token.id.to_string()).collect();
            bail!("{wanted:?} may be any of {}: name one by its id", ids.join(", "))
        }
    }
}

fn list(tokens: &[TokenReport]) -> String {
    let moment = |ms: UnixMs| {
        Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
    };
    let heads = ["TOKEN", "NAME", "ROLE", "STATE", "MADE (UTC)", "EXPIRES", "LAST USED", "USES LEFT", "AGENT"];
    let rows = tokens.iter().map(|token| {
        [
            token.id.to_string(),
            token.name.clone(),
            token.role.to_string(),
            match token.standing {
                TokenStanding::Good => "good".to_owned(),
                TokenStanding::Expired => "expired".to_owned(),
                TokenStanding::Revoked => "revoked".to_owned(),
            },
            moment(token.created_ms),
            token.expires_ms.map_or_else(|| "never".to_owned(), moment),
            token.last_used_ms.map_or_else(|| "never".to_owned(), moment),
            token.uses_left.map_or_else(|| "-".to_owned(), |left| left.to_string()),
            token.agent.map_or_else(|| "-".to_owned(), |agent| agent.to_string()),
        ]
    });
    let lines: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String; 9]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, standing: TokenStanding) -> TokenReport {
        TokenReport {
            id: TokenId::generate(),
            name: name.to_owned(),
            role: Role::Submit,
            agent: None,
            enrolled_by: None,
            created_ms: 0,
            expires_ms: None,
            uses_left: None,
            last_used_ms: None,
            standing,
        }
    }

    #[test]
    fn a_token_is_found_by_its_name_or_the_end_of_its_id() {
        let tokens = [
            token("ann", TokenStanding::Revoked),
            token("ann", TokenStanding::Good),
            token("bob", TokenStanding::Expired),
            token("bob", TokenStanding::Expired),
        ];
        let found = |wanted: &str| find(&tokens, wanted).map(|token| token.id).map_err(|error| error.to_string());
        assert_eq!(found("ann"), Ok(tokens[1].id));
        assert_eq!(found(&tokens[0].id.to_string()), Ok(tokens[0].id));
        assert_eq!(found(&tokens[2].id.to_string()[20..]), Ok(tokens[2].id));
        let several = found("bob").unwrap_err();
        assert!(tokens[2..].iter().all(|token| several.contains(&token.id.to_string())), "{several}");
        assert!(found("carl").is_err() && found("").is_err());
    }
}
