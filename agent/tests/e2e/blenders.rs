//! The Blenders and the scenes that tests work with, and what a plain cold Blender makes of a frame.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use image::DynamicImage;

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

/// A scene made by `scenes/make.py`, which is run once.
pub(crate) fn scene(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenes");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes/make.py");
        let mut blender = Command::new(path(Kind::Program));
        blender.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
        run(blender.arg(script).arg("--").arg(&folder));
        folder
    });
    let path = folder.join(name).with_extension("blend");
    assert!(path.is_file(), "{} was not made", path.display());
    path
}

/// What a cold Blender, started for this alone, makes of one frame.
pub(crate) fn cold_frame(kind: Kind, scene: &Path, frame: i32) -> DynamicImage {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("cold_");
    match kind {
        Kind::Program => {
            let mut blender = Command::new(path(kind));
            blender.args(["--background", "--factory-startup"]).arg(scene).arg("--render-output").arg(&output);
            run(blender.args(["--render-frame", &frame.to_string()]));
        }
        Kind::Module => {
            const RENDER: &str = "import bpy, os, sys\n\
                scene, output, frame = sys.argv[1], sys.argv[2], int(sys.argv[3])\n\
                bpy.ops.wm.open_mainfile(filepath=scene)\n\
                bpy.context.scene.render.filepath = output\n\
                bpy.ops.render.render(animation=True, frame_start=frame, frame_end=frame)\n\
                sys.stdout.flush()\n\
                os._exit(0)\n";
            let mut python = Command::new(path(kind));
            run(python.args(["-c", RENDER]).arg(scene).arg(&output).arg(frame.to_string()));
        }
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    image::open(&files[0]).unwrap()
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
