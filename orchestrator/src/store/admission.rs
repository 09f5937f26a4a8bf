//! Who is let in, and what each may see: the values. The rules of who may call what are in [`crate::access`].

use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, JobId, LeaseId, TokenId};
use haywain_shared::scene::SceneId;
use haywain_shared::token::Role;

use super::{Registration, StoreError};
use crate::clock::UnixMs;

/// The tokens that a queue knows, and what came by each. Another process may change them at any moment: every call looks at
/// what is on disk.
#[async_trait]
pub trait Admissions: Send + Sync + 'static {
    /// Makes a token known.
    async fn keep_token(&self, token: NewToken) -> Result<(), StoreError>;

    /// All tokens there ever were, the youngest last.
    async fn tokens(&self) -> Result<Vec<TokenReport>, StoreError>;

    /// Takes a token back: from now on it is good for nothing. Doing it again is fine.
    async fn revoke_token(&self, token: TokenId) -> Result<(), StoreError>;

    /// What the token with this digest stands for now. It counts as used.
    async fn admit(&self, digest: Sha256Digest) -> Result<Admission, StoreError>;

    /// What a token that was admitted before stands for now.
    async fn admit_again(&self, token: TokenId) -> Result<Admission, StoreError>;

    /// A number that is raised each time that a token is made or revoked: 0 while there never was one.
    async fn token_changes(&self) -> Result<u64, StoreError>;

    /// Makes an agent known that shows an enrolment token, with a token of its own. Doing it again with the same two is fine, and
    /// uses the enrolment token up no further.
    async fn enrol(&self, enrolment: Enrolment, registration: Registration) -> Result<(), StoreError>;

    /// Whether somebody may see something. What is not there, nobody sees.
    async fn sees(&self, sight: Sight, thing: Thing) -> Result<bool, StoreError>;

    /// An agent has work with a scene from now on.
    async fn give_scene(&self, agent: AgentId, scene: SceneId) -> Result<(), StoreError>;

    /// All bytes of a blob that is here have come by a token.
    async fn blob_came_by(&self, blob: Sha256Digest, token: TokenId) -> Result<(), StoreError>;
}

/// A token to be kept: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its id, drawn by the caller.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What it is for. An agent's own comes by [`Enrolment`] alone.
    pub role: Role,
    /// The digest of the token.
    pub digest: Sha256Digest,
    /// For how long it is good; for ever unless it is said.
    pub good_for: Option<Duration>,
    /// How many agents it may enrol; any number unless it is said.
    pub uses: Option<u32>,
}

/// A token as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReport {
    /// Its id.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The agent whose own it is.
    pub agent: Option<AgentId>,
    /// The token by which that agent came.
    pub enrolled_by: Option<TokenId>,
    /// When it was made.
    pub created_ms: UnixMs,
    /// Until when it is good.
    pub expires_ms: Option<UnixMs>,
    /// How many agents it may still enrol.
    pub uses_left: Option<u64>,
    /// When it was used last, to the minute.
    pub last_used_ms: Option<UnixMs>,
    /// Whether it is good.
    pub standing: TokenStanding,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStanding {
    /// It is.
    Good,
    /// Its time is over.
    Expired,
    /// Its owner has taken it back.
    Revoked,
}

/// What a good token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The token.
    pub token: TokenId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The agent whose own it is.
    pub agent: Option<AgentId>,
    /// How much longer it is good.
    pub good_for: Option<Duration>,
}

/// What becomes of somebody who shows a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The token is good.
    Granted(Pass),
    /// It was good.
    Over(TokenStanding),
    /// It is none of ours.
    Unknown,
}

/// An agent that makes itself known by an enrolment token, with a token of its own that it has drawn itself: so nothing is
/// lost when the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolment {
    /// The enrolment token.
    pub by: TokenId,
    /// The digest of the agent's own.
    pub own: Sha256Digest,
}

/// Whose things somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's.
    All,
    /// Those that came by a token. A file's digest is not enough: who has not sent its bytes does not learn that it is here.
    Token(TokenId),
    /// Jobs that came without a token.
    Nobodys,
    /// What an agent was given: its leases, live and ended, and the scenes of its work.
    Agent(AgentId),
}

/// Something that somebody may see, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A job.
    Job(JobId),
    /// A scene.
    Scene(SceneId),
    /// A file of scenes.
    Blob(Sha256Digest),
    /// A lease.
    Lease(LeaseId),
}
