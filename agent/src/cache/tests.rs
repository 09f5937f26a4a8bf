//! The cache against a scripted orchestrator: what it asks for, how often, and what is left when something goes wrong.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::SceneFile;
use haywain_shared::transport::{Body, Call, Reply, Transport};
use tempfile::TempDir;

use super::*;

/// How an orchestrator answers to a request for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parts {
    Given,
    /// It sends the whole, as one of an older version does.
    Ignored,
}

/// An orchestrator that has these files, and breaks off as often as it is told.
struct House {
    manifests: HashMap<SceneId, Manifest>,
    blobs: HashMap<Sha256Digest, Vec<u8>>,
    parts: Parts,
    /// After how many bytes each of the next answers breaks off.
    cuts: Mutex<Vec<usize>>,
    /// What each of the next answers has in place of its first byte.
    spoilt: AtomicUsize,
    /// Paths and first bytes, as they were asked for.
    asked: Mutex<Vec<(String, u64)>>,
}

impl House {
    /// With scenes by name, of files by name: a file's content is its name, a hundred times.
    fn with(scenes: &[(&str, &[&str])]) -> (Self, Vec<SceneId>) {
        let mut house = Self {
            manifests: HashMap::new(),
            blobs: HashMap::new(),
            parts: Parts::Given,
            cuts: Mutex::default(),
            spoilt: AtomicUsize::new(0),
            asked: Mutex::default(),
        };
        let mut ids = Vec::new();
        for (name, files) in scenes {
            let content = |file: &str| file.repeat(100).into_bytes();
            let entry = format!("{name}.blend").parse().unwrap();
            let mut all = vec![SceneFile {
                path: format!("{name}.blend").parse().unwrap(),
                size_bytes: content(name).len() as u64,
                sha256: Sha256Digest::of(&content(name)),
            }];
            house.blobs.insert(all[0].sha256, content(name));
            for file in *files {
                let sha256 = Sha256Digest::of(&content(file));
                house.blobs.insert(sha256, content(file));
                let path = format!("tex/{file}.png").parse().unwrap();
                all.push(SceneFile { path, size_bytes: content(file).len() as u64, sha256 });
            }
            let manifest = Manifest { entry, files: all, places: Vec::new(), color_config: None, missing: Vec::new() };
            ids.push(manifest.id());
            house.manifests.insert(manifest.id(), manifest);
        }
        (house, ids)
    }

    fn asked_for_blobs(&self) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(path, _)| path.contains("/blobs/")).map(|(_, first_byte)| *first_byte).collect()
    }
}

#[async_trait]
impl Transport for House {
    async fn carry(&self, call: Call) -> Result<Reply, String> {
        let first_byte = if let Body::GetFrom(first_byte) = call.body { first_byte } else { 0 };
        self.asked.lock().unwrap().push((call.path.clone(), first_byte));
        let name = call.path.rsplit('/').next().unwrap();
        let reply = |status, first_byte, pieces: Vec<Result<Bytes, String>>| Reply {
            status,
            retry_after: None,
            first_byte,
            body: stream::iter(pieces).boxed(),
        };
        if call.path.contains("/scenes/") {
            let manifest = &self.manifests[&name.parse().unwrap()];
            return Ok(reply(200, None, vec![Ok(serde_json::to_vec(manifest).unwrap().into())]));
        }
        let whole = &self.blobs[&name.parse().unwrap()];
        let begin = if self.parts == Parts::Given { usize::try_from(first_byte).unwrap() } else { 0 };
        let mut content = whole[begin..].to_vec();
        if self.spoilt.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            content[0] ^= 1;
        }
        let cut = self.cuts.lock().unwrap().pop();
        let mut pieces = vec![Ok(Bytes::from(content[..cut.unwrap_or(content.len())].to_vec()))];
        pieces.extend(cut.map(|_| Err("the connection broke".to_owned())));
        let is_part = begin > 0;
        Ok(reply(if is_part { 206 } else { 200 }, is_part.then_some(first_byte), pieces))
    }
}

fn open(folder: &TempDir, house: &Arc<House>, max_bytes: u64) -> SceneCache {
    let client = AgentClient::new(Arc::clone(house) as Arc<dyn Transport>);
    SceneCache::open(folder.path(), client, max_bytes).unwrap()
}

async fn fetch(cache: &SceneCache, id: SceneId) -> SceneInUse {
    cache.scene(id, &CancellationToken::new()).await.unwrap()
}

/// The files of a scene's folder, with their content.
fn files_of(scene: &SceneInUse) -> Vec<(PathBuf, String)> {
    let root = &scene.folder().root;
    let mut waiting = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

#[tokio::test(start_paused = true)]
async fn a_scene_is_a_folder_of_read_only_links_to_files_that_are_fetched_once() {
    let (house, ids) = House::with(&[("one", &["wood", "bark"]), ("two", &["wood"])]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let cache = open(&folder, &house, u64::MAX);
    let stop = CancellationToken::new();
    let (first, again, other) =
        tokio::join!(cache.scene(ids[0], &stop), cache.scene(ids[0], &stop), cache.scene(ids[1], &stop));
    let (first, again, other) = (first.unwrap(), again.unwrap(), other.unwrap());
    assert_eq!(first.folder(), again.folder());
    assert_eq!(
        files_of(&first),
        [
            ("one.blend".into(), "one".repeat(100)),
            ("tex/bark.png".into(), "bark".repeat(100)),
            ("tex/wood.png".into(), "wood".repeat(100)),
        ]
    );
    assert_eq!(house.asked_for_blobs().len(), 4, "{:?}", house.asked);
    let entry = first.folder().entry.metadata().unwrap();
    assert!(entry.permissions().readonly());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let wood = |scene: &SceneInUse| scene.folder().root.join("tex/wood.png").metadata().unwrap().ino();
        assert_eq!(wood(&first), wood(&other), "one file, linked twice");
    }
    assert_eq!(cache.cached().len(), 2);
    drop(first);
    assert_eq!(cache.cached()[0], ids[0], "the latest used first");
}

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_where_it_was_cut_off_also_in_the_next_life() {
    let (mut house, ids) = House::with(&[("one", &[])]);
    house.cuts = Mutex::new(vec![50, 100]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let scene = fetch(&open(&folder, &house, u64::MAX), ids[0]).await;
    assert_eq!(house.asked_for_blobs(), [0, 100, 150]);
    assert_eq!(files_of(&scene)[0].1, "one".repeat(100));

    let (mut house, ids) = House::with(&[("one", &[])]);
    house.cuts = Mutex::new(vec![100]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let stop = CancellationToken::new();
    {
        let cache = open(&folder, &house, u64::MAX);
        let fetching = cache.scene(ids[0], &stop);
        tokio::pin!(fetching);
        while house.cuts.lock().unwrap().len() == 1 {
            let _ = futures_util::poll!(&mut fetching);
            tokio::task::yield_now().await;
        }
        stop.cancel();
        assert!(matches!(fetching.await, Err(CacheError::Stopped)));
    }
    let scene = fetch(&open(&folder, &house, u64::MAX), ids[0]).await;
    assert_eq!(house.asked_for_blobs(), [0, 100]);
    assert_eq!(files_of(&scene)[0].1, "one".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn an_orchestrator_that_knows_no_parts_is_understood() {
    let (mut house, ids) = House::with(&[("one", &[])]);
    house.parts = Parts::Ignored;
    house.cuts = Mutex::new(vec![100]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let scene = fetch(&open(&folder, &house, u64::MAX), ids[0]).await;
    assert_eq!(house.asked_for_blobs(), [0, 100]);
    assert_eq!(files_of(&scene)[0].1, "one".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_otherwise_than_it_left_is_fetched_anew() {
    let (mut house, ids) = House::with(&[("one", &[])]);
    house.spoilt = AtomicUsize::new(2);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let scene = fetch(&open(&folder, &house, u64::MAX), ids[0]).await;
    assert_eq!(house.asked_for_blobs(), [0, 0, 0]);
    assert_eq!(files_of(&scene)[0].1, "one".repeat(100));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_stays_and_what_is_unused_for_longest_goes() {
    // A file of each scene has 300 bytes, or 400.
    let (house, ids) = House::with(&[("one", &["wood"]), ("two", &["bark"]), ("six", &["wood"])]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let cache = open(&folder, &house, 1000);
    let one = fetch(&cache, ids[0]).await;
    drop(fetch(&cache, ids[1]).await);
    assert_eq!(cache.cached().len(), 2, "one is in use, two is needed: there is more than may be");
    let six = fetch(&cache, ids[2]).await;
    assert_eq!(cache.cached(), [ids[2], ids[0]]);
    assert_eq!(files_of(&one).len(), 2);
    assert_eq!(files_of(&six).len(), 2);
    assert_eq!(house.asked_for_blobs().len(), 5, "wood was kept");
    drop((one, six));
    // The order of uses outlives the agent.
    cache.close();
    let cache = open(&folder, &house, 1000);
    assert_eq!(cache.cached()[..1], [ids[2]]);
    drop(fetch(&cache, ids[1]).await);
    assert!(!cache.cached().contains(&ids[0]), "it was used last before the others");
}

#[tokio::test(start_paused = true)]
async fn where_there_are_no_links_files_are_copied_and_the_copies_count() {
    // Of 300 and 400 bytes, and as much again for the copies.
    let (house, ids) = House::with(&[("one", &["wood"]), ("two", &["bark"])]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let open = |max_bytes| {
        let client = AgentClient::new(Arc::clone(&house) as Arc<dyn Transport>);
        let no_links = |_: &Path, _: &Path| Err(io::ErrorKind::CrossesDevices.into());
        SceneCache::open_with(folder.path(), client, max_bytes, no_links).unwrap()
    };
    let cache = open(1400);
    let one = fetch(&cache, ids[0]).await;
    let expected = [("one.blend", "one".repeat(100)), ("tex/wood.png", "wood".repeat(100))];
    assert_eq!(files_of(&one), expected.map(|(path, text)| (PathBuf::from(path), text)));
    let copy = one.folder().root.join("tex/wood.png");
    let wood = Sha256Digest::of("wood".repeat(100).as_bytes());
    assert!(std::fs::metadata(&copy).unwrap().permissions().readonly(), "sessions must not change it");
    assert_eq!(cache.0.index.held_bytes(), 1400);
    // The copies of one make room for the files of two, and the files of one for the copies of two.
    drop(one);
    drop(fetch(&cache, ids[1]).await);
    assert_eq!(cache.cached(), [ids[1]]);
    assert!(!copy.exists());
    assert_eq!(cache.0.index.held_bytes(), 1400);
    assert!(!cache.0.blobs.path(wood).exists());

    // The next life knows what is copied.
    cache.close();
    let cache = open(1400);
    assert_eq!((cache.cached(), cache.0.index.held_bytes()), (vec![ids[1]], 1400));
    cache.close();
    let cache = open(1399);
    assert_eq!((cache.cached(), cache.0.index.held_bytes()), (vec![], 700));
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_end_every_file_is_looked_at_before_it_is_used() {
    let (house, ids) = House::with(&[("one", &["wood"]), ("two", &["bark"])]);
    let (folder, house) = (tempfile::tempdir().unwrap(), Arc::new(house));
    let cache = open(&folder, &house, u64::MAX);
    let wood = fetch(&cache, ids[0]).await.folder().root.join("tex/wood.png");
    drop(fetch(&cache, ids[1]).await);
    assert_eq!(house.asked_for_blobs().len(), 4);
    // A power cut has left another content of the same size.
    let spoil = || {
        let mut permissions = std::fs::metadata(&wood).unwrap().permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "a power cut asks nobody")]
        permissions.set_readonly(false);
        std::fs::set_permissions(&wood, permissions).unwrap();
        std::fs::write(&wood, "x".repeat(400)).unwrap();
    };
    spoil();
    let cache = open(&folder, &house, u64::MAX);
    let scene = fetch(&cache, ids[0]).await;
    assert_eq!(files_of(&scene)[1].1, "wood".repeat(100));
    assert_eq!(house.asked_for_blobs().len(), 5, "only what was damaged");
    drop(scene);
    // Not all has been looked at yet, so that the next life looks again, though this one ends in order.
    cache.close();
    spoil();
    let cache = open(&folder, &house, u64::MAX);
    assert_eq!(files_of(&fetch(&cache, ids[0]).await)[1].1, "wood".repeat(100));
    drop(fetch(&cache, ids[1]).await);
    cache.close();
    // Now it has.
    assert!(!folder.path().join("cache/unclean").exists());
    let asked = house.asked.lock().unwrap().len();
    drop(fetch(&open(&folder, &house, u64::MAX), ids[0]).await);
    assert_eq!(house.asked.lock().unwrap().len(), asked, "nothing is asked for when all is here");
}
