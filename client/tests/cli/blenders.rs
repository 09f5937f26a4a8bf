//! The Blenders to test with, and the scenes that each of them makes once by `scenes/make.py`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The folder with the scenes that it has made.
pub(crate) fn scenes(kind: Kind) -> &'static Path {
    static MADE: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[kind as usize].get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-scenes-{kind:?}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        run_script(kind, "make.py", &folder, &[]);
        folder
    })
}

/// Has a Blender run a script of `scenes/`, which makes its scenes in `folder`.
pub(crate) fn run_script(kind: Kind, script: &str, folder: &Path, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes").join(script);
    let mut blender = Command::new(path(kind));
    if kind == Kind::Program {
        blender.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
    }
    run(blender.arg(script).arg("--").arg(folder).args(arguments));
}

/// What a plain Blender makes of a frame of each scene, as it stands: for each (scene, beginning of the picture's path).
pub(crate) fn render_plainly(kind: Kind, scenes: &[(PathBuf, PathBuf)], frame: &str) {
    const RENDER: &str = "import bpy, os, sys\n\
        frame, rest = int(sys.argv[1]), sys.argv[2:]\n\
        for scene, output in zip(rest[::2], rest[1::2]):\n\
        \tbpy.ops.wm.open_mainfile(filepath=scene)\n\
        \tbpy.context.scene.render.filepath = output\n\
        \tbpy.ops.render.render(animation=True, frame_start=frame, frame_end=frame)\n\
        sys.stdout.flush()\n\
        os._exit(0)\n";
    let mut blender = Command::new(path(kind));
    match kind {
        Kind::Program => blender.args(["--background", "--factory-startup"]),
        Kind::Module => blender.args(["-c", RENDER, frame]),
    };
    for (scene, output) in scenes {
        match kind {
            Kind::Program => {
                blender.arg(scene).arg("--render-output").arg(output).args(["--render-frame", frame]);
            }
            Kind::Module => {
                blender.arg(scene).arg(output);
            }
        }
    }
    run(&mut blender);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {errors}", output.status);
}
