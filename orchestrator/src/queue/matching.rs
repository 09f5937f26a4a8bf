//! Which agents can render a job at all, and by which of their Blenders: what the job asks for against what the agent said of
//! itself.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use haywain_shared::blender_version::{BlenderVersion, Release, VersionRequirement};
use haywain_shared::devices::{self, DeviceFacts, DeviceKind, Lacking, Painter};
use haywain_shared::ids::AgentId;
use haywain_shared::inspection::SceneLook;
use haywain_shared::job::AgentReport;
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{Abilities, BlenderBuild, BlenderFacts};
use haywain_shared::requirements::{AgentRule, Requirements, Tag, TagRule};
use haywain_shared::size::Size;

use super::submitter::Submitter;

/// What a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// What it asks of Blender.
    pub options: RenderOptions,
    /// Who asks it.
    pub submitter: Submitter,
    /// What it asks of agents.
    pub requirements: Requirements,
    /// The Blender that saved its file, where the file says so.
    pub saved_by: Option<Release>,
    /// The version that its first lease went to, unless it is mixed.
    pub pinned: Option<BlenderVersion>,
    /// The memory with which frames have run out of it, while every frame that waits looks for more.
    pub ran_out_at_bytes: Option<u64>,
    /// How its scenes are rendered, the file's active one first; `None` while nobody has looked.
    pub looks: Option<Vec<SceneLook>>,
    /// The kind of device of its first lease for which that was known, unless it is mixed.
    pub begun_with: Option<DeviceKind>,
}

/// What an agent is to render a job with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Which of its Blenders.
    pub blender: BlenderBuild,
    /// Which kind of its devices; `None` leaves it to who opens the scene, or to the engine.
    pub device: Option<DeviceKind>,
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
    /// The ids of the devices that are free; `None` is all.
    pub devices: Option<&'a [String]>,
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
            devices: None,
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
    /// Scripts that come by this may not run there.
    ScriptsBlocked(Submitter),
    /// It lacks an add-on.
    NoAddon(String),
    /// None of its Blenders will do.
    NoBlender {
        /// Which would.
        wanted: Versions,
        /// Those that it has.
        has: Vec<String>,
    },
    /// The engine does not work there.
    NoEngine {
        /// The engine.
        engine: String,
        /// What happened when it was tried.
        failure: String,
    },
    /// It lacks a device.
    NoDevice {
        /// What would do.
        wanted: Lacking,
        /// What it has.
        has: Vec<DeviceKind>,
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

    /// What is to be rendered, as far as that is known.
    fn look(&self) -> (Option<&str>, Painter) {
        let looks = self.looks.as_deref().unwrap_or_default();
        let is_meant = |look: &&SceneLook| self.options.scene_name.as_ref().is_none_or(|name| look.name == *name);
        let look = looks.iter().find(is_meant);
        let in_file = look.map(|look| look.engine.as_str());
        let device = look.and_then(|look| look.device.as_deref());
        match (self.options.engine.as_deref().or(in_file), device) {
            // What the scene says of Cycles' device is not told while another engine is set in it.
            (Some("CYCLES"), None) | (None, _) => (None, Painter::Unknown),
            (Some(engine), device) => (Some(engine), Painter::of(engine, device)),
        }
    }

    /// What an agent is to render the job with, or why it cannot.
    pub fn fit(&self, agent: &Applicant<'_>) -> Result<Fit, Misfit> {
        let Requirements { blender: _, mixed: _, memory, tags, agents } = &self.requirements;
        named(agents, agent)?;
        tagged(tags, &agent.abilities.tags)?;
        if self.options.scripts == Scripts::Allowed && !agent.abilities.scripts.allows(self.submitter.name()) {
            return Err(Misfit::ScriptsBlocked(self.submitter.clone()));
        }
        let has = |wanted: &&String| agent.abilities.addons.iter().any(|addon| addon.name == **wanted);
        if let Some(missing) = self.options.addons.iter().find(|wanted| !has(wanted)) {
            return Err(Misfit::NoAddon(missing.clone()));
        }
        let fit = self.equipped(agent)?;
        let has_bytes = agent.memory_available_bytes;
        match (memory, self.ran_out_at_bytes) {
            (Some(wanted), _) if wanted.bytes > has_bytes => Err(Misfit::LittleMemory { wanted: *wanted, has_bytes }),
            (_, Some(ran_out_at_bytes)) if ran_out_at_bytes >= has_bytes => {
                Err(Misfit::NoMoreMemory { ran_out_at_bytes, has_bytes })
            }
            _ => Ok(fit),
        }
    }

    /// The closest of the agent's Blenders that can render the job, and with what. If none can: what the closest one lacks.
    fn equipped(&self, agent: &Applicant<'_>) -> Result<Fit, Misfit> {
        let mut misfit = None;
        for facts in closest(&self.versions(), self.saved_by, agent.blenders)? {
            match self.device(facts, agent.devices) {
                Ok(device) => return Ok(Fit { blender: facts.build.clone(), device }),
                Err(other) => misfit = misfit.or(Some(other)),
            }
        }
        Err(misfit.unwrap_or_else(|| Misfit::NoBlender { wanted: self.versions(), has: Vec::new() }))
    }

    /// The kind of device that a Blender is to render the job with, of those that are free.
    fn device(&self, facts: &BlenderFacts, free: Option<&[String]>) -> Result<Option<DeviceKind>, Misfit> {
        let (engine, painter) = self.look();
        let broken = facts.engines.iter().find(|part| engine.is_some_and(|engine| engine.contains(&part.name)));
        if let Some((part, failure)) = broken.and_then(|part| Some((part, part.failure.clone()?))) {
            return Err(Misfit::NoEngine { engine: part.name.clone(), failure });
        }
        let wish = self.options.device;
        if facts.devices.is_empty() && wish.is_none() {
            // Nothing is known of them: who opens the scene will see.
            return Ok(None);
        }
        let is_free = |device: &&DeviceFacts| free.is_none_or(|free| free.contains(&device.id));
        let has: Vec<_> = facts.devices.iter().filter(is_free).map(|device| device.kind).collect();
        let chosen = match self.begun_with {
            Some(begun) => devices::choose_again(begun, wish, painter, &has),
            None => devices::choose(wish, painter, &has),
        };
        chosen.map_err(|wanted| Misfit::NoDevice {
            wanted,
            has: has.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
        })
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

/// The Blenders that will do, the one first that is closest to the one that saved the file, as an artist would choose it: the
/// latest of the same release, else of the next newer one, else of the next older one. If the file does not say, they are as
/// the agent has them. At least one.
fn closest<'a>(
    wanted: &Versions,
    saved_by: Option<Release>,
    has: &'a [BlenderFacts],
) -> Result<Vec<&'a BlenderFacts>, Misfit> {
    let known = has.iter().filter_map(|facts| Some((facts, facts.build.version.parse::<BlenderVersion>().ok()?)));
    let mut will_do: Vec<_> = known.filter(|(_, version)| wanted.include(*version)).collect();
    if let Some(saved_by) = saved_by {
        will_do.sort_by_key(|(_, version)| {
            let release = version.release;
            let newer = (release >= saved_by).then_some(release);
            (newer.is_none(), newer, Reverse(release), Reverse(version.patch))
        });
    }
    if will_do.is_empty() {
        let has = has.iter().map(|facts| facts.build.version.clone()).collect();
        return Err(Misfit::NoBlender { wanted: wanted.clone(), has });
    }
    Ok(will_do.into_iter().map(|(facts, _)| facts).collect())
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
            Self::ScriptsBlocked(by) => match by {
                Submitter::Nobody => f.write_str("lets scripts of jobs without a token run (--allow-scripts)"),
                Submitter::Token(name) => write!(f, "lets scripts of the token {name} run (--allow-scripts)"),
                Submitter::Revoked(name) => {
                    write!(
                        f,
                        "lets scripts of everybody run (--allow-scripts), and the job's token, {name}, is revoked"
                    )
                }
            },
            Self::NoAddon(name) => write!(f, "has the add-on {name} (--addons)"),
            Self::NoBlender { wanted, .. } => write!(f, "has {wanted}"),
            Self::NoEngine { engine, .. } => write!(f, "has a Blender whose {engine} works"),
            Self::NoDevice { wanted, .. } => write!(f, "has {wanted}"),
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
            Self::NoEngine { failure, .. } => Some(failure.clone()),
            Self::NoDevice { has, .. } if has.is_empty() => Some("none".to_owned()),
            Self::NoDevice { has, .. } => Some(has.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
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
