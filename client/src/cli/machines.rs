//! The flags that say which machines may render a job: nothing of it changes the picture.

use clap::Args;
use haywain_shared::blender_version::VersionRequirement;
use haywain_shared::requirements::{AgentRule, Tag, TagRule};
use haywain_shared::size::Size;
use serde_json::{Value, json};

/// Which machines may render the job.
#[derive(Debug, Args)]
pub struct MachineArgs {
    /// The versions of Blender that may render it, such as '>=4.2, <5' [default: the one that saved the file, or a newer one]
    #[arg(long, value_name = "VERSIONS", help_heading = "The machines")]
    pub blender_version: Option<VersionRequirement>,
    /// Frames may come from several versions of Blender; else all come from the one that renders the first
    #[arg(long, help_heading = "The machines")]
    pub mixed: bool,
    /// The memory that a machine must have free, such as 16GiB
    #[arg(long, value_name = "SIZE", help_heading = "The machines")]
    pub memory: Option<Size>,
    /// Only agents that have this tag; given more than once, all of them
    #[arg(long, value_name = "TAG", help_heading = "The machines")]
    pub tag: Vec<Tag>,
    /// Only agents that have one of these tags; may be given more than once
    #[arg(long, value_name = "TAG", help_heading = "The machines")]
    pub any_tag: Vec<Tag>,
    /// No agent that has this tag; may be given more than once
    #[arg(long, value_name = "TAG", help_heading = "The machines")]
    pub no_tag: Vec<Tag>,
    /// Only this agent, by name or id; may be given more than once
    #[arg(long, value_name = "AGENT", help_heading = "The machines")]
    pub agent: Vec<String>,
    /// Not this agent, by name or id; may be given more than once
    #[arg(long, value_name = "AGENT", help_heading = "The machines")]
    pub not_agent: Vec<String>,
}

impl MachineArgs {
    /// What goes into the body of `POST /render`.
    #[must_use]
    pub fn members(&self) -> Vec<(&'static str, Value)> {
        let set = |tags: &[Tag]| tags.iter().cloned().collect();
        let tags = TagRule { any_of: set(&self.any_tag), all_of: set(&self.tag), none_of: set(&self.no_tag) };
        let agents =
            AgentRule { only: self.agent.iter().cloned().collect(), except: self.not_agent.iter().cloned().collect() };
        let members = [
            ("blender", self.blender_version.as_ref().map(|versions| json!(versions))),
            ("mixed", self.mixed.then_some(Value::Bool(true))),
            ("memory", self.memory.map(|memory| json!(memory))),
            ("tags", (tags != TagRule::default()).then(|| json!(tags))),
            ("agents", (agents != AgentRule::default()).then(|| json!(agents))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn members(flags: &[&str]) -> Result<Value, String> {
        let all = ["haywain", "submit", "a.blend"].iter().chain(flags);
        match Cli::try_parse_from(all).map(|cli| cli.command) {
            Ok(Command::Submit(submit)) => Ok(submit.machines.members().into_iter().collect()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn flags_become_members() {
        assert_eq!(members(&[]).unwrap(), json!({}));
        let all = members(&[
            "--blender-version",
            ">=4.2, <5",
            "--mixed",
            "--memory",
            "16GiB",
            "--tag",
            "big",
            "--tag",
            "linux",
            "--any-tag",
            "a",
            "--no-tag",
            "b",
            "--agent",
            "barn",
            "--not-agent",
            "mill",
        ]);
        let expected = json!({
            "blender": ">=4.2, <5", "mixed": true, "memory": "16GiB",
            "tags": {"allOf": ["big", "linux"], "anyOf": ["a"], "noneOf": ["b"]},
            "agents": {"only": ["barn"], "except": ["mill"]}
        });
        assert_eq!(all.unwrap(), expected);
    }

    #[test]
    fn what_is_none_is_refused_with_what_would_do() {
        for (flags, words) in [
            (["--blender-version", "new"], "is no requirement such as"),
            (["--memory", "16"], "is no size"),
            (["--tag", "two words"], "is no tag"),
        ] {
            let said = members(&flags).unwrap_err();
            assert!(said.contains(words), "{flags:?}: {said}");
        }
    }
}
