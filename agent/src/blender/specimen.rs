//! A scene of Blender's own making, to try a render with: nobody has to send one first. It is made where scenes are rendered, in
//! the jail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::launch::{Surroundings, spawn};
use super::probe::Laboratory;
use super::signs::{Heard, listen};
use super::{Blender, SceneFolder};
use crate::jail::{BLENDER, Belongings, FRAMES, Walls};

/// The script, in the driver's folder.
const SCRIPT: &str = "specimen.py";
/// How long it may take.
const TO_MAKE_IT: Duration = Duration::from_mins(2);
/// How long the log may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Pixels across, and down.
pub const SIZE: (u32, u32) = (96, 54);

/// What the script is asked for.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    path: &'a Path,
    engine: &'a str,
    width: u32,
    height: u32,
}

/// Has a Blender make the scene, to be rendered by `engine`, in a folder of the laboratory's workplace.
pub async fn make(blender: &Blender, engine: &str, laboratory: Laboratory<'_>) -> io::Result<SceneFolder> {
    let Laboratory { jailer, data_dir, workplace, gpus: _, tasks, strength: _ } = laboratory;
    let root = workplace.join(FRAMES).join("specimen");
    std::fs::create_dir_all(&root)?;
    let entry = root.join("specimen.blend");
    let installation = &blender.installation;
    let walls = Walls::around(Belongings { installation, scenes: None, addons: None, workplace, kernels: None });
    let folder: PathBuf = workplace.join(BLENDER);
    let surroundings = Surroundings {
        folder: &folder,
        color_config: None,
        addons: None,
        jailer,
        walls: &walls,
        kernels: None,
        data_dir,
    };
    let mut child = spawn(blender, surroundings, SCRIPT)?;
    let (Some(mut commands), Some(log)) = (child.stdin().take(), child.stderr().take()) else {
        return Err(io::Error::other("it has no pipes"));
    };
    let (width, height) = SIZE;
    commands.write_all(&serde_json::to_vec(&Asked { path: &entry, engine, width, height })?).await?;
    drop(commands);
    let heard = Arc::new(Mutex::new(Heard::new()));
    let listener = tasks.spawn(listen(log, Arc::clone(&heard)));
    let status = tokio::time::timeout(TO_MAKE_IT, child.wait()).await;
    // An error says that there is nothing left to kill.
    let _ = child.start_kill();
    let _ = tokio::time::timeout(LAST_WORDS, listener).await;
    let how = match status {
        Err(_) => format!("it took longer than {} s", TO_MAKE_IT.as_secs()),
        Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) && entry.is_file() => {
            return Ok(SceneFolder { root, entry, places: Vec::new(), color_config: None });
        }
        Ok(status) => status.map_or_else(|error| error.to_string(), |status| status.to_string()),
    };
    let text = heard.lock().unwrap_or_else(PoisonError::into_inner).tail.text();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    Err(io::Error::other(format!("Blender could not make a scene ({how}); its last words: {last}")))
}
