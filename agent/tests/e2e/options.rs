//! Every option of a job shows in the picture, and the picture is what a cold Blender makes once an artist has set the same:
//! in one warm session, whatever was rendered in it before.

use std::path::{Path, PathBuf};

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Session;
use haywain_shared::cause::Cause;
use haywain_shared::job::JobState;
use haywain_shared::options::RenderOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::blenders::{self, BOTH, Change, Kind, assert_same, cold_file, exr_layers, made_by};
use crate::farm::{Farm, pictures};
use crate::session::{TERMS, empty_folder, frame, opening, start};

/// Beyond the marker that switches the camera.
const FRAME: i32 = 7;

/// What a job sets, and how an artist sets the same: by Python, or by the name of the other scene.
pub(crate) const OPTIONS: [(&str, &str); 14] = [
    (r#"{"sceneName": "Other"}"#, "Other"),
    (r#"{"viewLayer": "Bare"}"#, "bpy.context.scene.view_layers['ViewLayer'].use = False"),
    (
        r#"{"camera": "Front"}"#,
        "s = bpy.context.scene\nfor marker in list(s.timeline_markers): s.timeline_markers.remove(marker)\n\
         s.camera = bpy.data.objects['Front']",
    ),
    (r#"{"engine": "WORKBENCH"}"#, "bpy.context.scene.render.engine = 'BLENDER_WORKBENCH'"),
    (r#"{"samples": 5}"#, "bpy.context.scene.cycles.samples = 5"),
    (r#"{"resolutionPercent": 50}"#, "bpy.context.scene.render.resolution_percentage = 50"),
    (r#"{"format": {"type": "JPEG"}}"#, "bpy.context.scene.render.image_settings.file_format = 'JPEG'"),
    (r#"{"format": {"type": "PNG", "colorDepth": 16}}"#, "bpy.context.scene.render.image_settings.color_depth = '16'"),
    (
        r#"{"format": {"type": "OPEN_EXR", "colorDepth": 16, "codec": "PIZ"}}"#,
        "i = bpy.context.scene.render.image_settings\ni.file_format = 'OPEN_EXR'\ni.color_depth = '16'\ni.exr_codec = 'PIZ'",
    ),
    (
        r#"{"format": {"type": "OPEN_EXR_MULTILAYER"}}"#,
        "i = bpy.context.scene.render.image_settings\nif hasattr(i, 'media_type'): i.media_type = 'MULTI_LAYER_IMAGE'\n\
         i.file_format = 'OPEN_EXR_MULTILAYER'",
    ),
    (
        r#"{"format": {"type": "TIFF", "codec": "PACKBITS"}}"#,
        "i = bpy.context.scene.render.image_settings\ni.file_format = 'TIFF'\ni.tiff_codec = 'PACKBITS'",
    ),
    (r#"{"format": {"type": "WEBP"}}"#, "bpy.context.scene.render.image_settings.file_format = 'WEBP'"),
    (r#"{"persistentData": true}"#, ""),
    (
        r#"{"samples": 3, "resolutionPercent": 150, "camera": "Side", "engine": "CYCLES"}"#,
        "bpy.context.scene.cycles.samples = 3\nbpy.context.scene.render.resolution_percentage = 150",
    ),
];

fn scene() -> SceneFolder {
    let root = made_by("options");
    SceneFolder { entry: root.join("options.blend"), root, places: Vec::new(), color_config: None }
}

fn options(json: &str) -> RenderOptions {
    serde_json::from_str(json).unwrap()
}

async fn render(session: &mut Session, options: &RenderOptions, folder: &TempDir, name: &str) -> PathBuf {
    session.open(&scene(), opening(options)).await.unwrap();
    let into = empty_folder(folder, name);
    let rendered = session.render(frame(FRAME.into()), &into, TERMS, |_| {}).await.unwrap();
    assert_eq!(rendered.files.len(), 1, "{rendered:?}");
    into.join(&rendered.files[0].name)
}

/// How a file is compressed, where it says: an EXR by its codec and samples, a TIFF by its size.
fn codec(path: &Path) -> String {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("exr") => {
            let layer = exr_layers(path).remove(0);
            let samples = layer.channel_data.list.iter().map(|channel| match channel.sample_data {
                exr::image::FlatSamples::F16(_) => 16,
                exr::image::FlatSamples::F32(_) | exr::image::FlatSamples::U32(_) => 32,
            });
            format!("{:?} {:?}", layer.encoding.compression, samples.collect::<Vec<_>>())
        }
        Some("tif") => std::fs::metadata(path).unwrap().len().to_string(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn every_option_shows_and_is_what_an_artist_would_get() {
    for kind in BOTH {
        let entry = scene().entry;
        let place = tempfile::tempdir().unwrap();
        let mut session = start(kind, &place.path().join("blender")).await;
        let (_plain, plain) = cold_file(kind, &entry, FRAME, Change::default());
        for (number, (set, change)) in OPTIONS.into_iter().enumerate() {
            let farmed = render(&mut session, &options(set), &place, &number.to_string()).await;
            let change = match change {
                "Other" => Change { scene: change, ..Change::default() },
                python => Change { python, ..Change::default() },
            };
            let (_cold, cold) = cold_file(kind, &entry, FRAME, change);
            assert_eq!(farmed.extension(), cold.extension(), "{set} under {kind:?}");
            assert_same(&farmed, &cold);
            assert_eq!(codec(&farmed), codec(&cold), "{set} under {kind:?}");
            let changes_nothing = set.contains("persistentData");
            let is_plain =
                plain.extension() == cold.extension() && image::open(&plain).unwrap() == image::open(&cold).unwrap();
            assert_eq!(is_plain, changes_nothing, "{set} under {kind:?}: the test proves nothing");
        }
        // And nothing of all that is left.
        let farmed = render(&mut session, &RenderOptions::default(), &place, "plain").await;
        assert_same(&farmed, &plain);
        session.end().await;
    }
}

#[tokio::test]
async fn what_the_file_does_not_have_is_refused_by_name_with_what_it_has() {
    let cases = [
        (r#"{"sceneName": "Third"}"#, "there is no scene 'Third': choose one of 'Other', 'Scene'"),
        (r#"{"viewLayer": "Fog"}"#, "there is no view layer 'Fog': choose one of 'ViewLayer', 'Bare'"),
        (r#"{"camera": "Top"}"#, "there is no camera 'Top': choose one of 'Front', 'Side'"),
        (r#"{"sceneName": "Other", "camera": "Front"}"#, "there is no camera 'Front': choose one of 'Above'"),
        (
            r#"{"engine": "LUXCORE"}"#,
            "there is no render engine 'LUXCORE': choose one of 'CYCLES', 'EEVEE', 'WORKBENCH'",
        ),
        (r#"{"engine": "WORKBENCH", "samples": 7}"#, "there is no number of samples for Workbench '7'"),
    ];
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let mut session = start(kind, &place.path().join("blender")).await;
        for (set, words) in cases {
            let failure = session.open(&scene(), opening(&options(set))).await.unwrap_err();
            assert_eq!(failure.cause, Cause::BadScene, "{failure}");
            assert!(failure.message.contains(words), "{kind:?}: {failure}");
        }
        session.end().await;
    }
}

#[test]
fn options_go_from_the_request_to_the_picture() {
    let farm = Farm::start(&scene().entry);
    let _agent = farm.agent("one", &blenders::path(Kind::Program), 1);
    let submit = |more: Value| {
        let mut body = json!({"frames": "7"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = farm.wait_for_end(&farm.render(&body));
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        pictures(&job).remove(0)
    };
    let change = "bpy.context.scene.cycles.samples = 5\nbpy.context.scene.render.image_settings.file_format = 'TIFF'";
    let (_cold, cold) = cold_file(Kind::Program, &scene().entry, FRAME, Change { python: change, ..Change::default() });
    assert_same(&submit(json!({"samples": 5, "format": "TIFF"})), &cold);
    let (_plain, plain) = cold_file(Kind::Program, &scene().entry, FRAME, Change::default());
    assert_same(&submit(json!({})), &plain);
}
