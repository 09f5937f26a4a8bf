//! What a Blender can do on this machine, found out once: its devices as it reports them itself, and each engine and denoiser by
//! a tiny render. That happens in a short process of its own, in the jail: what is tried there may crash or hang, and that it
//! does so is what is learnt of it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haywain_shared::devices::{DeviceFacts, PartFacts};
use haywain_shared::protocol::{BlenderFacts, GpuFacts};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::task::TaskTracker;

use super::Blender;
use super::known::Known;
use super::launch::{Surroundings, spawn};
use super::signs::{Heard, listen};
use crate::gpus;
use crate::jail::{BLENDER, Belongings, FRAMES, Jailer, Strength, Walls};

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
    /// How strong that is here: in another one everything is to be found out anew, too.
    pub strength: Strength,
    /// The agent's data folder, which keeps its mark.
    pub data_dir: &'a Path,
    /// A folder that nobody else uses meanwhile.
    pub workplace: &'a Path,
    /// The machine's GPUs as the system tells of them: with others everything is to be found out anew.
    pub gpus: &'a [GpuFacts],
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
    /// What was begun is none of this Blender's.
    Lacks(String),
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
    /// Those that Blender has and that failed.
    failed: BTreeSet<String>,
    in_work: Option<Part>,
    is_over: bool,
    /// Whether time ran out for a part, which may be the fault of what else the machine did.
    is_hasty: bool,
}

impl Learnt {
    /// What is known already, but for the parts that are to be tried again.
    fn before(facts: &BlenderFacts, again: &BTreeSet<String>) -> Self {
        let stays = |parts: &[PartFacts]| parts.iter().filter(|part| !again.contains(&part.name)).cloned().collect();
        let (engines, denoisers) = (stays(&facts.engines), stays(&facts.denoisers));
        Self { devices: facts.devices.clone(), engines, denoisers, ..Self::default() }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Device(device) if !self.devices.contains(&device) => self.devices.push(device),
            Answer::Device(_) => {}
            Answer::Begins(part) => self.in_work = Some(part),
            Answer::Ended(None) => self.end_part(None),
            Answer::Ended(Some(failure)) => self.fail_part(failure),
            Answer::Lacks(what) => self.end_part(Some(what)),
            Answer::Over(is_over) => self.is_over = is_over,
        }
    }

    fn fail_part(&mut self, failure: String) {
        self.failed.extend(self.in_work.as_ref().map(|part| part.name.clone()));
        self.end_part(Some(failure));
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

/// Finds out of each Blender what is not known of it yet, and what has failed before.
pub async fn find_out(blenders: &mut [Blender], known: &mut Known, laboratory: Laboratory<'_>) {
    let circumstances = format!("{}; sandbox {}", gpus::and_drivers(laboratory.gpus), laboratory.strength.word());
    for blender in blenders {
        let again = known.to_be_tried_again(&blender.path, &circumstances);
        if again.is_some_and(BTreeSet::is_empty) && !misses_a_gpu(laboratory.gpus, &blender.facts.devices) {
            continue;
        }
        tracing::info!(%blender, ?again, "finding out what it can do on this machine");
        let before = again.map(|again| Learnt::before(&blender.facts, again));
        let is_known = before.is_some();
        let learnt = try_out(blender, laboratory, before.unwrap_or_default()).await;
        for part in learnt.engines.iter().chain(&learnt.denoisers) {
            if let Some(reason) = &part.failure {
                tracing::info!(%blender, part = part.name, reason, "does not work here");
            }
        }
        let Learnt { devices, engines, denoisers, failed, is_over, is_hasty, in_work: _ } = learnt;
        if is_known && !is_over {
            // Then what was known is more.
            continue;
        }
        blender.facts = BlenderFacts { build: blender.facts.build.clone(), devices, engines, denoisers };
        if is_over && !is_hasty {
            known.tried(blender, &circumstances, failed);
        }
    }
}

/// Whether there is a GPU that a Blender does not compute with: what that takes may have been installed.
fn misses_a_gpu(gpus: &[GpuFacts], devices: &[DeviceFacts]) -> bool {
    !gpus.is_empty() && !devices.iter().any(|device| device.kind.is_compute_gpu())
}

/// Starts it again without what it died of, until nothing is left to try.
async fn try_out(blender: &Blender, laboratory: Laboratory<'_>, mut learnt: Learnt) -> Learnt {
    loop {
        let died = one_life(blender, laboratory, &mut learnt).await.unwrap_or_else(|error| error.to_string());
        if learnt.is_over {
            return learnt;
        }
        if learnt.in_work.is_none() {
            tracing::warn!(%blender, reason = died, "what it can do could not be found out");
            return learnt;
        }
        learnt.fail_part(died);
    }
}

/// What is learnt in one life of the script; how that ended, if before its time.
async fn one_life(blender: &Blender, laboratory: Laboratory<'_>, learnt: &mut Learnt) -> io::Result<String> {
    let Laboratory { jailer, data_dir, workplace, gpus: _, tasks, strength: _ } = laboratory;
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
        data_dir,
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
        known.fail_part("it died".to_owned());
        assert_eq!(known.tried().collect::<Vec<_>>(), ["CYCLES", "EEVEE"]);
        assert_eq!(known.engines[1].failure.as_deref(), Some("it died"));
        known.take(serde_json::from_value(json!({"over": true})).unwrap());
        assert!(known.is_over && known.in_work.is_none());
        known.fail_part("nothing was in work".to_owned());
        assert_eq!(known.engines.len() + known.denoisers.len(), 2);
    }

    #[test]
    fn a_gpu_that_blender_does_not_use_is_asked_for_again() {
        let device = |kind: &str| serde_json::from_value(json!({"kind": kind, "name": "any", "id": "any"})).unwrap();
        let (plain, able): (Vec<DeviceFacts>, Vec<DeviceFacts>) =
            (vec![device("cpu"), device("graphics")], vec![device("cpu"), device("hip")]);
        let card = [GpuFacts { name: "a card".to_owned(), memory_bytes: None }];
        let cases = [(&card[..], &plain, true), (&card[..], &able, false), (&[], &plain, false)];
        for (gpus, devices, misses) in cases {
            assert_eq!(misses_a_gpu(gpus, devices), misses, "{gpus:?} {devices:?}");
        }
    }

    #[test]
    fn what_failed_is_tried_again_and_what_is_not_there_is_not() {
        let known = learnt(&[
            json!({"device": {"kind": "cpu", "name": "EPYC", "id": "CPU"}}),
            json!({"begins": {"kind": "engine", "name": "CYCLES"}}),
            json!({"ended": null}),
            json!({"begins": {"kind": "engine", "name": "EEVEE"}}),
            json!({"ended": "no library that draws"}),
            json!({"begins": {"kind": "denoiser", "name": "OPTIX"}}),
            json!({"lacks": "Blender does not offer the OptiX denoiser here"}),
            json!({"over": true}),
        ]);
        assert_eq!(known.failed, BTreeSet::from(["EEVEE".to_owned()]));
        let Learnt { devices, engines, denoisers, failed, .. } = known;
        let build = serde_json::from_value(json!({"version": "5.0.1", "kind": "program"})).unwrap();
        let facts = BlenderFacts { build, devices, engines, denoisers };
        let mut again = Learnt::before(&facts, &failed);
        assert_eq!(again.tried().collect::<Vec<_>>(), ["CYCLES", "OPTIX"]);
        for answer in [json!({"begins": {"kind": "engine", "name": "EEVEE"}}), json!({"ended": null})] {
            again.take(serde_json::from_value(answer).unwrap());
        }
        assert!(again.failed.is_empty() && again.engines.iter().all(|engine| engine.failure.is_none()), "{again:?}");
        assert_eq!(again.devices, facts.devices);
    }
}
