//! What answers, and as whom it knows the one who asks.

use haywain_shared::client::CallError;
use haywain_shared::token::Role;
use serde::{Deserialize, Serialize};

use super::Api;

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Whether it asks for tokens.
    pub asks_for_tokens: bool,
    /// As whom it knows the one who asks.
    pub you: Option<You>,
}

/// The bearer of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct You {
    /// What the token is called.
    pub name: String,
    /// What it is for.
    pub role: Role,
}

impl Api {
    /// Asks what answers here.
    pub async fn about(&self) -> Result<About, CallError> {
        self.get("ask who answers", "/api/v1").await
    }
}
