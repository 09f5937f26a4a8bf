//! What the cache holds, in memory: who uses what, in which order it was used last, and what nobody has looked at since an
//! unclean end. What is counted as in use here is never among the victims.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::{BlobRef, Manifest, SceneId};

use super::limits::{BlobUse, SceneUse, Victim, victims};
use super::scenes::{Found, Note};

/// What is known of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It was seen to be what its name says, and nothing has happened since.
    Good,
    /// It has not been looked at since an unclean end.
    Unseen,
}

/// What the cache holds.
pub(super) struct Index(Mutex<Holdings>);

#[derive(Default)]
struct Holdings {
    scenes: BTreeMap<SceneId, SceneUse>,
    manifests: BTreeMap<SceneId, Arc<Manifest>>,
    blobs: BTreeMap<Sha256Digest, BlobUse>,
    unseen: HashSet<Sha256Digest>,
    /// Files that have not arrived yet.
    coming: HashSet<Sha256Digest>,
    /// Scenes whose folders are to be put together anew before they are used.
    unseen_scenes: HashSet<SceneId>,
    uses: u64,
}

/// Files that somebody waits for: they are in use for as long as this value lives.
pub(super) struct WaitedFor<'a> {
    index: &'a Index,
    blobs: BTreeSet<Sha256Digest>,
}

impl Index {
    /// What lies on the disk at the start.
    pub(super) fn of(blobs: &[BlobRef], scenes: Vec<Found>, trust: Trust) -> Self {
        let mut held = Holdings::default();
        for blob in blobs {
            held.blobs.insert(blob.sha256, BlobUse { size_bytes: blob.size_bytes, last_use: 0, users: 0 });
        }
        if trust == Trust::Unseen {
            held.unseen = held.blobs.keys().copied().collect();
            held.unseen_scenes = scenes.iter().map(|scene| scene.id).collect();
        }
        for Found { id, manifest, note: Note { last_use, copied_bytes } } in scenes {
            held.uses = held.uses.max(last_use);
            held.insert(id, Arc::new(manifest), SceneUse { blobs: BTreeSet::new(), copied_bytes, last_use, users: 0 });
        }
        Self(Mutex::new(held))
    }

    /// Takes a scene into use, if its folder is whole and good.
    pub(super) fn take_whole(&self, id: SceneId) -> Option<Arc<Manifest>> {
        let mut held = self.held();
        if held.unseen_scenes.contains(&id) {
            return None;
        }
        let last_use = held.next_use();
        let scene = held.scenes.get_mut(&id)?;
        scene.users += 1;
        scene.last_use = last_use;
        held.used_blobs(id, last_use);
        held.manifests.get(&id).cloned()
    }

    /// A scene is whole, and in use from now on.
    pub(super) fn add_scene(&self, id: SceneId, manifest: &Arc<Manifest>, copied_bytes: u64) {
        let mut held = self.held();
        let last_use = held.next_use();
        let users = held.scenes.get(&id).map_or(0, |scene| scene.users) + 1;
        held.unseen_scenes.remove(&id);
        held.insert(id, Arc::clone(manifest), SceneUse { blobs: BTreeSet::new(), copied_bytes, last_use, users });
    }

    /// Somebody has done with a scene.
    pub(super) fn give_back(&self, id: SceneId) {
        let mut held = self.held();
        let last_use = held.next_use();
        if let Some(scene) = held.scenes.get_mut(&id) {
            scene.users = scene.users.saturating_sub(1);
            scene.last_use = last_use;
        }
        held.used_blobs(id, last_use);
    }

    /// The manifest of a scene whose folder is here, whole or not.
    pub(super) fn manifest(&self, id: SceneId) -> Option<Arc<Manifest>> {
        self.held().manifests.get(&id).cloned()
    }

    /// What is to be known of a scene in the agent's next life.
    pub(super) fn note(&self, id: SceneId) -> Note {
        let held = self.held();
        let note = |scene: &SceneUse| Note { last_use: scene.last_use, copied_bytes: scene.copied_bytes };
        held.scenes.get(&id).map(note).unwrap_or_default()
    }

    /// The scenes that were used last, the latest first.
    pub(super) fn latest(&self, most: usize) -> Vec<SceneId> {
        let held = self.held();
        let mut scenes: Vec<_> = held.scenes.iter().map(|(id, scene)| (scene.last_use, *id)).collect();
        scenes.sort_unstable_by(|one, other| other.cmp(one));
        scenes.into_iter().take(most).map(|(_, id)| id).collect()
    }

    /// Counts files as in use, whether they are here or on their way.
    pub(super) fn wait_for(&self, blobs: &BTreeSet<BlobRef>) -> WaitedFor<'_> {
        let mut held = self.held();
        let last_use = held.next_use();
        for BlobRef { sha256, size_bytes } in blobs.iter().copied() {
            if !held.blobs.contains_key(&sha256) {
                held.coming.insert(sha256);
            }
            let blob = held.blobs.entry(sha256).or_insert(BlobUse { size_bytes, last_use, users: 0 });
            blob.users += 1;
            blob.last_use = last_use;
        }
        WaitedFor { index: self, blobs: blobs.iter().map(|blob| blob.sha256).collect() }
    }

    /// All that is here, and what is waited for.
    pub(super) fn held_bytes(&self) -> u64 {
        let held = self.held();
        held.blobs.values().map(|blob| blob.size_bytes).sum::<u64>()
            + held.scenes.values().map(|scene| scene.copied_bytes).sum::<u64>()
    }

    /// How many scenes are here.
    pub(super) fn scenes(&self) -> usize {
        self.held().scenes.len()
    }

    pub(super) fn trust(&self, sha256: Sha256Digest) -> Trust {
        if self.held().unseen.contains(&sha256) { Trust::Unseen } else { Trust::Good }
    }

    /// A file is here, and what its name says.
    pub(super) fn set_good(&self, sha256: Sha256Digest) {
        let mut held = self.held();
        held.unseen.remove(&sha256);
        held.coming.remove(&sha256);
    }

    /// Whether nothing is left that nobody has looked at.
    pub(super) fn is_all_good(&self) -> bool {
        let held = self.held();
        held.unseen.is_empty() && held.unseen_scenes.is_empty()
    }

    /// Forgets what has to go for the rest to fit into `max_bytes`. Nobody can want it again before `remove` has removed
    /// it. `remove_parts` hears which files are waited for.
    pub(super) fn let_go(
        &self,
        max_bytes: u64,
        remove: impl Fn(Victim),
        remove_parts: impl FnOnce(&dyn Fn(&Sha256Digest) -> bool),
    ) {
        let mut held = self.held();
        let victims = victims(&held.scenes, &held.blobs, max_bytes);
        if victims.is_empty() {
            return;
        }
        for victim in victims {
            match victim {
                Victim::Blob(sha256) => {
                    held.blobs.remove(&sha256);
                    held.unseen.remove(&sha256);
                }
                Victim::Scene(id) => {
                    held.scenes.remove(&id);
                    held.manifests.remove(&id);
                    held.unseen_scenes.remove(&id);
                }
            }
            remove(victim);
        }
        remove_parts(&|sha256| held.blobs.get(sha256).is_some_and(|blob| blob.users > 0));
    }

    fn held(&self) -> MutexGuard<'_, Holdings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holdings {
    const fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn insert(&mut self, id: SceneId, manifest: Arc<Manifest>, mut scene: SceneUse) {
        scene.blobs = manifest.files.iter().map(|file| file.sha256).collect();
        let last_use = scene.last_use;
        self.scenes.insert(id, scene);
        self.manifests.insert(id, manifest);
        self.used_blobs(id, last_use);
    }

    /// A scene's files are used when it is.
    fn used_blobs(&mut self, id: SceneId, last_use: u64) {
        let Some(scene) = self.scenes.get(&id) else { return };
        for sha256 in &scene.blobs {
            if let Some(blob) = self.blobs.get_mut(sha256) {
                blob.last_use = blob.last_use.max(last_use);
            }
        }
    }
}

impl Drop for WaitedFor<'_> {
    fn drop(&mut self) {
        let mut held = self.index.held();
        for sha256 in &self.blobs {
            let Some(blob) = held.blobs.get_mut(sha256) else { continue };
            blob.users = blob.users.saturating_sub(1);
            if blob.users == 0 && held.coming.remove(sha256) {
                held.blobs.remove(sha256);
            }
        }
    }
}
