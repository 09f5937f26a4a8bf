//! Scenes of several files, which lie elsewhere than where they were made: a session finds them all by the places that the
//! manifest tells, and renders what Blender renders where they were made. Or it says what is missing, by the artist's names.

use std::path::{Path, PathBuf};

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::{Failure, Opened, Rendered, Session};
use haywain_shared::cause::Cause;
use haywain_shared::options::{Allowance, RenderOptions};
use tempfile::TempDir;

use crate::blenders::{BOTH, Kind, cold_frame, made_by};
use crate::session::{TERMS, empty_folder, frame, opening, start};

/// A project of `scenes/projects.py`.
pub(crate) struct Project {
    folder: PathBuf,
}

impl Project {
    pub(crate) fn named(name: &str) -> Self {
        Self { folder: made_by("projects").join(name) }
    }

    pub(crate) fn real_entry(&self) -> PathBuf {
        self.folder.join("real/shot.blend")
    }

    /// As it arrives on a farm.
    pub(crate) fn moved(&self) -> SceneFolder {
        let root = self.folder.join("moved");
        let places = serde_json::from_slice(&std::fs::read(self.folder.join("places.json")).unwrap()).unwrap();
        SceneFolder { entry: root.join("shot.blend"), root, places, color_config: None }
    }
}

async fn open_and_render(
    session: &mut Session,
    scene: &SceneFolder,
    options: &RenderOptions,
    into: &Path,
    number: i64,
) -> Result<(Opened, Rendered), Failure> {
    let opened = session.open(scene, opening(options)).await?;
    Ok((opened, session.render(frame(number), into, TERMS, |_| {}).await?))
}

/// Renders two frames of a project that has moved, under both Blenders, and as warm as can be.
async fn renders_as_where_it_was_made(name: &str) {
    let project = Project::named(name);
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        for number in [7, 12] {
            let into = empty_folder(&folder, &number.to_string());
            let done =
                open_and_render(&mut session, &project.moved(), &RenderOptions::default(), &into, number.into()).await;
            let (opened, rendered) = done.unwrap();
            assert_eq!(opened.notes, [""; 0], "{kind:?}");
            let farmed = image::open(into.join(&rendered.files[0].name)).unwrap();
            let cold = cold_frame(kind, &project.real_entry(), number);
            assert!(farmed == cold, "frame {number} of {name} differs under {kind:?}");
        }
        session.end().await;
    }
}

#[tokio::test]
async fn pictures_sequences_and_tiles_are_found_wherever_they_lie_now() {
    renders_as_where_it_was_made("textures").await;
}

#[tokio::test]
async fn libraries_are_found_also_those_that_only_a_library_names() {
    renders_as_where_it_was_made("libraries").await;
}

#[tokio::test]
async fn caches_are_found_in_files_and_folders() {
    renders_as_where_it_was_made("caches").await;
}

#[tokio::test]
async fn strips_are_found() {
    renders_as_where_it_was_made("strips").await;
}

#[tokio::test]
async fn what_is_missing_is_named_as_the_artist_knows_it_or_done_without_where_that_is_allowed() {
    // Of a strip, Blender 3.4 paints what is missing in the size that the file had; for elements that a script has appended, as
    // ours has all but the first, that is a number that nobody has set, and it crashes on most of them.
    let cases: [(&str, i32, &[&str]); 4] = [
        ("textures", 7, &["windows.png", "absolute.png", "u.1001.png", "u.1002.png"]),
        ("libraries", 7, &["D:/Library/props.blend"]),
        ("caches", 7, &["D:/caches/moving.pc2", "/nowhere/sim"]),
        ("strips", 1, &["shots/p_0001.png"]),
    ];
    let lenient = RenderOptions { allow: [Allowance::MissingFiles].into(), ..RenderOptions::default() };
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        for (name, number, missing) in cases {
            let scene = SceneFolder { places: Vec::new(), ..Project::named(name).moved() };
            let failure = session.open(&scene, opening(&RenderOptions::default())).await.unwrap_err();
            assert_eq!(failure.cause, Cause::MissingFile, "{failure}");
            assert!(failure.message.contains("haywain submit"), "{failure}");
            let into = empty_folder(&folder, name);
            let done = open_and_render(&mut session, &scene, &lenient, &into, number.into()).await;
            let (opened, rendered) = done.unwrap();
            for name in missing {
                assert!(failure.message.contains(name), "{kind:?}: {failure}");
                assert!(opened.notes.iter().any(|note| note.contains(name)), "{kind:?}: {opened:?}");
            }
            // It is another picture, or the tests above would prove nothing.
            let without = image::open(into.join(&rendered.files[0].name)).unwrap();
            assert!(without != cold_frame(kind, &Project::named(name).real_entry(), number), "{name} under {kind:?}");
        }
        session.end().await;
    }
}

#[tokio::test]
async fn a_file_that_a_place_leads_to_in_vain_is_told_by_its_own_name() {
    let project = Project::named("textures");
    let mut scene = project.moved();
    let copy = TempDir::new().unwrap();
    copy_folder(&scene.root, copy.path());
    std::fs::remove_file(copy.path().join("outside/D/windows.png")).unwrap();
    std::fs::remove_file(copy.path().join("outside/E/u.1002.png")).unwrap();
    (scene.entry, scene.root) = (copy.path().join("shot.blend"), copy.path().to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(Kind::Program, &folder.path().join("blender")).await;
    let failure = session.open(&scene, opening(&RenderOptions::default())).await.unwrap_err();
    assert!(failure.message.contains("not there: D:/Assets/Tex/windows.png, E:/udim/u.1002.png:"), "{failure}");
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
