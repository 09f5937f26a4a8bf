//! Whose Python an agent's owner lets run. One rule, which both sides apply: the orchestrator at the lease, the agent again
//! before it opens a scene.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose scripts may run on an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScriptRule {
    /// Nobody's.
    #[default]
    Blocked,
    /// Those of every job that asks for it.
    Allowed,
    /// Those of jobs that were submitted with a token of one of these names.
    AllowedFor(BTreeSet<String>),
}

impl ScriptRule {
    /// Whether they may run that come with a job: `token` is the name of the one that it was submitted with, if that stands for
    /// it.
    #[must_use]
    pub fn allows(&self, token: Option<&str>) -> bool {
        match self {
            Self::Blocked => false,
            Self::Allowed => true,
            Self::AllowedFor(names) => token.is_some_and(|name| names.contains(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_run_for_those_who_are_named() {
        let named = |names: &[&str]| ScriptRule::AllowedFor(names.iter().map(|name| (*name).to_owned()).collect());
        let cases = [
            (ScriptRule::Blocked, None, false),
            (ScriptRule::Blocked, Some("anna"), false),
            (ScriptRule::Allowed, None, true),
            (ScriptRule::Allowed, Some("anna"), true),
            (named(&["anna", "lighting"]), Some("anna"), true),
            (named(&["anna", "lighting"]), Some("lighting"), true),
            // Names are compared whole, as they were written.
            (named(&["anna"]), Some("Anna"), false),
            (named(&["anna"]), Some("anna2"), false),
            (named(&["anna"]), Some(""), false),
            // A job without a token is nobody's, whatever names there are.
            (named(&["anna"]), None, false),
            (named(&[""]), None, false),
            (named(&[]), Some("anna"), false),
        ];
        for (rule, token, allowed) in cases {
            assert_eq!(rule.allows(token), allowed, "{rule:?} for {token:?}");
        }
    }

    #[test]
    fn the_wire_has_a_word_or_names() {
        let named = ScriptRule::AllowedFor(["anna".to_owned()].into());
        let cases = [
            (ScriptRule::Blocked, r#""blocked""#),
            (ScriptRule::Allowed, r#""allowed""#),
            (named, r#"{"allowedFor":["anna"]}"#),
        ];
        for (rule, json) in cases {
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
            assert_eq!(serde_json::from_str::<ScriptRule>(json).unwrap(), rule);
        }
    }
}
