//! What a job asks of the agents that may render it: none of it changes the picture, so none of it reaches Blender.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blender_version::VersionRequirement;
use crate::limits::MAX_TAG_BYTES;
use crate::size::Size;

/// Which agents may render a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// The versions of Blender: that which saved the file, or a newer one, unless this says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blender: Option<VersionRequirement>,
    /// Whether its frames may come from several versions of Blender.
    #[serde(default)]
    pub mixed: bool,
    /// The memory that the machine must have free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "16GiB")]
    pub memory: Option<Size>,
    /// What its owner must have said, or not said, of the agent.
    #[serde(default, skip_serializing_if = "TagRule::is_empty")]
    pub tags: TagRule,
    /// Which agents, by name or id.
    #[serde(default, skip_serializing_if = "AgentRule::is_empty")]
    pub agents: AgentRule,
}

/// Which tags an agent must have, and which it must not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TagRule {
    /// One of these, if there are any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub any_of: BTreeSet<Tag>,
    /// Each of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub all_of: BTreeSet<Tag>,
    /// None of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub none_of: BTreeSet<Tag>,
}

/// Which agents may render a job, by name or id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AgentRule {
    /// Only these, if there are any.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub only: BTreeSet<String>,
    /// None of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<String>,
}

impl TagRule {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AgentRule {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A word that its owner has given to an agent, and that jobs can ask for: letters, digits, and `-`, `_`, `.`, `:`, `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(example = "big")]
pub struct Tag(String);

/// What is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tag: from 1 to {MAX_TAG_BYTES} bytes of letters, digits, and - _ . : / are")]
pub struct NotATag(String);

impl FromStr for Tag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let fits = |char: char| char.is_alphanumeric() || "-_.:/".contains(char);
        if (1..=MAX_TAG_BYTES).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotATag(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Tag {
    type Error = NotATag;

    fn try_from(text: String) -> Result<Self, NotATag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_asked_is_not_said() {
        assert_eq!(serde_json::to_value(Requirements::default()).unwrap(), json!({"mixed": false}));
        assert_eq!(serde_json::from_value::<Requirements>(json!({})).unwrap(), Requirements::default());
        let asked = json!({"blender": ">=4.2, <5", "mixed": true, "memory": "16GiB", "tags": {"anyOf": ["big"]},
            "agents": {"except": ["barn"]}});
        let read: Requirements = serde_json::from_value(asked.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), asked);
    }

    #[test]
    fn a_tag_is_one_word() {
        for text in ["big", "Küche", "room:2/left", "gpu-0.1_x"] {
            assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        }
        for text in ["", "two words", "a,b", "a\n", &"x".repeat(MAX_TAG_BYTES + 1)] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }
}
