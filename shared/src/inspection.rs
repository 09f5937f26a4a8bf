//! What an agent has found in a scene when it opened it: for people, and for the orchestrator, which refuses by it what would
//! render wrong before any frame is rendered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cause::Cause;
use crate::frames::FrameNumber;
use crate::options::{Allowance, FrameOrder, RenderOptions, Scripts};

/// What is in a .blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The Blender that saved the file.
    pub saved_by: String,
    /// The Blender that looked at it.
    pub opened_by: String,
    /// The scene that is rendered unless a job names another.
    pub active_scene: String,
    /// Its scenes.
    pub scenes: Vec<SceneFacts>,
    /// Files that it wants, as it calls them: the first thousand.
    pub files: Vec<WantedFile>,
    /// Registered texts: with scripts blocked they do not run.
    pub scripts: Vec<String>,
    /// The sounds that it plays: a farm renders pictures only.
    pub sounds: Vec<String>,
    /// The name of the colour configuration that it was looked at with.
    pub color_config: String,
    /// A rough estimate of the memory that a frame of the active scene needs, in bytes: the most that Blender had while the
    /// file was opened, 8 times the sizes of the files that it reads, and 64 for each pixel of the picture.
    pub memory_bytes: u64,
}

/// How an inspection stands that somebody has asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum InspectionStanding {
    /// It is known what is in the scene.
    Known {
        /// That.
        inspection: Box<Inspection>,
    },
    /// Agents have tried to open the scene, and could not.
    Failed {
        /// What the last of them is called.
        agent: String,
        /// Why.
        #[serde(flatten)]
        failure: InspectionFailure,
    },
    /// It has been asked for: ask again.
    // Said of the variant, as what describes the API does not know `rename_all_fields`.
    #[serde(rename_all = "camelCase")]
    Asked {
        /// What the agent is called that looks at the scene, once one does.
        agent: Option<String>,
        /// How many agents are there and take work.
        agents_online: u32,
    },
}

/// Why nobody knows what is in a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InspectionFailure {
    /// What a frame of it would fail for.
    pub cause: Cause,
    /// In words.
    pub message: String,
}

/// A scene of a .blend: Blender's datablock of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SceneFacts {
    /// Its name.
    pub name: String,
    /// Its first frame.
    pub frame_start: FrameNumber,
    /// Its last frame.
    pub frame_end: FrameNumber,
    /// Its step from one frame to the next.
    pub frame_step: u32,
    /// Frames in a second when it is played.
    pub fps: f64,
    /// Its camera.
    pub camera: Option<String>,
    /// All cameras that it has.
    pub cameras: Vec<String>,
    /// Markers that switch the camera.
    pub camera_markers: Vec<CameraMarker>,
    /// Its view layers.
    pub view_layers: Vec<ViewLayerFacts>,
    /// Its render engine.
    pub engine: String,
    /// Samples for each pixel, where the engine has such a number.
    pub samples: Option<u32>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The format of its pictures, in Blender's words.
    pub format: String,
    /// Whether that is a movie's: a farm renders stills in its place.
    pub is_movie: bool,
    /// The device that it wants: `CPU` or `GPU`, where the engine lets it choose.
    pub device: Option<String>,
    /// What Cycles would render it with, also where another engine is set: a job may choose Cycles.
    pub cycles: Option<CyclesFacts>,
    /// The denoiser that its compositor uses, if it uses one, in Blender's words.
    pub compositor_denoiser: Option<String>,
    /// Its view transform.
    pub view_transform: String,
    /// Its look.
    pub look: String,
    /// What would make a job that renders it be refused.
    pub faults: Vec<Fault>,
}

/// What Cycles renders a scene with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CyclesFacts {
    /// The device: `CPU` or `GPU`.
    pub device: String,
    /// The denoiser, if its layers are denoised, in Blender's words.
    pub denoiser: Option<String>,
}

/// A marker that switches the camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CameraMarker {
    /// From which frame on.
    pub frame: FrameNumber,
    /// To which camera.
    pub camera: String,
}

/// A view layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewLayerFacts {
    /// Its name.
    pub name: String,
    /// Whether it is rendered.
    pub renders: bool,
}

/// A file that a .blend wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedFile {
    /// Its path as the .blend has it.
    pub path: String,
    /// Whether it was there.
    pub is_present: bool,
}

/// Something that would make a scene fail, or render other than in its artist's Blender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// The cause that its frames would fail for.
    pub cause: Cause,
    /// What it is, by name, and what to do about it.
    pub message: String,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// The scene has no camera.
    NoCamera,
    /// Its engine is none of this Blender's.
    UnknownEngine,
    /// It wants files that are not there.
    MissingFiles,
    /// Its drivers need Python.
    BrokenDrivers,
    /// Its simulations are not baked.
    UnbakedSimulations,
    /// It has nodes or colour settings that this Blender does not know.
    UnknownParts,
}

impl FaultKind {
    /// Whether a job with these options does not mind it.
    #[must_use]
    pub fn is_allowed_by(self, options: &RenderOptions) -> bool {
        let allowed = |allowance| options.allow.contains(&allowance);
        match self {
            Self::NoCamera | Self::UnknownEngine => false,
            Self::MissingFiles => allowed(Allowance::MissingFiles),
            Self::BrokenDrivers => allowed(Allowance::BrokenDrivers),
            Self::UnbakedSimulations => {
                options.order == FrameOrder::Sequential || allowed(Allowance::UnbakedSimulations)
            }
            Self::UnknownParts => allowed(Allowance::UnknownParts),
        }
    }

    /// Whether a scene that has it as it is could be without it for a job with these options.
    #[must_use]
    pub fn may_be_mended_by(self, options: &RenderOptions) -> bool {
        match self {
            Self::NoCamera => options.camera.is_some(),
            Self::UnknownEngine => options.engine.is_some() || !options.addons.is_empty(),
            Self::UnknownParts => !options.addons.is_empty(),
            Self::BrokenDrivers => options.scripts == Scripts::Allowed,
            Self::MissingFiles | Self::UnbakedSimulations => false,
        }
    }
}

/// What a scene of a .blend says that matters for the choice of devices and of Blenders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SceneLook {
    /// Its name.
    pub name: String,
    /// Its render engine.
    pub engine: String,
    /// The device that it wants, where the engine lets it choose.
    pub device: Option<String>,
    /// What Cycles would render it with.
    pub cycles: Option<CyclesFacts>,
    /// The denoiser that its compositor uses.
    pub compositor_denoiser: Option<String>,
}

impl Inspection {
    /// How its scenes are rendered, the active one first.
    #[must_use]
    pub fn looks(&self) -> Vec<SceneLook> {
        let mut looks: Vec<_> = self
            .scenes
            .iter()
            .map(|SceneFacts { name, engine, device, cycles, compositor_denoiser, .. }| SceneLook {
                name: name.clone(),
                engine: engine.clone(),
                device: device.clone(),
                cycles: cycles.clone(),
                compositor_denoiser: compositor_denoiser.clone(),
            })
            .collect();
        looks.sort_by_key(|look| look.name != self.active_scene);
        looks
    }

    /// Why a job with these options would be refused by the first agent that opens the scene: in words, each naming what it is
    /// about. Empty when nothing is known against it.
    #[must_use]
    pub fn objections(&self, options: &RenderOptions) -> Vec<String> {
        let wanted = options.scene_name.as_ref().unwrap_or(&self.active_scene);
        let Some(scene) = self.scenes.iter().find(|scene| scene.name == *wanted) else {
            return vec![unknown("scene", wanted, self.scenes.iter().map(|scene| &scene.name))];
        };
        let layers = || scene.view_layers.iter().map(|layer| &layer.name);
        let layer = options.view_layer.iter().filter(|wanted| !layers().any(|name| name == *wanted));
        let camera = options.camera.iter().filter(|wanted| !scene.cameras.contains(wanted));
        let layer = layer.map(|wanted| unknown("view layer", wanted, layers()));
        let camera = camera.map(|wanted| unknown("camera", wanted, scene.cameras.iter()));
        let stands = |kind: FaultKind| !kind.is_allowed_by(options) && !kind.may_be_mended_by(options);
        let faults = scene.faults.iter().filter(|fault| stands(fault.kind));
        layer.chain(camera).chain(faults.map(|fault| fault.message.clone())).collect()
    }
}

fn unknown<'a>(what: &str, wanted: &str, there: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = there.map(|name| format!("'{name}'")).collect();
    match names.len() {
        0 => format!("there is no {what} '{wanted}', nor any other"),
        _ => format!("there is no {what} '{wanted}': choose one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(name: &str, faults: Vec<Fault>) -> SceneFacts {
        SceneFacts {
            name: name.to_owned(),
            frame_start: FrameNumber::try_from(1).unwrap(),
            frame_end: FrameNumber::try_from(250).unwrap(),
            frame_step: 1,
            fps: 24.0,
            camera: None,
            cameras: vec!["Left".to_owned(), "Right".to_owned()],
            camera_markers: Vec::new(),
            view_layers: vec![ViewLayerFacts { name: "Beauty".to_owned(), renders: true }],
            engine: "CYCLES".to_owned(),
            samples: Some(4),
            width: 64,
            height: 36,
            format: "PNG".to_owned(),
            is_movie: false,
            device: Some("CPU".to_owned()),
            cycles: None,
            compositor_denoiser: None,
            view_transform: "Filmic".to_owned(),
            look: "None".to_owned(),
            faults,
        }
    }

    #[test]
    fn what_would_render_wrong_is_known_before_it_does() {
        let fault = |kind, message: &str| Fault { kind, cause: Cause::BadScene, message: message.to_owned() };
        let faults = vec![
            fault(FaultKind::NoCamera, "no camera"),
            fault(FaultKind::UnknownEngine, "no engine"),
            fault(FaultKind::MissingFiles, "no file"),
            fault(FaultKind::BrokenDrivers, "no driver"),
            fault(FaultKind::UnbakedSimulations, "no bake"),
            fault(FaultKind::UnknownParts, "no node"),
        ];
        let inspection = Inspection {
            saved_by: "3.4.1".to_owned(),
            opened_by: "5.0.1".to_owned(),
            active_scene: "Good".to_owned(),
            scenes: vec![scene("Good", Vec::new()), scene("Bad", faults)],
            files: Vec::new(),
            scripts: Vec::new(),
            sounds: Vec::new(),
            color_config: String::new(),
            memory_bytes: 0,
        };
        let text = |text: &str| Some(text.to_owned());
        let none = RenderOptions::default;
        let bad = || RenderOptions { scene_name: text("Bad"), ..none() };
        let cases = [
            (none(), vec![]),
            (RenderOptions { camera: text("Left"), view_layer: text("Beauty"), ..none() }, vec![]),
            (
                RenderOptions { camera: text("Top"), view_layer: text("Fog"), ..none() },
                vec![
                    "there is no view layer 'Fog': choose one of 'Beauty'",
                    "there is no camera 'Top': choose one of 'Left', 'Right'",
                ],
            ),
            (
                RenderOptions { scene_name: text("Ugly"), ..none() },
                vec!["there is no scene 'Ugly': choose one of 'Good', 'Bad'"],
            ),
            (bad(), vec!["no camera", "no engine", "no file", "no driver", "no bake", "no node"]),
            (
                RenderOptions {
                    camera: text("Left"),
                    engine: text("CYCLES"),
                    scripts: Scripts::Allowed,
                    order: FrameOrder::Sequential,
                    ..bad()
                },
                vec!["no file", "no node"],
            ),
            (
                RenderOptions { allow: Allowance::ALL.map(|(allowance, _)| allowance).into(), ..bad() },
                vec!["no camera", "no engine"],
            ),
            (
                RenderOptions { addons: ["nodes".to_owned()].into(), ..bad() },
                vec!["no camera", "no file", "no driver", "no bake"],
            ),
        ];
        for (options, objections) in cases {
            assert_eq!(inspection.objections(&options), objections, "{options:?}");
        }
    }
}
