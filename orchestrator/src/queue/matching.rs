//! Which agents can render a job at all: what the job asks for against what the agent said of itself.

use std::fmt;

use haywain_shared::options::{RenderOptions, Scripts};

use crate::store::AgentFacts;

/// Why an agent cannot render a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The job's scripts may not run there.
    ScriptsBlocked,
    /// It lacks an add-on.
    NoAddon(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScriptsBlocked => f.write_str("its owner does not allow scripts (--allow-scripts)"),
            Self::NoAddon(name) => write!(f, "it does not have the add-on {name} (--addons)"),
        }
    }
}

/// Why an agent with these facts cannot render a job with these options, if it cannot.
#[must_use]
pub fn misfit(options: &RenderOptions, facts: &AgentFacts) -> Option<Misfit> {
    let abilities = &facts.abilities;
    if options.scripts == Scripts::Allowed && abilities.scripts == Scripts::Blocked {
        return Some(Misfit::ScriptsBlocked);
    }
    let has = |wanted: &String| abilities.addons.iter().any(|addon| addon.name == *wanted);
    options.addons.iter().find(|wanted| !has(wanted)).map(|wanted| Misfit::NoAddon(wanted.clone()))
}

#[cfg(test)]
mod tests {
    use haywain_shared::protocol::{Abilities, AddonFacts, MachineFacts};

    use super::Scripts::{Allowed, Blocked};
    use super::*;

    #[test]
    fn an_agent_gets_what_it_can_render() {
        let facts = |scripts, addons: &[&str]| AgentFacts {
            slots: 1,
            machine: MachineFacts { os: String::new(), arch: String::new(), logical_cores: 1, memory_bytes: 0 },
            blenders: Vec::new(),
            abilities: Abilities {
                scripts,
                addons: addons.iter().map(|name| AddonFacts { name: (*name).to_owned(), version: None }).collect(),
            },
        };
        let options = |scripts, addons: &[&str]| RenderOptions {
            scripts,
            addons: addons.iter().map(|name| (*name).to_owned()).collect(),
            ..RenderOptions::default()
        };
        let cases = [
            (options(Blocked, &[]), facts(Blocked, &[]), None),
            (options(Blocked, &[]), facts(Allowed, &["rig"]), None),
            (options(Allowed, &[]), facts(Blocked, &["rig"]), Some(Misfit::ScriptsBlocked)),
            (options(Allowed, &["rig"]), facts(Allowed, &["rig", "sky"]), None),
            (options(Blocked, &["rig", "sky"]), facts(Allowed, &["rig"]), Some(Misfit::NoAddon("sky".to_owned()))),
        ];
        for (options, facts, expected) in cases {
            assert_eq!(misfit(&options, &facts), expected, "{options:?} on {facts:?}");
        }
    }
}
