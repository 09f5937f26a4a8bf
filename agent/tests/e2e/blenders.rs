//! The Blenders and the scenes that tests work with, and what a plain cold Blender makes of a frame.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use image::DynamicImage;
use tempfile::TempDir;

/// A Blender to test with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Program,
    Module,
}

pub(crate) const BOTH: [Kind; 2] = [Kind::Program, Kind::Module];

/// Where it is.
pub(crate) fn path(kind: Kind) -> PathBuf {
    let variable = match kind {
        Kind::Program => "HAYWAIN_TEST_BLENDER",
        Kind::Module => "HAYWAIN_TEST_BPY",
    };
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names no Blender to test with: run these tests by `cargo xtask test`"));
    PathBuf::from(path)
}

/// A scene made by `scenes/make.py`.
pub(crate) fn scene(name: &str) -> PathBuf {
    let path = made_by("make").join(name).with_extension("blend");
    assert!(path.is_file(), "{} was not made", path.display());
    path
}

/// Scripts that make what the older Blender does not have.
const NEWER: [&str; 2] = ["simulation_nodes", "features_newer"];

/// The folder with what a script of `scenes/` makes, which is run once.
pub(crate) fn made_by(script: &'static str) -> PathBuf {
    static MADE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if script == "make" { "scenes" } else { script });
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.contains(script) {
        return folder;
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let script_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes").join(script).with_extension("py");
    run_script(if NEWER.contains(&script) { Kind::Module } else { Kind::Program }, &script_path, &folder);
    made.insert(script);
    folder
}

/// Has a Blender run a script that makes its scenes in `folder`.
pub(crate) fn run_script(kind: Kind, script: &Path, folder: &Path) {
    let mut blender = Command::new(path(kind));
    if kind == Kind::Program {
        blender.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
    }
    run(blender.arg(script).arg("--").arg(folder));
}

/// What a cold Blender, started for this alone, makes of one frame.
pub(crate) fn cold_frame(kind: Kind, scene: &Path, frame: i32) -> DynamicImage {
    let (_folder, file) = cold_file(kind, scene, frame, Change::default());
    image::open(file).unwrap()
}

/// What an artist does to a file before a cold Blender renders it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change<'a> {
    /// The scene to render, unless it is the file's own.
    pub(crate) scene: &'a str,
    /// Python.
    pub(crate) python: &'a str,
    /// The colour configuration, unless it is Blender's own.
    pub(crate) color_config: Option<&'a Path>,
}

/// The file that a cold Blender writes for one frame, once an artist has changed something.
pub(crate) fn cold_file(kind: Kind, scene: &Path, frame: i32, change: Change<'_>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    render_cold(kind, scene, frame, Some(&folder.path().join("cold_")), change);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    (folder, files.into_iter().next().unwrap())
}

/// What a cold Blender makes of a frame that it is put to by hand, as a person does who presses F12: the command line takes a
/// number below zero for one that is counted from the end.
pub(crate) fn cold_still(kind: Kind, scene: &Path, frame: i32) -> DynamicImage {
    const RENDER: &str = "import bpy, os, sys\n\
        scene, output, frame = sys.argv[-3], sys.argv[-2], int(sys.argv[-1])\n\
        bpy.ops.wm.open_mainfile(filepath=scene)\n\
        bpy.context.preferences.edit.use_negative_frames = True\n\
        bpy.context.scene.frame_set(frame)\n\
        bpy.context.scene.render.filepath = output\n\
        bpy.ops.render.render(write_still=True)\n\
        sys.stdout.flush()\n\
        os._exit(0)\n";
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("still.png");
    let mut blender = Command::new(path(kind));
    match kind {
        Kind::Program => blender.args(["--background", "--factory-startup", "--python-expr", RENDER, "--"]),
        Kind::Module => blender.args(["-c", RENDER]),
    };
    run(blender.arg(scene).arg(&picture).arg(frame.to_string()));
    image::open(&picture).unwrap()
}

/// The folder of a scene after a cold Blender has rendered a frame of it as it stands.
pub(crate) fn cold_folder(kind: Kind, scene: &Path, frame: i32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("shot.blend");
    std::fs::copy(scene, &copy).unwrap();
    render_cold(kind, &copy, frame, None, Change::default());
    folder
}

fn render_cold(kind: Kind, scene: &Path, frame: i32, output: Option<&Path>, change: Change<'_>) {
    match kind {
        Kind::Program => {
            let mut blender = Command::new(path(kind));
            blender.envs(change.color_config.map(|config| ("OCIO", config)));
            blender.args(["--background", "--factory-startup"]).arg(scene);
            if !change.scene.is_empty() {
                blender.args(["--scene", change.scene]);
            }
            if let Some(output) = output {
                blender.arg("--render-output").arg(output);
            }
            if !change.python.is_empty() {
                let python = format!("import bpy\n{}", change.python);
                blender.args(["--python-exit-code", "1", "--python-expr", &python]);
            }
            run(blender.args(["--render-frame", &frame.to_string()]));
        }
        Kind::Module => {
            const RENDER: &str = "import bpy, os, sys\n\
                scene, output, frame = sys.argv[1], sys.argv[2], int(sys.argv[3])\n\
                bpy.ops.wm.open_mainfile(filepath=scene)\n\
                exec(sys.argv[4])\n\
                scene = bpy.data.scenes[sys.argv[5]] if sys.argv[5] else bpy.context.scene\n\
                scene.render.filepath = output or scene.render.filepath\n\
                with bpy.context.temp_override(scene=scene):\n\
                \x20   bpy.ops.render.render(animation=True, frame_start=frame, frame_end=frame)\n\
                sys.stdout.flush()\n\
                os._exit(0)\n";
            let mut python = Command::new(path(kind));
            python.envs(change.color_config.map(|config| ("OCIO", config)));
            let output = output.unwrap_or(Path::new(""));
            run(python
                .args(["-c", RENDER])
                .arg(scene)
                .arg(output)
                .arg(frame.to_string())
                .args([change.python, change.scene]));
        }
    }
}

/// Fails where two files of pictures differ in a pixel.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    assert!(is_same(one, other), "{} and {} differ", one.display(), other.display());
}

/// Whether two files of pictures have the same pixels: of an EXR, in every channel of every layer.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    if one.extension().is_none_or(|extension| extension != "exr") {
        return image::open(one).unwrap() == image::open(other).unwrap();
    }
    let channels = |path: &Path| {
        let image = exr_layers(path);
        image
            .into_iter()
            .flat_map(|layer| {
                let layer_name = layer.attributes.layer_name.map(|name| name.to_string());
                layer.channel_data.list.into_iter().map(move |channel| {
                    let samples = channel.sample_data.values_as_f32().map(f32::to_bits).collect::<Vec<_>>();
                    (layer_name.clone(), channel.name.to_string(), samples)
                })
            })
            .collect::<Vec<_>>()
    };
    channels(one) == channels(other)
}

/// The layers of an EXR, each with all its channels and attributes.
pub(crate) fn exr_layers(path: &Path) -> exr::image::Layers<exr::image::AnyChannels<exr::image::FlatSamples>> {
    use exr::prelude::{ReadChannels as _, ReadLayers as _, read};
    let whole = read().no_deep_data().largest_resolution_level().all_channels().all_layers().all_attributes();
    whole.from_file(path).unwrap().layer_data
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
