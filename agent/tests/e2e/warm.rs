//! A warm frame equals a cold one: in any order, after another job's wishes and other files, with persistent data and without,
//! while another session renders the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Session;
use haywain_shared::options::RenderOptions;
use tempfile::TempDir;

use crate::blenders::{BOTH, Change, Kind, assert_same, cold_file, made_by};
use crate::session::{TERMS, empty_folder, frame, opening, start};

/// Scenes of `features.py` in which something could stay behind from another frame or another file.
const SCENES: [&str; 6] =
    ["first_of_two", "motion_blur", "second_of_two", "hair", "adaptive_subdivision", "cyclic_drivers"];
const FRAMES: [i32; 2] = [12, 3];
/// What another job wants of the same file, in between.
const ANOTHER_JOB: &str = r#"{"engine": "CYCLES", "samples": 5, "resolutionPercent": 150, "format": {"type": "JPEG"}, "persistentData": true}"#;

fn scene(name: &str) -> SceneFolder {
    let root = made_by("features");
    SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None }
}

/// What a cold Blender makes of each frame, each by one of its own.
fn cold_frames(kind: Kind) -> BTreeMap<(&'static str, i32), (TempDir, PathBuf)> {
    let wanted = SCENES.into_iter().flat_map(|name| FRAMES.map(|number| (name, number)));
    wanted
        .map(|(name, number)| ((name, number), cold_file(kind, &scene(name).entry, number, Change::default())))
        .collect()
}

async fn render(session: &mut Session, folder: &TempDir, name: &str, number: i32) -> PathBuf {
    let into = empty_folder(folder, name);
    let rendered = session.render(frame(number.into()), &into, TERMS, |_| {}).await.unwrap();
    into.join(&rendered.files[0].name)
}

/// One slot's day: the scenes in its order, each with another job before.
async fn renders_what_is_cold(
    kind: Kind,
    scenes: Vec<&'static str>,
    persistent_data: [Option<bool>; 2],
    cold: &BTreeMap<(&'static str, i32), (TempDir, PathBuf)>,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(kind, &folder.path().join("blender")).await;
    let check = |file: &Path, name, number| assert_same(file, &cold[&(name, number)].1);
    for name in scenes {
        let another: RenderOptions = serde_json::from_str(ANOTHER_JOB).unwrap();
        session.open(&scene(name), opening(&another)).await.unwrap();
        render(&mut session, &folder, &format!("{name}-another"), 8).await;
        for persistent_data in persistent_data {
            let options = RenderOptions { persistent_data, ..RenderOptions::default() };
            session.open(&scene(name), opening(&options)).await.unwrap();
            for (turn, number) in [FRAMES[0], FRAMES[1], 9, FRAMES[0]].into_iter().enumerate() {
                let into = format!("{name}-{persistent_data:?}-{turn}");
                let file = render(&mut session, &folder, &into, number).await;
                if FRAMES.contains(&number) {
                    check(&file, name, number);
                }
            }
        }
    }
    session.end().await;
}

#[tokio::test]
async fn warm_frames_are_cold_ones_whatever_was_rendered_before_and_beside() {
    for kind in BOTH {
        let cold = cold_frames(kind);
        let different = SCENES
            .iter()
            .all(|name| image::open(&cold[&(*name, 12)].1).unwrap() != image::open(&cold[&(*name, 3)].1).unwrap());
        assert!(different, "{kind:?}: a scene does not move, so that the test proves nothing");
        let (onwards, back) = (SCENES.to_vec(), SCENES.into_iter().rev().collect());
        tokio::join!(
            renders_what_is_cold(kind, onwards, [None, Some(true)], &cold),
            renders_what_is_cold(kind, back, [Some(true), Some(false)], &cold),
        );
    }
}
