//! What a Blender can do on this machine, found out once: its devices as it reports them itself, and each engine and denoiser by
//! a tiny render. That happens in a short process of its own, in the jail: what is tried there may crash or hang, and that it
//! does so is what is learnt of it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haywain_shared::devices::{DeviceFacts, PartFacts};
use haywain_shared::protocol::BlenderFacts;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::task::TaskTracker;

use super::Blender;
use super::known::Known;
use super::launch::{Surroundings, spawn};
use super::signs::{Heard, listen};
use crate::jail::{BLENDER, Belongings, FRAMES, Jailer, Walls};

/// The script, in the driver's folder.
const SCRIPT: &str = "probe.py";
/// How long one part may take. EEVEE compiles its shaders for it: 8 s were seen on a busy machine without a GPU.
const FOR_A_PART: Duration = Duration::from_mins(1);
/// How long it may take to die, and to say why.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where it is found out.
#[derive(Debug, Clone, Copy)]
pub struct Laboratory<'a> {
    /// What Blender is put into.
    pub jailer: &'a Jailer,
    /// The agent's data folder, as its mark.
    pub data_dir: &'a Path,
    /// A folder that nobody else uses meanwhile.
    pub workplace: &'a Path,
    /// The machine's GPUs and their drivers: with others everything is to be found out anew.
    pub gpus: &'a str,
    /// Where the readers of its log live.
    pub tasks: &'a TaskTracker,
}

/// A line of the script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Device(DeviceFacts),
    Begins(Part),
    Ended(Option<String>),
    Over(bool),
}

/// Something that is tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Part {
    kind: PartKind,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum PartKind {
    Engine,
    Denoiser,
}

/// What was learnt so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Learnt {
    devices: Vec<DeviceFacts>,
    engines: Vec<PartFacts>,
    denoisers: Vec<PartFacts>,
    in_work: Option<Part>,
    is_over: bool,
    /// Whether time ran out for a part, which may be the fault of what else the machine did.
    is_hasty: bool,
}

impl Learnt {
    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Device(device) if !self.devices.contains(&device) => self.devices.push(device),
            Answer::Device(_) => {}
            Answer::Begins(part) => self.in_work = Some(part),
            Answer::Ended(failure) => self.end_part(failure),
            Answer::Over(is_over) => self.is_over = is_over,
        }
    }

    fn end_part(&mut self, failure: Option<String>) {
        let Some(Part { kind, name }) = self.in_work.take() else { return };
        let parts = match kind {
            PartKind::Engine => &mut self.engines,
            PartKind::Denoiser => &mut self.denoisers,
        };
        parts.push(PartFacts { name, failure });
    }

    /// The parts that are not to be tried again.
    fn tried(&self) -> impl Iterator<Item = &str> {
        self.engines.iter().chain(&self.denoisers).map(|part| part.name.as_str())
    }
}

/// Finds out of each Blender what is not known of it yet.
pub async fn find_out(blenders: &mut [Blender], known: &mut Known, laboratory: Laboratory<'_>) {
    for blender in blenders {
        if known.is_tried(&blender.path, laboratory.gpus) {
            continue;
        }
        tracing::info!(%blender, "finding out what it can do on this machine");
        let learnt = try_out(blender, laboratory).await;
        for part in learnt.engines.iter().chain(&learnt.denoisers) {
            if let Some(reason) = &part.failure {
                tracing::info!(%blender, part = part.name, reason, "does not work here");
            }
        }
        let Learnt { devices, engines, denoisers, is_over, is_hasty, in_work: _ } = learnt;
        blender.facts = BlenderFacts { build: blender.facts.build.clone(), devices, engines, denoisers };
        if is_over && !is_hasty {
            known.tried(blender, laboratory.gpus);
        }
    }
}

/// Starts it again without what it died of, until nothing is left to try.
async fn try_out(blender: &Blender, laboratory: Laboratory<'_>) -> Learnt {
    let mut learnt = Learnt::default();
    loop {
        let died = one_life(blender, laboratory, &mut learnt).await.unwrap_or_else(|error| error.to_string());
        if learnt.is_over {
            return learnt;
        }
        if learnt.in_work.is_none() {
            tracing::warn!(%blender, reason = died, "what it can do could not be found out");
            return learnt;
        }
        learnt.end_part(Some(died));
    }
}

/// What is learnt in one life of the script; how that ended, if before its time.
async fn one_life(blender: &Blender, laboratory: Laboratory<'_>, learnt: &mut Learnt) -> io::Result<String> {
    let Laboratory { jailer, data_dir, workplace, gpus: _, tasks } = laboratory;
    std::fs::create_dir_all(workplace.join(FRAMES))?;
    let installation = &blender.installation;
    let walls = Walls::around(Belongings { installation, scenes: None, addons: None, workplace, kernels: None });
    let surroundings = Surroundings {
        folder: &workplace.join(BLENDER),
        color_config: None,
        addons: None,
        jailer,
        walls: &walls,
        kernels: None,
        mark: data_dir,
    };
    let mut child = spawn(blender, surroundings, SCRIPT)?;
    let (Some(mut commands), Some(answers), Some(log)) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take())
    else {
        return Err(io::Error::other("it has no pipes"));
    };
    let tried = serde_json::to_vec(&learnt.tried().collect::<Vec<_>>())?;
    commands.write_all(&tried).await?;
    drop(commands);
    let heard = Arc::new(Mutex::new(Heard::new()));
    let listener = tasks.spawn(listen(log, Arc::clone(&heard)));
    let mut answers = BufReader::new(answers).lines();
    let too_long = loop {
        match tokio::time::timeout(FOR_A_PART, answers.next_line()).await {
            // What Blender prints itself comes before the script's own lines, and says nothing.
            Ok(Ok(Some(line))) => drop(serde_json::from_str(&line).map(|answer| learnt.take(answer))),
            Ok(_) => break false,
            Err(_) => break true,
        }
    };
    if too_long {
        child.start_kill()?;
    }
    let status = tokio::time::timeout(LAST_WORDS, child.wait()).await;
    // An error says that there is nothing left to kill.
    let _ = child.start_kill();
    let _ = tokio::time::timeout(LAST_WORDS, listener).await;
    if too_long {
        learnt.is_hasty = true;
        return Ok(format!("it took longer than {} s", FOR_A_PART.as_secs()));
    }
    let how = status.ok().and_then(Result::ok).map_or_else(String::new, |status| format!(" ({status})"));
    let text = heard.lock().unwrap_or_else(PoisonError::into_inner).tail.text();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    Ok(format!("Blender died of it{how}; its last words: {last}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn learnt(lines: &[serde_json::Value]) -> Learnt {
        let mut learnt = Learnt::default();
        for line in lines {
            learnt.take(serde_json::from_value(line.clone()).unwrap());
        }
        learnt
    }

    #[test]
    fn what_was_begun_and_not_ended_is_what_it_died_of() {
        let gpu = json!({"device": {"kind": "optix", "name": "NVIDIA RTX A4000", "id": "CUDA_NVIDIA RTX A4000_0000:01:00_OptiX"}});
        let mut known = learnt(&[
            gpu.clone(),
            json!({"begins": {"kind": "engine", "name": "CYCLES"}}),
            json!({"ended": null}),
            json!({"begins": {"kind": "engine", "name": "EEVEE"}}),
            gpu,
        ]);
        assert!(!known.is_over && known.devices.len() == 1, "{known:?}");
        known.end_part(Some("it died".to_owned()));
        assert_eq!(known.tried().collect::<Vec<_>>(), ["CYCLES", "EEVEE"]);
        assert_eq!(known.engines[1].failure.as_deref(), Some("it died"));
        known.take(serde_json::from_value(json!({"over": true})).unwrap());
        assert!(known.is_over && known.in_work.is_none());
        known.end_part(Some("nothing was in work".to_owned()));
        assert_eq!(known.engines.len() + known.denoisers.len(), 2);
    }
}
