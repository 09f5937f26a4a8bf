//! Which agents can render a job at all, and by which of their Blenders: what the job asks for against what the agent said of
//! itself.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use haywain_shared::blender_version::{BlenderVersion, Release, VersionRequirement};
use haywain_shared::ids::AgentId;
use haywain_shared::job::AgentReport;
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{Abilities, BlenderFacts};
use haywain_shared::requirements::{AgentRule, Requirements, Tag, TagRule};
use haywain_shared::size::Size;

/// What a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// What it asks of Blender.
    pub options: RenderOptions,
    /// What it asks of agents.
    pub requirements: Requirements,
    /// The Blender that saved its file, where the file says so.
    pub saved_by: Option<Release>,
    /// The version that its first lease went to, unless it is mixed.
    pub pinned: Option<BlenderVersion>,
    /// The memory with which frames have run out of it, while every frame that waits looks for more.
    pub ran_out_at_bytes: Option<u64>,
}

/// An agent as the rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// Its id.
    pub id: AgentId,
    /// What people call it.
    pub name: &'a str,
    /// Its Blenders, best first.
    pub blenders: &'a [BlenderFacts],
    /// What it can do beyond that.
    pub abilities: &'a Abilities,
    /// The memory that it has free.
    pub memory_available_bytes: u64,
}

impl<'a> Applicant<'a> {
    /// An agent as it is known to its watchers.
    #[must_use]
    pub fn of(report: &'a AgentReport) -> Self {
        let memory_bytes = report.machine.memory_bytes;
        Self {
            id: report.agent_id,
            name: &report.name,
            blenders: &report.blenders,
            abilities: &report.abilities,
            memory_available_bytes: report.sample.map_or(memory_bytes, |sample| sample.memory_available_bytes),
        }
    }
}

/// Which versions of Blender will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Those that the job asks for.
    Asked(VersionRequirement),
    /// The one that saved the file, or a newer one.
    NotOlderThan(Release),
    /// The one that the first lease went to.
    Only(BlenderVersion),
    /// All.
    Any,
}

/// Why an agent cannot render a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// It is none of those that the job names.
    NotNamed,
    /// It is one of those that the job does not want.
    Excluded,
    /// It lacks tags: each of these if there is one, one of them if there are more.
    NoTag(BTreeSet<Tag>),
    /// It has a tag that the job does not want.
    Tagged(Tag),
    /// The job's scripts may not run there.
    ScriptsBlocked,
    /// It lacks an add-on.
    NoAddon(String),
    /// None of its Blenders will do.
    NoBlender {
        /// Which would.
        wanted: Versions,
        /// Those that it has.
        has: Vec<String>,
    },
    /// It has not enough memory free.
    LittleMemory {
        /// What would do.
        wanted: Size,
        /// What it has.
        has_bytes: u64,
    },
    /// It has no more memory free than frames of the job have run out of.
    NoMoreMemory {
        /// What was not enough.
        ran_out_at_bytes: u64,
        /// What it has.
        has_bytes: u64,
    },
}

impl Needs {
    /// Which versions of Blender will do.
    #[must_use]
    pub fn versions(&self) -> Versions {
        match (&self.requirements.blender, self.saved_by) {
            _ if let Some(pinned) = self.pinned => Versions::Only(pinned),
            (Some(asked), _) => Versions::Asked(asked.clone()),
            (None, Some(saved_by)) => Versions::NotOlderThan(saved_by),
            (None, None) => Versions::Any,
        }
    }

    /// Which of an agent's Blenders is to render the job, or why the agent cannot.
    pub fn fit(&self, agent: &Applicant<'_>) -> Result<BlenderFacts, Misfit> {
        let Requirements { blender: _, mixed: _, memory, tags, agents } = &self.requirements;
        named(agents, agent)?;
        tagged(tags, &agent.abilities.tags)?;
        if self.options.scripts == Scripts::Allowed && agent.abilities.scripts == Scripts::Blocked {
            return Err(Misfit::ScriptsBlocked);
        }
        let has = |wanted: &&String| agent.abilities.addons.iter().any(|addon| addon.name == **wanted);
        if let Some(missing) = self.options.addons.iter().find(|wanted| !has(wanted)) {
            return Err(Misfit::NoAddon(missing.clone()));
        }
        let blender = closest(&self.versions(), self.saved_by, agent.blenders)?;
        let has_bytes = agent.memory_available_bytes;
        match (memory, self.ran_out_at_bytes) {
            (Some(wanted), _) if wanted.bytes > has_bytes => Err(Misfit::LittleMemory { wanted: *wanted, has_bytes }),
            (_, Some(ran_out_at_bytes)) if ran_out_at_bytes >= has_bytes => {
                Err(Misfit::NoMoreMemory { ran_out_at_bytes, has_bytes })
            }
            _ => Ok(blender),
        }
    }
}

fn named(AgentRule { only, except }: &AgentRule, agent: &Applicant<'_>) -> Result<(), Misfit> {
    let id = agent.id.to_string();
    let is_in = |names: &BTreeSet<String>| names.contains(agent.name) || names.contains(&id);
    if !only.is_empty() && !is_in(only) {
        return Err(Misfit::NotNamed);
    }
    if is_in(except) { Err(Misfit::Excluded) } else { Ok(()) }
}

fn tagged(TagRule { any_of, all_of, none_of }: &TagRule, tags: &BTreeSet<Tag>) -> Result<(), Misfit> {
    if let Some(missing) = all_of.difference(tags).next() {
        return Err(Misfit::NoTag([missing.clone()].into()));
    }
    if !any_of.is_empty() && any_of.is_disjoint(tags) {
        return Err(Misfit::NoTag(any_of.clone()));
    }
    none_of.intersection(tags).next().map_or(Ok(()), |unwanted| Err(Misfit::Tagged(unwanted.clone())))
}

/// The Blender that is closest to the one that saved the file, as an artist would choose it: the latest of the same release,
/// else of the next newer one, else of the next older one. If the file does not say, it is the first that will do.
fn closest(wanted: &Versions, saved_by: Option<Release>, has: &[BlenderFacts]) -> Result<BlenderFacts, Misfit> {
    let known = has.iter().filter_map(|facts| Some((facts, facts.version.parse::<BlenderVersion>().ok()?)));
    let will_do = known.filter(|(_, version)| wanted.include(*version));
    let found = match saved_by {
        None => will_do.map(|(facts, _)| facts).next(),
        Some(saved_by) => {
            let distance = |(_, version): &(&BlenderFacts, BlenderVersion)| {
                let release = version.release;
                let newer = (release >= saved_by).then_some(release);
                (newer.is_none(), newer, Reverse(release), Reverse(version.patch))
            };
            will_do.min_by_key(distance).map(|(facts, _)| facts)
        }
    };
    found.cloned().ok_or_else(|| Misfit::NoBlender {
        wanted: wanted.clone(),
        has: has.iter().map(|facts| facts.version.clone()).collect(),
    })
}

impl Versions {
    fn include(&self, version: BlenderVersion) -> bool {
        match self {
            Self::Asked(requirement) => requirement.matches(version),
            Self::NotOlderThan(release) => version.release >= *release,
            Self::Only(pinned) => version == *pinned,
            Self::Any => true,
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(requirement) => write!(f, "Blender {requirement}, which the job asks for"),
            Self::NotOlderThan(release) => write!(f, "Blender {release}, which saved the file, or a newer one"),
            Self::Only(version) => write!(f, "Blender {version}, which the job was begun with"),
            Self::Any => f.write_str("a Blender"),
        }
    }
}

/// What a fitting agent does, to follow "no agent …".
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |tags: &BTreeSet<Tag>| tags.iter().map(Tag::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::NotNamed => f.write_str("is one of those that the job names"),
            Self::Excluded => f.write_str("is other than those that the job excludes"),
            Self::NoTag(tags) if tags.len() == 1 => write!(f, "has the tag {} (--tag)", listed(tags)),
            Self::NoTag(tags) => write!(f, "has one of the tags {} (--tag)", listed(tags)),
            Self::Tagged(tag) => write!(f, "is without the tag {tag}"),
            Self::ScriptsBlocked => f.write_str("lets scripts run (--allow-scripts)"),
            Self::NoAddon(name) => write!(f, "has the add-on {name} (--addons)"),
            Self::NoBlender { wanted, .. } => write!(f, "has {wanted}"),
            Self::LittleMemory { wanted, .. } => write!(f, "has {} of memory free", String::from(*wanted)),
            Self::NoMoreMemory { ran_out_at_bytes, .. } => {
                write!(
                    f,
                    "has more memory free than the {} MiB that its frames have run out of",
                    ran_out_at_bytes >> 20
                )
            }
        }
    }
}

impl Misfit {
    /// What the agent has in place of what is wanted, where that says more.
    fn instead(&self) -> Option<String> {
        match self {
            Self::NoBlender { has, .. } if has.is_empty() => Some("none".to_owned()),
            Self::NoBlender { has, .. } => Some(has.join(", ")),
            Self::LittleMemory { has_bytes, .. } | Self::NoMoreMemory { has_bytes, .. } => {
                Some(format!("{} MiB", has_bytes >> 20))
            }
            _ => None,
        }
    }
}

/// The most agents that are named for one reason.
const NAMED: usize = 5;

/// Why a job waits: what each of the agents that are there lacks, by their names; empty if one of them fits.
#[must_use]
pub fn why_it_waits<'a>(needs: &Needs, agents: impl IntoIterator<Item = Applicant<'a>>) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for agent in agents {
        let Err(misfit) = needs.fit(&agent) else { return Vec::new() };
        let wanted = misfit.to_string();
        let who = match misfit.instead() {
            Some(instead) => format!("{} ({instead})", agent.name),
            None => agent.name.to_owned(),
        };
        match reasons.iter_mut().find(|(known, _)| *known == wanted) {
            Some((_, who_else)) => who_else.push(who),
            None => reasons.push((wanted, vec![who])),
        }
    }
    match &reasons[..] {
        [] => vec!["no agent is there that takes work".to_owned()],
        [(wanted, who)] => vec![format!("no agent {wanted}: not {}", some_of(who))],
        several => several.iter().map(|(wanted, who)| format!("of {} none {wanted}", some_of(who))).collect(),
    }
}

/// Why an agent can take none of the jobs that are next, if there are any.
#[must_use]
pub fn why_it_idles(next: &[Needs], agent: &Applicant<'_>) -> Option<String> {
    let misfits = next.iter().map(|needs| needs.fit(agent).err()).collect::<Option<Vec<_>>>()?;
    let first = misfits.first()?;
    let here = first.instead().map(|instead| format!(", not {instead}")).unwrap_or_default();
    Some(format!("it can take none of the jobs that are next: the first is for one that {first}{here}"))
}

fn some_of(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names[..names.len() - more].join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

#[cfg(test)]
mod tests;
