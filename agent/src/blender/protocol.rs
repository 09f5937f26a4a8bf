//! What agent and driver say to each other: one JSON object a line. The driver's side is Python, in the folder
//! `driver` beside this file.

use std::path::Path;

use haywain_shared::blender_python;
use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::frames::FrameNumber;
use haywain_shared::inspection::{Fault, Inspection};
use haywain_shared::options::RenderOptions;
use haywain_shared::protocol::InspectionWish;
use haywain_shared::scene::Place;
use serde::{Deserialize, Serialize};

/// The driver: its files, by their paths in the folder that it is started from. The first is the script to run.
pub const DRIVER: [(&str, &str); 25] = [
    ("driver.py", include_str!("driver/driver.py")),
    ("haywain/bakes.py", include_str!("driver/haywain/bakes.py")),
    ("haywain/blendfile.py", include_str!("driver/haywain/blendfile.py")),
    ("haywain/channel.py", include_str!("driver/haywain/channel.py")),
    ("haywain/denoising.py", include_str!("driver/haywain/denoising.py")),
    ("haywain/devices.py", include_str!("driver/haywain/devices.py")),
    ("haywain/failures.py", include_str!("driver/haywain/failures.py")),
    ("haywain/faults.py", include_str!("driver/haywain/faults.py")),
    ("haywain/inspection.py", include_str!("driver/haywain/inspection.py")),
    ("haywain/images.py", include_str!("driver/haywain/images.py")),
    ("haywain/mapping.py", include_str!("driver/haywain/mapping.py")),
    ("haywain/names.py", include_str!("driver/haywain/names.py")),
    ("haywain/needs.py", include_str!("driver/haywain/needs.py")),
    ("haywain/nodepaths.py", blender_python::NODE_PATHS),
    ("haywain/opening.py", include_str!("driver/haywain/opening.py")),
    ("haywain/options.py", include_str!("driver/haywain/options.py")),
    ("haywain/outputs.py", include_str!("driver/haywain/outputs.py")),
    ("haywain/ownfiles.py", include_str!("driver/haywain/ownfiles.py")),
    ("haywain/places.py", include_str!("driver/haywain/places.py")),
    ("haywain/rendering.py", include_str!("driver/haywain/rendering.py")),
    ("haywain/scripts.py", include_str!("driver/haywain/scripts.py")),
    ("haywain/simulations.py", include_str!("driver/haywain/simulations.py")),
    ("haywain/views.py", blender_python::VIEWS),
    ("probe.py", include_str!("driver/probe.py")),
    ("specimen.py", include_str!("driver/specimen.py")),
];

/// The version of this protocol that the driver must speak.
pub const PROTOCOL: u32 = 1;

/// What the agent asks for.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command<'a> {
    /// Open a scene.
    Open {
        /// The .blend.
        path: &'a Path,
        /// The folder with all files of the scene.
        root: &'a Path,
        /// Where in that folder files lie that had other places once.
        places: &'a [Place],
        /// What the job asks.
        options: &'a RenderOptions,
        /// Whether the answer is to say what is in the scene.
        inspection: InspectionWish,
        /// Where add-ons lie that the job may name.
        #[serde(skip_serializing_if = "Option::is_none")]
        addons_folder: Option<&'a Path>,
    },
    /// Render a frame of the open scene.
    Render {
        /// The frame.
        frame: FrameNumber,
        /// An empty folder for its files.
        directory: &'a Path,
        /// Threads to use; 0 leaves it to Blender.
        threads: u32,
        /// What to render it with, where that is the agent's to say.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<&'a DeviceOrder>,
    },
    /// End.
    Quit,
}

/// What a frame is to be rendered with: all of that, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceOrder {
    /// The kind.
    pub kind: DeviceKind,
    /// Which of that kind, by Blender's ids.
    pub ids: Vec<String>,
}

/// What the driver says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// It runs.
    Ready {
        /// The version of the protocol that it speaks.
        protocol: u32,
        /// Blender's version.
        blender: String,
        /// Its process.
        pid: u32,
    },
    /// The scene is open.
    Opened {
        /// Its render engine.
        engine: String,
        /// The device that it wants, where the engine lets it choose: `CPU` or `GPU`.
        #[serde(default)]
        device: Option<String>,
        /// The formats of its images, in Blender's words, that of the main picture first.
        formats: Vec<String>,
        /// What a person should know: what was changed, what to look out for.
        notes: Vec<String>,
        /// What is wrong with it: rendered all the same, if the job allows it.
        faults: Vec<Fault>,
    },
    /// What is in the scene that is being opened, if that was asked for.
    Inspected {
        /// It.
        inspection: Box<Inspection>,
    },
    /// What Blender says while it renders.
    Stats {
        /// A line for its status bar.
        text: String,
    },
    /// A frame is rendered.
    Rendered {
        /// Which.
        frame: FrameNumber,
        /// Its files, the picture first.
        files: Vec<RenderedFile>,
        /// How long it took.
        render_ms: u64,
        /// The most memory that the process has had so far, where the system tells.
        peak_memory_bytes: Option<u64>,
    },
    /// The command that was asked for has failed. The process lives on.
    Failed {
        /// Why.
        cause: Cause,
        /// In words.
        message: String,
        /// The most memory that the process has had so far, where the system tells.
        #[serde(default)]
        peak_memory_bytes: Option<u64>,
    },
    /// The driver did not understand.
    Error {
        /// What.
        message: String,
    },
}

/// A file that a frame made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RenderedFile {
    /// Its name in the frame's folder, with forward slashes.
    pub name: String,
    /// Pixels across that the scene asks for, where the driver can tell.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_are_what_the_driver_reads() {
        let frame = FrameNumber::try_from(-3).unwrap();
        let cases = [
            (
                Command::Open {
                    path: Path::new("/s/a.blend"),
                    root: Path::new("/s"),
                    places: &[
                        Place { original: "D:\\tex".to_owned(), path: Some("tex".parse().unwrap()) },
                        Place { original: "/home/x".to_owned(), path: None },
                    ],
                    options: &RenderOptions { samples: Some(4), ..RenderOptions::default() },
                    inspection: InspectionWish::Wanted,
                    addons_folder: Some(Path::new("/addons")),
                },
                json!({
                    "do": "open", "path": "/s/a.blend", "root": "/s", "addonsFolder": "/addons", "inspection": "wanted",
                    "options": {"samples": 4, "scripts": "blocked", "order": "any"},
                    "places": [{"original": "D:\\tex", "path": "tex"}, {"original": "/home/x"}]
                }),
            ),
            (
                Command::Render { frame, directory: Path::new("/w/1"), threads: 2, device: None },
                json!({"do": "render", "frame": -3, "directory": "/w/1", "threads": 2}),
            ),
            (
                Command::Render {
                    frame,
                    directory: Path::new("/w/1"),
                    threads: 0,
                    device: Some(&DeviceOrder { kind: DeviceKind::Optix, ids: vec!["a".to_owned()] }),
                },
                json!({
                    "do": "render", "frame": -3, "directory": "/w/1", "threads": 0,
                    "device": {"kind": "optix", "ids": ["a"]}
                }),
            ),
            (Command::Quit, json!({"do": "quit"})),
        ];
        for (command, expected) in cases {
            assert_eq!(serde_json::to_value(&command).unwrap(), expected);
        }
    }

    #[test]
    fn events_are_what_the_driver_writes() {
        let failed: Event =
            serde_json::from_str(r#"{"event": "failed", "frame": 3, "cause": "bad_scene", "message": "no"}"#).unwrap();
        assert_eq!(failed, Event::Failed { cause: Cause::BadScene, message: "no".to_owned(), peak_memory_bytes: None });
        let ready: Event =
            serde_json::from_str(r#"{"event": "ready", "protocol": 1, "blender": "3.4.1", "module": false, "pid": 7}"#)
                .unwrap();
        assert_eq!(ready, Event::Ready { protocol: 1, blender: "3.4.1".to_owned(), pid: 7 });
    }
}
