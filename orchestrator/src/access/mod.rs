//! Who may come in and what each may do: rules as functions of values. [`table`] has a row for every route that there is;
//! what it does not name, nobody may call. [`doors`] says whether tokens are asked for at all.

pub mod doors;
pub mod gate;
pub mod limits;
pub mod sessions;
pub mod table;

use haywain_shared::ids::{AgentId, TokenId};
use haywain_shared::token::Role;

use crate::store::{Pass, Sight};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Anybody: no token is asked for here.
    Anybody,
    /// Somebody without a token, where one is asked for.
    Stranger,
    /// The bearer of a good token.
    Bearer(Pass),
}

impl Caller {
    /// The token that what comes from here belongs to.
    #[must_use]
    pub fn owner(&self) -> Option<TokenId> {
        match self {
            Self::Anybody | Self::Stranger => None,
            Self::Bearer(pass) => Some(pass.token),
        }
    }

    /// Whose things it may see.
    #[must_use]
    pub fn sight(&self) -> Sight {
        match self {
            Self::Anybody | Self::Bearer(Pass { role: Role::Operate, .. }) => Sight::All,
            Self::Stranger => Sight::Nobodys,
            Self::Bearer(Pass { role: Role::Agent, agent: Some(agent), .. }) => Sight::Agent(*agent),
            Self::Bearer(pass) => Sight::Token(pass.token),
        }
    }

    /// Whether it may speak for an agent: its own, or any where no token is asked for. Who enrols one speaks for it that once.
    #[must_use]
    pub fn speaks_for(&self, agent: AgentId) -> bool {
        match self {
            Self::Anybody | Self::Bearer(Pass { role: Role::Enrol, .. }) => true,
            Self::Bearer(pass) => pass.agent == Some(agent),
            Self::Stranger => false,
        }
    }
}
