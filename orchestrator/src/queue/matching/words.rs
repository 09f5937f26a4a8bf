//! What does not fit, in words: for whoever looks at a job that waits, or at an agent that idles.

use std::collections::BTreeSet;
use std::fmt;

use haywain_shared::devices;
use haywain_shared::requirements::Tag;

use super::{Applicant, Misfit, Needs, Versions};
use crate::queue::submitter::Submitter;

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
            Self::NoDenoiser { denoiser, .. } => {
                let name = devices::denoiser_name(denoiser);
                write!(f, "has a Blender in which {name} works, by which the scene is denoised")
            }
            Self::Refused(_) => f.write_str("has been able to render it"),
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
            Self::NoEngine { failure, .. } | Self::NoDenoiser { failure, .. } => Some(failure.clone()),
            Self::Refused(why) => Some(why.clone()),
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
