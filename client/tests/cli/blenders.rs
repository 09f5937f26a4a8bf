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
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes/make.py");
        let mut blender = Command::new(path(kind));
        if kind == Kind::Program {
            blender.args(["--background", "--factory-startup", "--python-exit-code", "1", "--python"]);
        }
        let output = blender.arg(script).arg("--").arg(&folder).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && folder.join("near/textured.blend").is_file(), "{}: {errors}", output.status);
        folder
    })
}
