//! Every file that a frame makes comes back, under the artist's name and with the pixels that a cold Blender gives it, and
//! the scene is as it was before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Opened;
use haywain_agent::output::{self, CHECKED_FORMATS, Output};
use haywain_shared::cause::Cause;
use haywain_shared::options::RenderOptions;

use serde_json::json;

use crate::blenders::{self, BOTH, Kind, assert_same, cold_folder, exr_layers, made_by};
use crate::farm::{Farm, pictures};
use crate::session::{TERMS, empty_folder, frame, opening, start};

const FRAME: i32 = 3;

fn scene(name: &str) -> SceneFolder {
    let root = made_by("outputs");
    SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None }
}

/// Renders a frame twice in one session: what comes out, checked. Both are to be the same.
async fn rendered(kind: Kind, name: &str, folder: &tempfile::TempDir) -> (Opened, PathBuf, Output) {
    let mut session = start(kind, &folder.path().join("blender")).await;
    let opened = session.open(&scene(name), opening(&RenderOptions::default())).await.unwrap();
    let mut outputs = Vec::new();
    for turn in ["first", "second"] {
        let into = empty_folder(folder, turn);
        let rendered = session.render(frame(FRAME.into()), &into, TERMS, |_| {}).await.unwrap();
        outputs.push((into.clone(), output::check(&into, &rendered.files).unwrap()));
    }
    session.end().await;
    let (second, first) = (outputs.pop().unwrap(), outputs.pop().unwrap());
    let names = |output: &Output| output.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&first.1), names(&second.1));
    for name in names(&first.1) {
        assert_same(&first.0.join(&name), &second.0.join(&name));
    }
    (opened, first.0, first.1)
}

/// Under both Blenders: the files have these names and sizes, in this order, and are what a cold Blender leaves there.
async fn comes_back(name: &str, expected: &[(&str, &str, (u32, u32))]) {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (_, into, output) = rendered(kind, name, &folder).await;
        let found: Vec<_> = output.files.iter().map(|file| (file.name.as_str(), (file.width, file.height))).collect();
        let wanted: Vec<_> = expected.iter().map(|(name, _, size)| (*name, *size)).collect();
        assert_eq!(found, wanted, "{kind:?}");
        assert_eq!(files_below(&into), expected.len(), "nothing else is left");
        assert!(output.thumbnail.is_some(), "{kind:?}");
        let cold = cold_folder(kind, &scene(name).entry, FRAME);
        assert_eq!(files_below(cold.path()), expected.len() + 1, "a cold Blender makes no others");
        for (name, cold_name, _) in expected {
            assert_same(&into.join(name), &cold.path().join(cold_name));
        }
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

const SIZE: (u32, u32) = (64, 36);

#[tokio::test]
async fn what_nodes_write_comes_back_below_the_main_output() {
    let expected = [
        ("beauty_0003.png", "render/beauty_0003.png", SIZE),
        ("masks/deep/d_03_.png", "render/masks/deep/d_03_.png", SIZE),
        ("masks/m_0003.png", "render/masks/m_0003.png", SIZE),
        ("passes/all_0003.exr", "passes/all_0003.exr", SIZE),
        // Two nodes write into folders of one name.
        ("same/s_0003.png", "a/same/s_0003.png", SIZE),
        ("Other/same/s_0003.png", "b/same/s_0003.png", SIZE),
        ("inside/i_0003.png", "render/inside/i_0003.png", SIZE),
        ("halfway/h_0003.png", "halfway/h_0003.png", SIZE),
    ];
    comes_back("nodes", &expected).await;
}

#[tokio::test]
async fn outputs_elsewhere_come_back_under_the_frame_and_nothing_is_left_where_they_wanted_to_go() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (_, _, output) = rendered(kind, "elsewhere", &folder).await;
        let names: Vec<_> = output.files.iter().map(|file| file.name.as_str()).collect();
        // What has no frame number has got one.
        assert_eq!(names, ["beauty0003.png", "masks/plain0003.png", "above/a_0003.png"], "{kind:?}");
        assert!(!Path::new("/tmp/haywain-test-of-absolute-outputs").exists(), "{kind:?}");
    }
}

#[tokio::test]
async fn two_outputs_that_are_one_file_are_refused_by_name() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        session.open(&scene("collision"), opening(&RenderOptions::default())).await.unwrap();
        let failure =
            session.render(frame(FRAME.into()), &empty_folder(&folder, "frame"), TERMS, |_| {}).await.unwrap_err();
        assert_eq!(failure.cause, Cause::BadScene, "{failure}");
        let words = "the node 'One' and the node 'Other' both write the file //same/s_0003.png";
        assert!(failure.message.contains(words), "{kind:?}: {failure}");
        session.end().await;
    }
}

#[tokio::test]
async fn a_movie_becomes_stills_in_the_format_of_the_job_or_as_png_which_is_said() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        for name in ["avi", "dead_codec"] {
            for (format, file) in [("{}", "shot_0003.png"), (r#"{"format": {"type": "JPEG"}}"#, "shot_0003.jpg")] {
                let options: RenderOptions = serde_json::from_str(format).unwrap();
                let opened = session.open(&scene(name), opening(&options)).await.unwrap();
                let said = opened.notes.iter().any(|note| note.starts_with("movie format") && note.contains("PNG"));
                assert_eq!(said, file.contains("png"), "{name} under {kind:?}: {opened:?}");
                let into = empty_folder(&folder, &format!("{name}-{file}"));
                let rendered = session.render(frame(FRAME.into()), &into, TERMS, |_| {}).await.unwrap();
                let output = output::check(&into, &rendered.files).unwrap();
                assert_eq!(output.files.len(), 1, "{name} under {kind:?}: {output:?}");
                assert_eq!(output.files[0].name.as_str(), file, "{name} under {kind:?}");
            }
        }
        session.end().await;
    }
}

#[tokio::test]
async fn views_come_back_as_files_of_their_own_or_as_one() {
    let left = ("beauty_0003_L.png", "render/beauty_0003_L.png", SIZE);
    let right = ("beauty_0003_R.png", "render/beauty_0003_R.png", SIZE);
    comes_back("views", &[left, right]).await;
    comes_back("side_by_side", &[("beauty_0003.png", "render/beauty_0003.png", (128, 36))]).await;
    comes_back("squeezed", &[("beauty_0003.png", "render/beauty_0003.png", SIZE)]).await;
}

#[tokio::test]
async fn a_part_of_a_smaller_picture_has_the_size_that_is_expected() {
    comes_back("cut_out", &[("beauty_0003.png", "render/beauty_0003.png", (17, 12))]).await;
    let left = ("beauty_0003_L.png", "render/beauty_0003_L.png", (17, 12));
    let right = ("beauty_0003_R.png", "render/beauty_0003_R.png", (17, 12));
    comes_back("cut_out_views", &[left, right]).await;
    comes_back("cut_out_side_by_side", &[("beauty_0003.png", "render/beauty_0003.png", (34, 12))]).await;
}

#[tokio::test]
async fn an_exr_keeps_all_its_views() {
    comes_back("several_views_in_one", &[("beauty_0003.exr", "render/beauty_0003.exr", SIZE)]).await;
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (_, into, output) = rendered(kind, "several_views_in_one", &folder).await;
        let names = channel_names(&into.join(&output.files[0].name));
        for eye in ["left", "right"] {
            assert!(names.iter().any(|name| name.contains(eye)), "{kind:?}: no {eye} in {names:?}");
        }
    }
}

#[tokio::test]
async fn an_exr_keeps_its_layers_its_mattes_and_what_is_said_of_them() {
    comes_back("layers", &[("beauty_0003.exr", "render/beauty_0003.exr", SIZE)]).await;
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (_, into, output) = rendered(kind, "layers", &folder).await;
        let layers = exr_layers(&into.join(&output.files[0].name));
        let names = channel_names(&into.join(&output.files[0].name));
        for wanted in ["Front.Combined.R", "Front.CryptoObject00.r", "Back.Combined.R", "Back.Depth.Z"] {
            assert!(names.iter().any(|name| name.eq_ignore_ascii_case(wanted)), "{kind:?}: no {wanted} in {names:?}");
        }
        let said: Vec<String> = layers
            .iter()
            .flat_map(|layer| layer.attributes.other.keys().map(ToString::to_string).collect::<Vec<_>>())
            .chain(shared_attributes(&into.join(&output.files[0].name)))
            .collect();
        for wanted in ["name", "hash", "conversion", "manifest"] {
            let found = said.iter().any(|key| key.starts_with("cryptomatte/") && key.ends_with(wanted));
            assert!(found, "{kind:?}: no cryptomatte/…/{wanted} in {said:?}");
        }
    }
}

#[test]
fn mattes_are_as_they_were_when_the_farm_has_stored_them() {
    for kind in BOTH {
        let entry = scene("layers").entry;
        let farm = Farm::start(&entry);
        let _agent = farm.agent("one", &blenders::path(kind), 1);
        let job = farm.wait_for_end(&farm.render(&json!({"from": FRAME, "to": FRAME})));
        let stored = &pictures(&job)[0];
        let cold = cold_folder(kind, &entry, FRAME);
        let cold = cold.path().join("render/beauty_0003.exr");
        assert_same(stored, &cold);
        let (kept, wanted) = (mattes(stored), mattes(&cold));
        assert!(wanted.len() >= 4, "{kind:?}: {wanted:?}");
        assert_eq!(kept, wanted, "{kind:?}");
    }
}

/// What an EXR says of its mattes, the names of all objects and their hashes among it.
fn mattes(path: &Path) -> BTreeMap<String, String> {
    let meta = exr::meta::MetaData::read_from_file(path, false).unwrap();
    let headers = meta.headers.iter();
    let all = headers.flat_map(|header| header.own_attributes.other.iter().chain(&header.shared_attributes.other));
    all.map(|(key, value)| (key.to_string(), format!("{value:?}")))
        .filter(|(key, _)| key.starts_with("cryptomatte/"))
        .collect()
}

fn channel_names(path: &Path) -> Vec<String> {
    exr_layers(path)
        .iter()
        .flat_map(|layer| {
            let of = layer.attributes.layer_name.as_ref().map(ToString::to_string).unwrap_or_default();
            layer.channel_data.list.iter().map(move |channel| format!("{of}{}", channel.name)).collect::<Vec<_>>()
        })
        .collect()
}

fn shared_attributes(path: &Path) -> Vec<String> {
    let meta = exr::meta::MetaData::read_from_file(path, false).unwrap();
    meta.headers.iter().flat_map(|header| header.shared_attributes.other.keys().map(ToString::to_string)).collect()
}

#[tokio::test]
async fn formats_that_cannot_be_checked_are_told_before_anything_is_rendered() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        let opened = session.open(&scene("unchecked"), opening(&RenderOptions::default())).await.unwrap();
        assert_eq!(opened.formats, ["PNG", "DPX"]);
        assert!(!CHECKED_FORMATS.contains(&"DPX"));
        session.end().await;
    }
}
