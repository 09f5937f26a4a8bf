//! Scenes on their way to an agent, and on its disk: of several files, after a power cut, and when there are too many.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use haywain_shared::digest::Sha256Digest;
use haywain_shared::job::{JobReport, JobState};
use haywain_shared::scene::{Manifest, SceneFile};
use serde_json::json;

use crate::blenders::{self, Kind, cold_frame};
use crate::farm::{Farm, pictures};
use crate::places::Project;

/// The manifest of a project that has moved.
fn manifest(project: &Project) -> Manifest {
    let scene = project.moved();
    let files = files_below(&scene.root).into_iter().map(|path| {
        let content = fs::read(&path).unwrap();
        let path = path.strip_prefix(&scene.root).unwrap().to_str().unwrap().parse().unwrap();
        SceneFile { path, size_bytes: content.len() as u64, sha256: Sha256Digest::of(&content) }
    });
    let files = files.collect();
    Manifest {
        entry: "shot.blend".parse().unwrap(),
        files,
        places: scene.places,
        color_config: None,
        missing: Vec::new(),
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn assert_as_where_it_was_made(project: &Project, job: &JobReport, frames: &[i32]) {
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    let pictures = pictures(job);
    assert_eq!(pictures.len(), frames.len());
    for (picture, frame) in pictures.iter().zip(frames) {
        let cold = cold_frame(Kind::Program, &project.real_entry(), *frame);
        assert!(image::open(picture).unwrap() == cold, "frame {frame} differs");
    }
}

#[test]
fn a_scene_of_several_files_is_fetched_once_and_mended_after_a_power_cut() {
    let project = Project::named("libraries");
    let farm = Farm::start(&blenders::scene("basic"));
    let manifest = manifest(&project);
    let scene = farm.give_scene(&manifest, &project.moved().root);
    let mut agent = farm.agent("one", &blenders::path(Kind::Program), 2);
    let path = farm.render(&json!({"scene": scene, "from": 7, "to": 10, "batchSize": 1}));
    assert_as_where_it_was_made(&project, &farm.wait_for_end(&path), &[7, 8, 9, 10]);
    assert_eq!(agent.logged("scene fetched").len(), 1, "two slots, one scene");

    agent.kill();
    let wood = manifest.files.iter().find(|file| file.path.file_name() == "wood.png").unwrap();
    let name = wood.sha256.to_string();
    let kept = farm.folder().join("one/cache/blobs").join(&name[..2]).join(&name);
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&kept, vec![0; usize::try_from(wood.size_bytes).unwrap()]).unwrap();

    let agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let path = farm.render(&json!({"scene": scene, "from": 7, "to": 7}));
    assert_as_where_it_was_made(&project, &farm.wait_for_end(&path), &[7]);
    assert_eq!(agent.logged("a file of the cache is damaged: fetching it anew").len(), 1);
}

#[test]
fn a_cache_that_is_too_small_lets_go_what_it_can_and_never_what_is_open() {
    let farm = Farm::start(&blenders::scene("basic"));
    let flags = ["--slots", "1", "--cache-size", "1KiB"];
    let mut agent = farm.agent_with("small", &blenders::path(Kind::Program), &flags);
    for name in ["basic", "exr", "movie", "basic"] {
        let scene = farm.give_blend(&blenders::scene(name));
        let path = farm.render(&json!({"scene": scene, "from": 1, "to": 2}));
        assert_eq!(farm.wait_for_end(&path).state, JobState::Completed, "{name}");
    }
    assert_eq!(agent.logged("scene let go: the cache is full").len(), 2);
    // Nobody has to find out by the size of the disk.
    let warnings =
        agent.logged("the scenes in use are larger than --cache-size: the cache exceeds it until they are done with");
    let said = |member: &str| warnings.iter().map(|line| line[member].clone()).collect::<Vec<_>>();
    assert_eq!(said("entry"), ["basic.blend", "exr.blend", "movie.blend", "basic.blend"]);
    assert_eq!(said("cache_size_bytes"), [1024; 4]);
    assert!(said("scene_bytes").iter().all(|bytes| bytes.as_u64().unwrap() > 1024), "{warnings:?}");
    assert_eq!(fs::read_dir(farm.folder().join("small/cache/scenes")).unwrap().count(), 2);
    // An end in order leaves no doubt about what is kept.
    assert_eq!(agent.terminate(), Some(0));
    assert!(!farm.folder().join("small/cache/unclean").exists());
}
