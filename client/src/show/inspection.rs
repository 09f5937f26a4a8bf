//! What is in a scene, for people: the report, and what a plain submission would be refused for, with the flags that let it go on.

use haywain_shared::inspection::{FaultKind, Inspection, SceneFacts};
use haywain_shared::options::RenderOptions;
use haywain_shared::scene::SceneReport;
use serde::Serialize;

use super::Style;
use super::words::bytes;

/// The most names that are listed.
const MOST: usize = 20;

/// Something that a plain submission would be refused for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objection {
    /// What it is.
    pub message: String,
    /// The flags of `haywain submit` by which it goes on.
    pub flags: Vec<&'static str>,
}

/// What speaks against rendering a scene as it is. `missing` are files that it was sent without.
#[must_use]
pub fn objections(inspection: &Inspection, missing: &[String]) -> Vec<Objection> {
    let plain = RenderOptions::default();
    let Some(scene) = inspection.scenes.iter().find(|scene| scene.name == inspection.active_scene) else {
        let messages = inspection.objections(&plain).into_iter();
        return messages.map(|message| Objection { message, flags: vec!["--scene-name NAME"] }).collect();
    };
    let faults = scene.faults.iter().filter(|fault| !fault.kind.is_allowed_by(&plain));
    let mut all: Vec<_> =
        faults.map(|fault| Objection { message: fault.message.clone(), flags: flags_for(fault.kind, scene) }).collect();
    if !missing.is_empty() && !scene.faults.iter().any(|fault| fault.kind == FaultKind::MissingFiles) {
        let message = format!("The scene was sent without files that it wants: {}", some(missing));
        all.push(Objection { message, flags: flags_for(FaultKind::MissingFiles, scene) });
    }
    all
}

fn flags_for(kind: FaultKind, scene: &SceneFacts) -> Vec<&'static str> {
    match kind {
        FaultKind::NoCamera if scene.cameras.is_empty() => Vec::new(),
        FaultKind::NoCamera => vec!["--camera NAME"],
        FaultKind::UnknownEngine => vec!["--engine NAME", "--addon NAME"],
        FaultKind::MissingFiles => vec!["--allow-missing"],
        FaultKind::BrokenDrivers => vec!["--scripts", "--allow-broken-drivers"],
        FaultKind::UnbakedSimulations => vec!["--order sequential", "--allow-unbaked"],
        FaultKind::UnknownParts => vec!["--addon NAME", "--color-config FILE", "--allow-unknown"],
    }
}

/// The report.
#[must_use]
pub fn inspected(scene: &SceneReport, inspection: &Inspection, against: &[Objection], style: Style) -> String {
    let Inspection { saved_by, opened_by, memory_bytes, color_config, .. } = inspection;
    let mut lines = vec![
        style.heading(&format!("{}, saved by Blender {}", scene.manifest.entry, release(saved_by))),
        line("scene", &scene.scene_id.to_string()),
        line("opened by", &format!("Blender {opened_by}, with the colours of {color_config}")),
        line("memory", &format!("about {} for a frame", bytes(*memory_bytes))),
    ];
    for facts in &inspection.scenes {
        let role = if facts.name == inspection.active_scene { "" } else { " (--scene-name renders it)" };
        lines.push(style.heading(&format!("Scene '{}'{role}", facts.name)));
        lines.extend(facts_of(facts));
        if facts.name != inspection.active_scene {
            lines.extend(facts.faults.iter().map(|fault| line("fault", &fault.message)));
        }
    }
    let lacking: Vec<_> = inspection.files.iter().filter(|file| !file.is_present).map(|file| &file.path).collect();
    lines.push(style.heading("What comes with it"));
    lines.push(line("files", &format!("{} wanted, {} of them not there", inspection.files.len(), lacking.len())));
    if !lacking.is_empty() {
        lines.push(line("not there", &some(&lacking)));
    }
    if !inspection.scripts.is_empty() {
        lines.push(line("scripts", &format!("{} (they run only with --scripts)", some(&inspection.scripts))));
    }
    if !inspection.sounds.is_empty() {
        lines.push(line("sounds", &format!("{} (a farm renders pictures only)", some(&inspection.sounds))));
    }
    lines.push(String::new());
    if against.is_empty() {
        lines.push("Nothing speaks against rendering it.".to_owned());
    } else {
        lines.push(style.heading("A plain submit would be refused:"));
        for Objection { message, flags } in against {
            lines.push(format!("  - {message}"));
            if !flags.is_empty() {
                lines.push(format!("    It goes on with {}", flags.join(", or ")));
            }
        }
    }
    lines.join("\n")
}

fn facts_of(facts: &SceneFacts) -> Vec<String> {
    let step = if facts.frame_step == 1 { String::new() } else { format!(", step {}", facts.frame_step) };
    let camera = facts.camera.as_deref().unwrap_or("none");
    let others: Vec<_> = facts.cameras.iter().filter(|name| Some(*name) != facts.camera.as_ref()).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (there are also {})", some(&others)) };
    let layers = facts.view_layers.iter();
    let layers: Vec<_> =
        layers.map(|layer| format!("{}{}", layer.name, if layer.renders { "" } else { " (not rendered)" })).collect();
    let samples = facts.samples.map(|samples| format!(", {samples} samples")).unwrap_or_default();
    let device = facts.device.as_ref().map(|device| format!(", on the {device}")).unwrap_or_default();
    let movie = if facts.is_movie { ": a movie, in whose place stills are rendered" } else { "" };
    let mut lines = vec![
        line("frames", &format!("{}-{}{step}, {} fps", facts.frame_start, facts.frame_end, fps(facts.fps))),
        line("camera", &format!("{camera}{others}")),
        line("layers", &some(&layers)),
        line("engine", &format!("{}{samples}{device}", facts.engine)),
        line("picture", &format!("{} x {}, {}{movie}", facts.width, facts.height, facts.format)),
        line("colours", &format!("{}, look {}", facts.view_transform, facts.look)),
    ];
    if !facts.camera_markers.is_empty() {
        let markers = facts.camera_markers.iter();
        let markers: Vec<_> = markers.map(|marker| format!("{} from frame {}", marker.camera, marker.frame)).collect();
        lines.insert(2, line("markers", &some(&markers)));
    }
    lines
}

fn line(what: &str, value: &str) -> String {
    format!("  {what:<10} {value}")
}

/// `3.4` of `3.4.6`: what comes last in a .blend counts changes of the format.
fn release(version: &str) -> &str {
    version.match_indices('.').nth(1).map_or(version, |(end, _)| &version[..end])
}

/// Without zeros at the end.
fn fps(fps: f64) -> String {
    format!("{fps:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The first of many names.
fn some<T: AsRef<str>>(names: &[T]) -> String {
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(MOST);
    if rest == 0 { first.join(", ") } else { format!("{} and {rest} more", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inspection() -> Inspection {
        let fault = |kind, message| json!({"kind": kind, "cause": "bad_scene", "message": message});
        let scene = |name, faults: &[serde_json::Value]| {
            json!({
                "name": name, "frameStart": 1, "frameEnd": 20, "frameStep": 2, "fps": 23.976, "camera": "Left",
                "cameras": ["Left", "Right"], "cameraMarkers": [{"frame": 9, "camera": "Right"}],
                "viewLayers": [{"name": "Beauty", "renders": true}, {"name": "Fog", "renders": false}],
                "engine": "CYCLES", "samples": 4, "width": 64, "height": 36, "format": "FFMPEG", "isMovie": true,
                "device": "GPU", "viewTransform": "Filmic", "look": "None", "faults": faults,
            })
        };
        let kinds =
            ["noCamera", "unknownEngine", "missingFiles", "brokenDrivers", "unbakedSimulations", "unknownParts"];
        let document = json!({
            "savedBy": "3.4.1", "openedBy": "5.0.1", "activeScene": "Bad",
            "scenes": [scene("Bad", &kinds.map(|kind| fault(kind, kind))), scene("Good", &[fault("noCamera", "dark")])],
            "files": [{"path": "//a.png", "isPresent": false}, {"path": "//b.png", "isPresent": true}],
            "scripts": ["rig.py"], "sounds": ["song.wav"], "colorConfig": "Blender 5.0.1", "memoryBytes": 1_500_000_000_u64,
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn each_fault_is_said_with_the_flag_that_goes_on() {
        let all = objections(&inspection(), &["//a.png".to_owned()]);
        let said: Vec<_> = all.iter().map(|found| (found.message.as_str(), found.flags.join(" "))).collect();
        let expected = [
            ("noCamera", "--camera NAME"),
            ("unknownEngine", "--engine NAME --addon NAME"),
            ("missingFiles", "--allow-missing"),
            ("brokenDrivers", "--scripts --allow-broken-drivers"),
            ("unbakedSimulations", "--order sequential --allow-unbaked"),
            ("unknownParts", "--addon NAME --color-config FILE --allow-unknown"),
        ];
        assert_eq!(said, expected.map(|(message, flags)| (message, flags.to_owned())));
        let mut good = inspection();
        good.scenes[0].faults.clear();
        assert_eq!(objections(&good, &[]), []);
        let lacking = objections(&good, &["//a.png".to_owned()]);
        assert!(lacking[0].message.ends_with("without files that it wants: //a.png"), "{lacking:?}");
    }

    #[test]
    fn the_report_says_all_that_a_person_looks_for() {
        let scene = json!({
            "sceneId": "ab".repeat(32), "manifest": {"entry": "shot.blend", "files": []}, "sizeBytes": 1,
            "missingBlobs": [], "inspection": null, "touchedAt": "2026-01-01T00:00:00Z",
        });
        let (scene, inspection) = (serde_json::from_value(scene).unwrap(), inspection());
        let text = inspected(&scene, &inspection, &objections(&inspection, &[]), Style::Plain);
        for words in [
            "shot.blend, saved by Blender 3.4\n",
            "Blender 5.0.1, with the colours of Blender 5.0.1",
            "about 1.5 GB",
            "Scene 'Good' (--scene-name renders it)",
            "1-20, step 2, 23.976 fps",
            "Left (there are also Right)",
            "Right from frame 9",
            "Beauty, Fog (not rendered)",
            "CYCLES, 4 samples, on the GPU",
            "64 x 36, FFMPEG: a movie, in whose place stills are rendered",
            "Filmic, look None",
            "fault      dark",
            "2 wanted, 1 of them not there",
            "not there  //a.png",
            "rig.py (they run only with --scripts)",
            "song.wav (a farm renders pictures only)",
            "A plain submit would be refused:",
            "It goes on with --scripts, or --allow-broken-drivers",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
        assert!(inspected(&scene, &inspection, &[], Style::Plain).ends_with("Nothing speaks against rendering it."));
    }
}
