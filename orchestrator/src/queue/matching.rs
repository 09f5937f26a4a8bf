//! Which agents can render a job at all, and by which of their Blenders: what the job asks for against what the agent said of
//! itself.

mod words;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use haywain_shared::blender_version::{BlenderVersion, Release, VersionRequirement};
use haywain_shared::devices::{self, DeviceFacts, DeviceKind, Lacking, Painter, PartFacts};
use haywain_shared::ids::AgentId;
use haywain_shared::inspection::SceneLook;
use haywain_shared::job::AgentReport;
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{Abilities, BlenderBuild, BlenderFacts};
use haywain_shared::requirements::{AgentRule, Requirements, Tag, TagRule};
use haywain_shared::size::Size;

pub use self::words::{why_it_idles, why_it_waits};
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
    /// The agents that have lately found that they cannot render it, though nothing that is known said so, each with why.
    pub refused_by: BTreeMap<AgentId, String>,
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
    /// A denoiser that the scene uses does not work there.
    NoDenoiser {
        /// The denoiser.
        denoiser: String,
        /// What happened when it was tried.
        failure: String,
    },
    /// It has found that it cannot render the job, for this.
    Refused(String),
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

    /// What is known of the scene that is to be rendered.
    fn look(&self) -> Option<&SceneLook> {
        let looks = self.looks.as_deref().unwrap_or_default();
        looks.iter().find(|look| self.options.scene_name.as_ref().is_none_or(|name| look.name == *name))
    }

    /// The engine, as far as it is known.
    fn engine(&self) -> Option<&str> {
        self.options.engine.as_deref().or_else(|| Some(self.look()?.engine.as_str()))
    }

    /// What is to be rendered, as far as that is known.
    fn painter(&self) -> Painter {
        let of_cycles = |look: &SceneLook| Some(look.cycles.as_ref()?.device.clone());
        let device = self.look().and_then(|look| look.device.clone().or_else(|| of_cycles(look)));
        match (self.engine(), device) {
            (Some("CYCLES"), None) | (None, _) => Painter::Unknown,
            (Some(engine), device) => Painter::of(engine, device.as_deref()),
        }
    }

    /// The denoisers that it cannot be rendered without, as far as they are known.
    fn denoisers(&self) -> impl Iterator<Item = &str> {
        // Of one layer alone it is not told whether it is denoised.
        let is_told = self.engine() == Some("CYCLES") && self.options.view_layer.is_none();
        let look = self.look();
        let of_cycles = look.filter(|_| is_told).and_then(|look| look.cycles.as_ref()?.denoiser.as_deref());
        of_cycles.into_iter().chain(look.and_then(|look| look.compositor_denoiser.as_deref()))
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
        if let Some(why) = self.refused_by.get(&agent.id) {
            return Err(Misfit::Refused(why.clone()));
        }
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
            let device = self.parts(facts).and_then(|()| self.device(facts, agent.devices));
            match device {
                Ok(device) => return Ok(Fit { blender: facts.build.clone(), device }),
                Err(other) => misfit = misfit.or(Some(other)),
            }
        }
        Err(misfit.unwrap_or_else(|| Misfit::NoBlender { wanted: self.versions(), has: Vec::new() }))
    }

    /// Whether the engine and the denoisers of the job work in a Blender. One that it says nothing of may.
    fn parts(&self, facts: &BlenderFacts) -> Result<(), Misfit> {
        let broken = |parts: &[PartFacts], is_used: &dyn Fn(&str) -> bool| {
            let is_broken = |part: &&PartFacts| part.failure.is_some() && is_used(&part.name);
            let part = parts.iter().find(is_broken)?;
            Some((part.name.clone(), part.failure.clone()?))
        };
        let engine = self.engine().unwrap_or_default();
        if let Some((engine, failure)) = broken(&facts.engines, &|name| engine.contains(name)) {
            return Err(Misfit::NoEngine { engine, failure });
        }
        let denoiser = broken(&facts.denoisers, &|name| self.denoisers().any(|used| used == name));
        denoiser.map_or(Ok(()), |(denoiser, failure)| Err(Misfit::NoDenoiser { denoiser, failure }))
    }

    /// The kind of device that a Blender is to render the job with, of those that are free.
    fn device(&self, facts: &BlenderFacts, free: Option<&[String]>) -> Result<Option<DeviceKind>, Misfit> {
        let painter = self.painter();
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

#[cfg(test)]
mod tests;
