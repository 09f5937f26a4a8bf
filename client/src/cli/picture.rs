//! The flags that say what the frames are to be like, and what their owner does not mind: they have the names of the members
//! of `POST /render`, with dashes. What is not given stays as the file has it.

use clap::{Args, ValueEnum};
use haywain_shared::devices::DeviceWish;
use haywain_shared::limits::{MAX_RESOLUTION_PERCENT, MAX_SAMPLES};
use haywain_shared::options::{FormatFault, ImageFormat, ImageKind};
use serde_json::{Value, json};

/// What the frames are to be like.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, as it is typed")]
pub struct PictureArgs {
    /// The scene in the .blend that is rendered [default: the one that was open when it was saved]
    #[arg(long, value_name = "NAME", help_heading = "The picture")]
    pub scene_name: Option<String>,
    /// The only view layer that is rendered
    #[arg(long, value_name = "NAME", help_heading = "The picture")]
    pub view_layer: Option<String>,
    /// The camera of every frame, in place of the scene's and of those that its markers name
    #[arg(long, value_name = "NAME", help_heading = "The picture")]
    pub camera: Option<String>,
    /// The render engine: CYCLES, EEVEE, WORKBENCH, or what Blender calls an add-on's
    #[arg(long, value_name = "NAME", help_heading = "The picture")]
    pub engine: Option<String>,
    /// Samples for each pixel
    #[arg(long, value_name = "N", help_heading = "The picture", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SAMPLES)))]
    pub samples: Option<u32>,
    /// What to render with: cpu, gpu, cuda, optix, hip, metal, oneapi, any, or software; what the scene says unless given
    #[arg(long, value_name = "DEVICE", help_heading = "The picture", hide_possible_values = true)]
    pub device: Option<DeviceWish>,
    /// The size of the picture in percent of the scene's resolution
    #[arg(long, value_name = "N", help_heading = "The picture", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RESOLUTION_PERCENT)))]
    pub resolution_percent: Option<u32>,
    /// The format: PNG, JPEG, EXR, `MULTILAYER_EXR`, TIFF or WEBP
    #[arg(long, value_name = "NAME", help_heading = "The picture", value_parser = image_kind)]
    pub format: Option<ImageKind>,
    /// Bits for each channel: 8, 16 or 32, as the format can have them
    #[arg(long, value_name = "BITS", help_heading = "The picture", requires = "format")]
    pub color_depth: Option<u32>,
    /// How EXR or TIFF is compressed: DWAA, ZIP, LZW, ...
    #[arg(long, value_name = "NAME", help_heading = "The picture", requires = "format")]
    pub codec: Option<String>,
    /// Whether the engine keeps its data from one frame to the next
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true, help_heading = "The picture")]
    pub persistent_data: Option<Switch>,
    /// An add-on to enable, by the name of its module; may be given more than once
    #[arg(long = "addon", value_name = "NAME", help_heading = "The picture")]
    pub addons: Vec<String>,
    /// `sequential`: one agent renders the frames one after the other, and plays the scene's simulations up to each
    #[arg(long, value_enum, value_name = "any|sequential", hide_possible_values = true, help_heading = "The picture")]
    pub order: Option<Order>,

    /// Let Python run that comes with the scene (drivers, registered texts), on agents whose owner allows it
    #[arg(long, help_heading = "What is allowed")]
    pub scripts: bool,
    /// Submit and render also when the scene wants files that are not there
    #[arg(long, help_heading = "What is allowed")]
    pub allow_missing: bool,
    /// Render also when drivers need Python, which may not run
    #[arg(long, help_heading = "What is allowed")]
    pub allow_broken_drivers: bool,
    /// Render also when simulations are not baked: each frame comes as if it had been jumped to
    #[arg(long, help_heading = "What is allowed")]
    pub allow_unbaked: bool,
    /// Render also when the agent's Blender does not know nodes or colour settings of the scene
    #[arg(long, help_heading = "What is allowed")]
    pub allow_unknown: bool,
}

/// On or off, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// In which order frames are rendered, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// In any, by many agents
    Any,
    /// One after the other, by one agent
    Sequential,
}

impl PictureArgs {
    /// The format as a whole, if one is given that can be.
    pub fn image_format(&self) -> Result<Option<ImageFormat>, FormatFault> {
        let Some(kind) = self.format else { return Ok(None) };
        let format = ImageFormat { kind, color_depth: self.color_depth, codec: self.codec.clone() };
        format.check().map(|()| Some(format))
    }

    /// What goes into the body of `POST /render`.
    pub fn members(&self) -> Result<Vec<(&'static str, Value)>, FormatFault> {
        let yes = |given: bool| given.then_some(Value::Bool(true));
        let text = |given: &Option<String>| given.clone().map(Value::from);
        let members = [
            ("sceneName", text(&self.scene_name)),
            ("viewLayer", text(&self.view_layer)),
            ("camera", text(&self.camera)),
            ("engine", text(&self.engine)),
            ("samples", self.samples.map(Value::from)),
            ("device", self.device.map(|device| Value::from(String::from(device)))),
            ("resolutionPercent", self.resolution_percent.map(Value::from)),
            ("format", self.image_format()?.map(|format| json!(format))),
            ("persistentData", self.persistent_data.map(|switch| Value::Bool(switch == Switch::On))),
            ("scripts", yes(self.scripts)),
            ("addons", (!self.addons.is_empty()).then(|| json!(self.addons))),
            ("order", self.order.map(|order| json!(if order == Order::Any { "any" } else { "sequential" }))),
            ("allowMissing", yes(self.allow_missing)),
            ("allowBrokenDrivers", yes(self.allow_broken_drivers)),
            ("allowUnbaked", yes(self.allow_unbaked)),
            ("allowUnknown", yes(self.allow_unknown)),
        ];
        Ok(members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

fn image_kind(text: &str) -> Result<ImageKind, String> {
    serde_json::from_value(json!(text.to_uppercase()))
        .map_err(|_| "choose one of PNG, JPEG, EXR, MULTILAYER_EXR, TIFF, WEBP".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::{Cli, Command};

    fn picture(flags: &[&str]) -> Result<PictureArgs, String> {
        let all = ["haywain", "submit", "a.blend"].iter().chain(flags);
        match Cli::try_parse_from(all).map(|cli| cli.command) {
            Ok(Command::Submit(submit)) => Ok(submit.picture),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn each_flag_is_a_member() {
        let cases: [(&[&str], Value); 18] = [
            (&[], json!({})),
            (&["--scene-name", "Shot 4"], json!({"sceneName": "Shot 4"})),
            (&["--view-layer", "Beauty"], json!({"viewLayer": "Beauty"})),
            (&["--camera", "Left"], json!({"camera": "Left"})),
            (&["--engine", "CYCLES"], json!({"engine": "CYCLES"})),
            (&["--samples", "64"], json!({"samples": 64})),
            (&["--device", "optix"], json!({"device": "optix"})),
            (&["--resolution-percent", "50"], json!({"resolutionPercent": 50})),
            (&["--format", "png"], json!({"format": {"type": "PNG"}})),
            (
                &["--format", "EXR", "--color-depth", "16", "--codec", "DWAA"],
                json!({"format": {"type": "OPEN_EXR", "colorDepth": 16, "codec": "DWAA"}}),
            ),
            (&["--persistent-data", "off"], json!({"persistentData": false})),
            (&["--scripts"], json!({"scripts": true})),
            (&["--addon", "rig", "--addon", "trees"], json!({"addons": ["rig", "trees"]})),
            (&["--order", "sequential"], json!({"order": "sequential"})),
            (&["--allow-missing"], json!({"allowMissing": true})),
            (&["--allow-broken-drivers"], json!({"allowBrokenDrivers": true})),
            (&["--allow-unbaked"], json!({"allowUnbaked": true})),
            (&["--allow-unknown"], json!({"allowUnknown": true})),
        ];
        for (flags, expected) in cases {
            let members = picture(flags).unwrap().members().unwrap();
            let members: serde_json::Map<_, _> =
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(Value::Object(members), expected, "{flags:?}");
        }
        for (flags, words) in [
            (&["--samples", "0"][..], "1..="),
            (&["--device", "gpus"], "choose one of cpu, gpu, cuda"),
            (&["--resolution-percent", "1001"], "1..=1000"),
            (&["--format", "AVI"], "choose one of PNG, JPEG"),
            (&["--codec", "ZIP"], "--format"),
            (&["--persistent-data", "maybe"], "possible values: on, off"),
            (&["--order", "backwards"], "possible values: any, sequential"),
        ] {
            let error = picture(flags).unwrap_err();
            assert!(error.contains(words), "{flags:?}: {error}");
        }
        let fault = picture(&["--format", "PNG", "--color-depth", "32"]).unwrap().members().unwrap_err();
        assert_eq!(fault.to_string(), "PNG has no colour depth of 32 bits: choose one of 8, 16");
    }

    #[test]
    fn every_member_of_a_submission_has_its_flag() {
        let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let described = document["components"]["schemas"]["RenderRequest"]["properties"].as_object().unwrap();
        let command = Cli::command();
        let submit = command.find_subcommand("submit").unwrap();
        let flags: BTreeSet<&str> = submit.get_arguments().filter_map(|argument| argument.get_long()).collect();
        for member in described.keys() {
            let dashed: String = match member.as_str() {
                // Each flag of a list is one item of it.
                "addons" | "tags" | "agents" => member.trim_end_matches('s').to_owned(),
                // With --blender one says where Blender is on this machine.
                "blender" => "blender-version".to_owned(),
                _ => member
                    .chars()
                    .flat_map(|char| char.is_uppercase().then_some('-').into_iter().chain(char.to_lowercase()))
                    .collect(),
            };
            assert!(flags.contains(dashed.as_str()), "--{dashed}");
        }
    }
}
