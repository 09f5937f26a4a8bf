//! Blender's ways to lie: what it does not say, or says wrongly, and the cause that each must end with.
//!
//! | what Blender does | where it is tested |
//! |---|---|
//! | a file is missing, cut off, no .blend, or newer | `session`: `a_scene_that_cannot_be_rendered_is_refused_…` |
//! | a Python script fails, and Blender goes on with exit code 0 | here, for our own; a scene's are blocked |
//! | there is no camera | `session`, `faults` |
//! | a texture is missing: magenta | `session`, `places`, and for each kind of file `client/tests/cli/media.rs` |
//! | a linked library is missing | `places`: `what_is_missing_is_named_…` |
//! | the engine is unknown: EEVEE takes its place | here |
//! | this build has no denoiser | `session`: `denoising_is_never_switched_off_in_silence` |
//! | the folder cannot be written to | `session`: `a_folder_that_cannot_be_written_to_…` |
//! | the disk is full: a file that is cut off, called saved | here |
//! | a movie format, a codec that writes nothing, a JPEG for an AVI | `outputs`: `a_movie_becomes_stills_…` |
//! | two outputs are one file | `outputs`: `two_outputs_that_are_one_file_…` |

use std::path::{Path, PathBuf};
use std::process::Command;

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::Patience;
use haywain_shared::cause::Cause;
use haywain_shared::options::RenderOptions;
use tokio_util::task::TaskTracker;

use crate::blenders::{self, BOTH, Kind, made_by, scene};
use crate::session::{TERMS, broken_blender, empty_folder, frame, opening, start, start_in_jail};

/// A disk of a few pages, for as long as the value lives.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// `None`, aloud, where a test may not mount.
    fn mounted(folder: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32k", "haywain-test"]).arg(folder).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            failed => {
                println!("SKIPPED: a full disk (a tmpfs cannot be mounted here: {failed:?})");
                None
            }
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Blender 3.4 keeps the file open that it could not write.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn alone(entry: PathBuf) -> SceneFolder {
    SceneFolder { root: entry.parent().unwrap().to_owned(), entry, places: Vec::new(), color_config: None }
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_whatever_blender_calls_saved() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        for format in ["PNG", "OPEN_EXR", "JPEG"] {
            let Some(disk) = TinyDisk::mounted(&empty_folder(&folder, format)) else { return };
            let options = format!(r#"{{"resolutionPercent": 600, "samples": 1, "format": {{"type": "{format}"}}}}"#);
            let options: RenderOptions = serde_json::from_str(&options).unwrap();
            session.open(&alone(scene("half_a_second")), opening(&options)).await.unwrap();
            let failure = session.render(frame(1), &disk.0.join("frame"), TERMS, |_| {}).await.unwrap_err();
            assert_eq!(failure.cause, Cause::DiskFull, "{format} under {kind:?}: {failure}");
        }
        // The next one, with room, is whole.
        session.open(&alone(scene("basic")), opening(&RenderOptions::default())).await.unwrap();
        session.render(frame(1), &empty_folder(&folder, "frame"), TERMS, |_| {}).await.unwrap();
        session.end().await;
    }
}

#[tokio::test]
async fn a_script_that_fails_ends_blender_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // The driver is what Blender is told to run, last.
    let script = format!(
        "for driver; do :; done; echo 'raise RuntimeError(\"a broken driver\")' > \"$driver\"; exec '{}' \"$@\"",
        blenders::path(Kind::Program).display()
    );
    let blender = broken_blender(&folder, &script);
    let work = folder.path().join("work");
    let started = start_in_jail(&blender, &work, None, None, Patience::default(), &TaskTracker::new()).await;
    let failure = started.err().expect("a failure");
    assert_eq!(failure.cause, Cause::Crashed, "{failure}");
    assert!(failure.message.contains("exit status: 3"), "{failure}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named_and_no_other_takes_its_place() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, &folder.path().join("blender")).await;
        let scene = alone(made_by("outputs").join("unknown_engine.blend"));
        let failure = session.open(&scene, opening(&RenderOptions::default())).await.unwrap_err();
        assert_eq!(failure.cause, Cause::BadScene, "{failure}");
        assert!(failure.message.contains("wants the render engine HAYFORK"), "{kind:?}: {failure}");
        // With one of its own it renders.
        let options: RenderOptions = serde_json::from_str(r#"{"engine": "WORKBENCH"}"#).unwrap();
        session.open(&scene, opening(&options)).await.unwrap();
        session.render(frame(1), &empty_folder(&folder, "frame"), TERMS, |_| {}).await.unwrap();
        session.end().await;
    }
}
