//! The Blenders of this machine: which there are, what they are put into, what they can render with, and one frame of each.

use std::path::Path;
use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::frames::FrameNumber;
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{BlenderFacts, InspectionWish};
use tokio_util::task::TaskTracker;

use super::Finding;
use crate::blender::known::Known;
use crate::blender::probe::{self, Laboratory};
use crate::blender::session::{Failure, Opening, Patience, Terms};
use crate::blender::specimen::{self, SIZE};
use crate::blender::studio::{BlenderStudio, Studio as _};
use crate::blender::{Blender, find};
use crate::config::Settings;
use crate::jail::{FRAMES, Jailer, Sandbox, Strength};
use crate::{gpus, output};

/// How long the frame may take: it is tiny, and a slow machine may compile for minutes before.
const FOR_THE_FRAME: Duration = Duration::from_mins(10);

pub(super) async fn check(
    settings: &Settings,
    workplace: &Path,
    tasks: &TaskTracker,
    tell: &mut impl FnMut(Vec<Finding>),
) {
    // Nothing that an agent has found out before: it may be what is wrong.
    let mut known = Known::read(workplace);
    let mut blenders = match find::blenders(&settings.blender, &mut known).await {
        Ok(blenders) => blenders,
        Err(error) => {
            let advice = match error {
                find::NotFound::NotABlender { .. } => {
                    "look at --blender: a Blender program, or a Python that has the bpy module"
                }
                find::NotFound::Nowhere => "without a Blender there is nothing to render with",
            };
            return tell(vec![Finding::bad("Blender", error.to_string(), advice)]);
        }
    };
    tell(blenders.iter().map(|blender| Finding::good("Blender", blender.to_string())).collect());
    let Ok(program) = std::env::current_exe() else {
        return tell(vec![Finding::bad("sandbox", "this program does not find its own file", "install it anew")]);
    };
    let jailer = Jailer::new(program, settings.sandbox);
    let strength = jailer.strength();
    let built = strength.as_ref().map_or(Strength::None, |strength| *strength);
    tell(vec![sandbox(settings.sandbox, strength)]);
    let seen = gpus::seen();
    let names: Vec<_> = seen.iter().map(|gpu| gpu.name.clone()).collect();
    let laboratory =
        Laboratory { jailer: &jailer, strength: built, data_dir: workplace, workplace, gpus: &seen, tasks };
    probe::find_out(&mut blenders, &mut known, laboratory).await;
    for blender in &blenders {
        tell(devices(&blender.facts, &names));
        tell(vec![frame(blender, laboratory).await]);
    }
}

/// How strong the walls are around Blender.
fn sandbox(wanted: Sandbox, found: std::io::Result<Strength>) -> Finding {
    let advice = "Linux 6.12 or newer has all of it; in a container see that it allows Landlock";
    match (wanted, found) {
        (_, Err(error)) => Finding::bad("sandbox", format!("it could not be tried: {error}"), advice),
        (_, Ok(Strength::Full)) => Finding::good("sandbox", "Blender is kept from other files and the network"),
        (Sandbox::Require, Ok(strength)) => {
            let seen =
                format!("this system can build only a {} one, and --sandbox require wants all of it", strength.word());
            Finding::bad("sandbox", seen, advice)
        }
        (Sandbox::Off, Ok(_)) => Finding::doubtful(
            "sandbox",
            "it is switched off",
            "leave out --sandbox off: Blender can do what the agent's user can",
        ),
        (Sandbox::Auto, Ok(strength)) => {
            let seen = format!("{}: Blender can do some or all of what the agent's user can", strength.word());
            Finding::doubtful("sandbox", seen, advice)
        }
    }
}

/// What a Blender can render with; `gpus` are those that the system tells of.
fn devices(facts: &BlenderFacts, gpus: &[String]) -> Vec<Finding> {
    let version = &facts.build.version;
    let named: Vec<_> = facts.devices.iter().map(|device| format!("{} ({})", device.name, device.kind)).collect();
    let working = facts.engines.iter().filter(|engine| engine.failure.is_none());
    let engines: Vec<_> = working.map(|engine| engine.name.as_str()).collect();
    if engines.is_empty() {
        let reason = facts.engines.iter().find_map(|engine| engine.failure.clone()).unwrap_or_default();
        let advice = "start this Blender by hand and see what it says; install it anew, or another version";
        return vec![Finding::bad("devices", format!("{version} renders nothing here: {reason}"), advice)];
    }
    let seen = format!("{version} renders {} with {}", engines.join(", "), named.join(", "));
    let mut findings = vec![Finding::good("devices", seen)];
    for engine in &facts.engines {
        if let Some(reason) = &engine.failure {
            let advice = "jobs that need it go to other agents";
            findings.push(Finding::doubtful("devices", format!("{version} has no {}: {reason}", engine.name), advice));
        }
    }
    let computes = facts.devices.iter().any(|device| DeviceKind::GPUS.contains(&device.kind));
    if !gpus.is_empty() && !computes {
        let seen = format!("Cycles of {version} does not compute with {}", gpus.join(", "));
        let advice = "install the GPU's driver (for NVIDIA the proprietary one), and let the agent's user use it: groups video and render";
        findings.push(Finding::doubtful("devices", seen, advice));
    }
    findings
}

/// One frame of a scene of Blender's own.
async fn frame(blender: &Blender, laboratory: Laboratory<'_>) -> Finding {
    let version = &blender.facts.build.version;
    match rendered(blender, laboratory).await {
        Ok((engine, render_ms)) => {
            let (width, height) = SIZE;
            Finding::good(
                "frame",
                format!("{version} has rendered {width} by {height} pixels with {engine} in {render_ms} ms"),
            )
        }
        Err(reason) => {
            let advice =
                "no job would do better here: see the reason, and start this Blender by hand if that does not help";
            Finding::bad("frame", format!("{version} has rendered none: {reason}"), advice)
        }
    }
}

/// Renders it as frames of jobs are: in the jail, by the driver, looked at afterwards. The engine, and how long it took.
async fn rendered(blender: &Blender, laboratory: Laboratory<'_>) -> Result<(String, u64), String> {
    let working = blender.facts.engines.iter().find(|engine| engine.failure.is_none());
    let engine = working.ok_or("none of its engines works here")?.name.clone();
    let scene = specimen::make(blender, &engine, laboratory).await.map_err(|error| error.to_string())?;
    let Laboratory { jailer, data_dir, workplace, gpus: _, tasks, strength: _ } = laboratory;
    let studio = BlenderStudio {
        blenders: vec![blender.clone()],
        addons: None,
        jailer: jailer.clone(),
        scenes: scene.root.clone(),
        data_dir: data_dir.to_owned(),
        patience: Patience::default(),
        tasks: tasks.clone(),
    };
    let folder = workplace.join(FRAMES).join("doctor");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let started = studio.start(&blender.facts.build, workplace, None, Scripts::Blocked).await;
    let mut session = started.map_err(|failure| failure.to_string())?;
    let options = RenderOptions::default();
    let opening = Opening { options: &options, inspection: InspectionWish::Known };
    let terms = Terms { frame_timeout: Some(FOR_THE_FRAME), ..Terms::default() };
    let attempt = async {
        session.open(&scene, opening).await?;
        let number = FrameNumber::try_from(1_i64).map_err(|error| Failure::new(Cause::BadScene, error.to_string()))?;
        session.render(number, &folder, terms, &mut |_| {}).await
    };
    let frame = attempt.await;
    session.end().await;
    let frame = frame.map_err(|failure| failure.to_string())?;
    let output = output::check(&folder, &frame.files).map_err(|error| error.to_string())?;
    match output.files.first() {
        Some(file) if (file.width, file.height) == SIZE => Ok((engine, frame.render_ms)),
        Some(file) => Err(format!("it has {} by {} pixels, which nobody asked for", file.width, file.height)),
        None => Err("it has left no file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::devices::{DeviceFacts, PartFacts};
    use haywain_shared::protocol::{BlenderBuild, BlenderKind};

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn walls_are_as_strong_as_they_are_wanted() {
        let broken = || Err(std::io::Error::other("no such program"));
        for (wanted, found, expected) in [
            (Sandbox::Auto, Ok(Strength::Full), Verdict::Good),
            (Sandbox::Require, Ok(Strength::Full), Verdict::Good),
            (Sandbox::Auto, Ok(Strength::Partial), Verdict::Doubtful),
            (Sandbox::Auto, Ok(Strength::None), Verdict::Doubtful),
            (Sandbox::Require, Ok(Strength::Partial), Verdict::Bad),
            (Sandbox::Require, Ok(Strength::None), Verdict::Bad),
            (Sandbox::Off, Ok(Strength::None), Verdict::Doubtful),
            (Sandbox::Auto, broken(), Verdict::Bad),
        ] {
            let case = format!("{wanted:?}, {found:?}");
            let finding = sandbox(wanted, found);
            assert_eq!(finding.verdict, expected, "{case}");
            assert_eq!(finding.advice.is_none(), expected == Verdict::Good, "{case}");
        }
    }

    #[test]
    fn what_does_not_render_is_said_with_its_reason() {
        let part = |name: &str, failure: Option<&str>| PartFacts {
            name: name.to_owned(),
            failure: failure.map(str::to_owned),
        };
        let build = BlenderBuild { version: "4.2.0".to_owned(), kind: BlenderKind::Program };
        let cpu = DeviceFacts { kind: DeviceKind::Cpu, name: "AMD EPYC".to_owned(), id: "CPU".to_owned() };
        let facts = |devices: &[&DeviceFacts], engines: &[&PartFacts]| BlenderFacts {
            build: build.clone(),
            devices: devices.iter().copied().cloned().collect(),
            engines: engines.iter().copied().cloned().collect(),
            denoisers: Vec::new(),
        };
        let verdicts = |findings: &[Finding]| findings.iter().map(|finding| finding.verdict).collect::<Vec<_>>();
        let cycles = part("CYCLES", None);
        let findings = devices(&facts(&[&cpu], &[&cycles]), &[]);
        assert_eq!(verdicts(&findings), [Verdict::Good]);
        assert!(findings[0].seen.contains("CYCLES with AMD EPYC"), "{findings:?}");
        let eevee = part("EEVEE", Some("no display"));
        let findings = devices(&facts(&[&cpu], &[&cycles, &eevee]), &[]);
        assert_eq!(verdicts(&findings), [Verdict::Good, Verdict::Doubtful]);
        assert!(findings[1].seen.contains("no EEVEE: no display"), "{findings:?}");
        let findings = devices(&facts(&[&cpu], &[&eevee]), &[]);
        assert_eq!(verdicts(&findings), [Verdict::Bad]);
        assert!(findings[0].seen.contains("no display"), "{findings:?}");
        let gpu = "NVIDIA RTX A4000".to_owned();
        let findings = devices(&facts(&[&cpu], &[&cycles]), std::slice::from_ref(&gpu));
        assert_eq!(verdicts(&findings), [Verdict::Good, Verdict::Doubtful]);
        let optix = DeviceFacts { kind: DeviceKind::Optix, name: gpu.clone(), id: "OPTIX".to_owned() };
        assert_eq!(verdicts(&devices(&facts(&[&cpu, &optix], &[&cycles]), &[gpu])), [Verdict::Good]);
    }
}
