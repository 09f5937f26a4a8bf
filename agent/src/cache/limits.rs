//! What goes when the cache is full: a rule of values. Scenes and files without a scene go in the order of their last use,
//! never what is in use, and never a file that a scene which stays is made of.

use std::collections::{BTreeMap, BTreeSet};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::SceneId;

/// A scene in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneUse {
    /// The files that it is made of.
    pub blobs: BTreeSet<Sha256Digest>,
    /// Bytes that it has for itself: copies, where the file system knows no links.
    pub copied_bytes: u64,
    /// When it was used last, in the order of uses.
    pub last_use: u64,
    /// By how many it is in use.
    pub users: u32,
}

/// A file in the cache, or on its way into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobUse {
    /// Its size, once it is whole.
    pub size_bytes: u64,
    /// When it was used last, in the order of uses.
    pub last_use: u64,
    /// By how many it is waited for.
    pub users: u32,
}

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// A file that no scene is made of.
    Blob(Sha256Digest),
    /// A scene; its files follow where they are needed for nothing else and room is still wanted.
    Scene(SceneId),
}

/// What has to go, in this order, until everything fits into `limit_bytes`, or nothing more can go.
#[must_use]
pub fn victims(
    scenes: &BTreeMap<SceneId, SceneUse>,
    blobs: &BTreeMap<Sha256Digest, BlobUse>,
    limit_bytes: u64,
) -> Vec<Victim> {
    let mut needed_by: BTreeMap<Sha256Digest, usize> = BTreeMap::new();
    for digest in scenes.values().flat_map(|scene| &scene.blobs) {
        *needed_by.entry(*digest).or_default() += 1;
    }
    let mut total_bytes = blobs.values().map(|blob| blob.size_bytes).sum::<u64>()
        + scenes.values().map(|scene| scene.copied_bytes).sum::<u64>();
    let idle_scenes = scenes.iter().filter(|(_, scene)| scene.users == 0);
    let mut candidates: BTreeSet<(u64, Victim)> =
        idle_scenes.map(|(id, scene)| (scene.last_use, Victim::Scene(*id))).collect();
    let idle_blobs = blobs.iter().filter(|(digest, blob)| blob.users == 0 && !needed_by.contains_key(digest));
    candidates.extend(idle_blobs.map(|(digest, blob)| (blob.last_use, Victim::Blob(*digest))));
    let mut victims = Vec::new();
    while total_bytes > limit_bytes {
        let Some((_, victim)) = candidates.pop_first() else { break };
        victims.push(victim);
        match victim {
            Victim::Blob(digest) => total_bytes -= blobs[&digest].size_bytes,
            Victim::Scene(id) => {
                total_bytes -= scenes[&id].copied_bytes;
                for digest in &scenes[&id].blobs {
                    let needed = needed_by.entry(*digest).or_insert(1);
                    *needed -= 1;
                    let idle = blobs.get(digest).filter(|blob| *needed == 0 && blob.users == 0);
                    candidates.extend(idle.map(|blob| (blob.last_use, Victim::Blob(*digest))));
                }
            }
        }
    }
    victims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Sha256Digest {
        Sha256Digest::of(name.as_bytes())
    }

    /// Scenes as (name, files, last use, users); files are ten bytes each. What goes, by name.
    fn gone(scenes: &[(&str, &[&str], u64, u32)], loose: &[(&str, u64, u32)], limit_bytes: u64) -> Vec<String> {
        let mut names = BTreeMap::new();
        let mut blobs = BTreeMap::new();
        let mut kept = BTreeMap::new();
        for (name, files, last_use, users) in scenes {
            for file in *files {
                names.insert(Victim::Blob(digest(file)), (*file).to_owned());
                let blob = blobs.entry(digest(file)).or_insert(BlobUse { size_bytes: 10, last_use: 0, users: 0 });
                blob.last_use = blob.last_use.max(*last_use);
            }
            let id = SceneId::from(digest(name));
            names.insert(Victim::Scene(id), (*name).to_owned());
            let blobs = files.iter().map(|file| digest(file)).collect();
            kept.insert(id, SceneUse { blobs, copied_bytes: 0, last_use: *last_use, users: *users });
        }
        for (name, last_use, users) in loose {
            names.insert(Victim::Blob(digest(name)), (*name).to_owned());
            blobs.insert(digest(name), BlobUse { size_bytes: 10, last_use: *last_use, users: *users });
        }
        victims(&kept, &blobs, limit_bytes).iter().map(|victim| names[victim].clone()).collect()
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_in_use_never() {
        let two: [(&str, &[&str], u64, u32); 2] = [("old", &["a", "shared"], 1, 0), ("new", &["b", "shared"], 2, 0)];
        #[rustfmt::skip]
        let cases: [(Vec<String>, &[&str]); 8] = [
            // It fits.
            (gone(&two, &[], 30), &[]),
            // Only what no other scene needs goes with a scene.
            (gone(&two, &[], 20), &["old", "a"]),
            (gone(&two, &[], 15), &["old", "a", "new", "b"]),
            (gone(&two, &[], 0), &["old", "a", "new", "b", "shared"]),
            // What is in use stays, however little room there is.
            (gone(&[("old", &["a", "shared"], 1, 1), ("new", &["b", "shared"], 2, 0)], &[], 0), &["new", "b"]),
            // A file on its way counts, and stays.
            (gone(&two, &[("coming", 9, 1)], 30), &["old", "a"]),
            // Files without a scene take their turn.
            (gone(&two, &[("loose", 0, 0)], 30), &["loose"]),
            (gone(&two, &[("loose", 3, 0)], 20), &["old", "a", "new", "b"]),
        ];
        for (number, (gone, expected)) in cases.into_iter().enumerate() {
            let mut gone_in_order = gone.clone();
            // Files of one scene go in the order of their digests.
            let mut expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
            if number == 2 || number == 3 || number == 7 {
                gone_in_order.sort();
                expected.sort();
                gone_in_order.truncate(expected.len());
            }
            assert_eq!(gone_in_order, expected, "case {number}: {gone:?}");
        }
    }

    #[test]
    fn copies_count_for_their_scene() {
        let id = SceneId::from(digest("copied"));
        let scene = SceneUse { blobs: [digest("a")].into(), copied_bytes: 10, last_use: 1, users: 0 };
        let blobs = BTreeMap::from([(digest("a"), BlobUse { size_bytes: 10, last_use: 1, users: 0 })]);
        let scenes = BTreeMap::from([(id, scene)]);
        assert_eq!(victims(&scenes, &blobs, 20), []);
        assert_eq!(victims(&scenes, &blobs, 19), [Victim::Scene(id)]);
        assert_eq!(victims(&scenes, &blobs, 9), [Victim::Scene(id), Victim::Blob(digest("a"))]);
    }
}
