//! What tells this machine from one that has a copy of its disk. A mark that is not there says nothing; two that differ say that
//! it is another machine. What changes on one and the same machine (host names, addresses, network cards, containers) is no mark:
//! an agent that takes its own folder for a copy is shut out until somebody lets it in again.

use haywain_shared::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

/// Written at the installation, or at the first boot of an image that was made well. Containers have none of their own.
const MACHINE_ID: &str = "/etc/machine-id";
/// What a cloud calls the machine: cloud-init keeps it, and finds another one in each machine that is started from an image.
const INSTANCE_ID: &str = "/var/lib/cloud/data/instance-id";
/// What an image has that is to get its id at the first boot.
const NO_ID_YET: &str = "uninitialized";

/// The marks of a machine, as digests: some are not for others to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Marks {
    /// Of its installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<Sha256Digest>,
    /// Of the cloud's.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<Sha256Digest>,
}

impl Marks {
    /// Those of this machine. (None are known on macOS and Windows.)
    #[must_use]
    pub fn of_this_machine() -> Self {
        let read = |path| std::fs::read_to_string(path).ok();
        Self { machine: read(MACHINE_ID).and_then(mark), instance: read(INSTANCE_ID).and_then(mark) }
    }

    /// Whether these can't be of the same machine as `others`.
    #[must_use]
    pub fn speak_against(&self, others: &Self) -> bool {
        let differ = |one: Option<Sha256Digest>, other: Option<Sha256Digest>| {
            one.zip(other).is_some_and(|(one, other)| one != other)
        };
        differ(self.machine, others.machine) || differ(self.instance, others.instance)
    }

    /// These, and where one is not known the other's.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self { machine: self.machine.or(others.machine), instance: self.instance.or(others.instance) }
    }
}

/// What is kept of an id. It is mixed with this program's name, so that nobody can tell by it what the id is good for elsewhere.
#[expect(clippy::needless_pass_by_value, reason = "it is what and_then gives")]
fn mark(id: String) -> Option<Sha256Digest> {
    let id = id.trim();
    (!id.is_empty() && id != NO_ID_YET).then(|| Sha256Digest::of(format!("haywain-agent {id}").as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A machine with these ids; an empty one is not there.
    pub(crate) fn marks(machine: &str, instance: &str) -> Marks {
        Marks { machine: mark(machine.to_owned()), instance: mark(instance.to_owned()) }
    }

    #[test]
    fn machines_differ_where_both_have_a_mark_and_it_is_not_the_same() {
        let cases = [
            ("one and the same", ("a", "i-1"), ("a", "i-1"), false),
            ("an image that draws its id at the first boot", ("a", ""), ("b", ""), true),
            ("a copy of a disk in a cloud", ("a", "i-1"), ("a", "i-2"), true),
            ("both", ("a", "i-1"), ("b", "i-2"), true),
            ("a folder that has come into a container, or out of one", ("a", "i-1"), ("", ""), false),
            ("containers", ("", ""), ("", ""), false),
            ("an image before its first boot", ("uninitialized\n", ""), ("a", ""), false),
            ("a machine that has got cloud-init", ("a", ""), ("a", "i-1"), false),
            ("nothing but white space", (" \n", ""), ("a", ""), false),
        ];
        for (case, (machine, instance), (other_machine, other_instance), differ) in cases {
            let (one, other) = (marks(machine, instance), marks(other_machine, other_instance));
            assert_eq!(one.speak_against(&other), differ, "{case}");
            assert_eq!(other.speak_against(&one), differ, "{case}, the other way round");
        }
    }

    #[test]
    fn what_is_known_is_not_forgotten() {
        assert_eq!(marks("", "i-1").or(&marks("a", "i-0")), marks("a", "i-1"));
        let text = serde_json::to_string(&marks("secret", "")).unwrap();
        assert!(!text.contains("secret") && !text.contains("instance"), "{text}");
    }
}
