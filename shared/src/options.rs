//! What a job asks of Blender beyond its frames. What it does not set stays as the file has it.

use std::collections::BTreeSet;
use std::fmt;

use crate::devices::DeviceWish;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a job sets for all its frames.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderOptions {
    /// The scene in the .blend (its datablock of that name) that is rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene_name: Option<String>,
    /// The only view layer that is rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_layer: Option<String>,
    /// The camera of every frame, in place of the scene's and of those that its markers name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// The render engine: `CYCLES`, `EEVEE`, `WORKBENCH`, or what Blender calls an add-on's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Samples for each pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// What it is rendered with; what the scene says unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "gpu")]
    pub device: Option<DeviceWish>,
    /// The size of the picture in percent of the scene's resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_percent: Option<u32>,
    /// The format of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ImageFormat>,
    /// Whether the engine keeps its data from one frame to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_data: Option<bool>,
    /// Whether Python that comes with the scene may run.
    #[serde(default)]
    pub scripts: Scripts,
    /// Add-ons that are enabled before the file is loaded, by the names of their modules.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub addons: BTreeSet<String>,
    /// In which order the frames are rendered.
    #[serde(default)]
    pub order: FrameOrder,
    /// What its owner does not mind, though the picture may differ from that of the artist's own Blender.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow: BTreeSet<Allowance>,
}

/// Whether Python that comes with a scene may run: registered texts, handlers, drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scripts {
    /// It may not: a scene is a stranger's file.
    #[default]
    Blocked,
    /// It may, on agents whose owner has allowed it.
    Allowed,
}

/// In which order the frames of a job are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FrameOrder {
    /// In any, by as many agents as there are.
    #[default]
    Any,
    /// One after the other by one agent, which steps through every frame from the start of the scene's simulations.
    Sequential,
}

/// Something that would make a job be refused, and that its owner does not mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Allowance {
    /// The scene wants files that are not there.
    MissingFiles,
    /// Drivers need Python, which may not run.
    BrokenDrivers,
    /// Simulations are not baked: each frame comes as if it had been jumped to.
    UnbakedSimulations,
    /// This Blender does not know nodes or colour settings of the scene.
    UnknownParts,
}

impl Allowance {
    /// All of them, each with the member of `POST /render` that gives it.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::MissingFiles, "allowMissing"),
        (Self::BrokenDrivers, "allowBrokenDrivers"),
        (Self::UnbakedSimulations, "allowUnbaked"),
        (Self::UnknownParts, "allowUnknown"),
    ];
}

/// The format of a picture: one of those whose files can be checked for damage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageFormat {
    /// The kind of file.
    #[serde(rename = "type")]
    pub kind: ImageKind,
    /// Bits for each channel; as the file has it unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_depth: Option<u32>,
    /// How it is compressed, in Blender's words: `DWAA`, `ZIP`, `LZW`; as the file has it unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
}

/// A kind of picture file, in Blender's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImageKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// OpenEXR with one layer.
    #[serde(alias = "EXR")]
    OpenExr,
    /// OpenEXR with every layer and pass.
    #[serde(alias = "MULTILAYER_EXR")]
    OpenExrMultilayer,
    /// TIFF.
    Tiff,
    /// WebP.
    Webp,
}

/// What a kind of picture file cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// It has no such depth.
    #[error("{kind} has no colour depth of {depth} bits: choose one of {}", listed(kind.color_depths()))]
    Depth {
        /// The kind.
        kind: ImageKind,
        /// The depth.
        depth: u32,
    },
    /// It has no such codec.
    #[error("{kind} has no codec {codec:?}: choose one of {}", listed(kind.codecs()))]
    Codec {
        /// The kind.
        kind: ImageKind,
        /// The codec.
        codec: String,
    },
    /// It has no codecs at all.
    #[error("{0} has no codecs to choose from")]
    NoCodecs(ImageKind),
}

impl ImageKind {
    /// Bits for each channel that it can have (Blender's manual, "Supported Graphics Formats").
    #[must_use]
    pub const fn color_depths(self) -> &'static [u32] {
        match self {
            Self::Png | Self::Tiff => &[8, 16],
            Self::Jpeg | Self::Webp => &[8],
            Self::OpenExr | Self::OpenExrMultilayer => &[16, 32],
        }
    }

    /// Its codecs, those that Blender 3.4 to 5.0 all know.
    #[must_use]
    pub const fn codecs(self) -> &'static [&'static str] {
        match self {
            Self::Png | Self::Jpeg | Self::Webp => &[],
            Self::Tiff => &["NONE", "DEFLATE", "LZW", "PACKBITS"],
            Self::OpenExr | Self::OpenExrMultilayer => {
                &["NONE", "ZIP", "PIZ", "DWAA", "DWAB", "ZIPS", "RLE", "PXR24", "B44", "B44A"]
            }
        }
    }
}

impl fmt::Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::OpenExr => "OPEN_EXR",
            Self::OpenExrMultilayer => "OPEN_EXR_MULTILAYER",
            Self::Tiff => "TIFF",
            Self::Webp => "WEBP",
        })
    }
}

impl ImageFormat {
    /// Looks for what its kind cannot be.
    pub fn check(&self) -> Result<(), FormatFault> {
        let kind = self.kind;
        if let Some(depth) = self.color_depth.filter(|depth| !kind.color_depths().contains(depth)) {
            return Err(FormatFault::Depth { kind, depth });
        }
        match &self.codec {
            Some(_) if kind.codecs().is_empty() => Err(FormatFault::NoCodecs(kind)),
            Some(codec) if !kind.codecs().contains(&codec.as_str()) => {
                Err(FormatFault::Codec { kind, codec: codec.clone() })
            }
            _ => Ok(()),
        }
    }
}

fn listed<T: ToString>(choices: &[T]) -> String {
    choices.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_set_is_not_said() {
        let bare = json!({"scripts": "blocked", "order": "any"});
        assert_eq!(serde_json::to_value(RenderOptions::default()).unwrap(), bare);
        assert_eq!(serde_json::from_value::<RenderOptions>(json!({})).unwrap(), RenderOptions::default());
    }

    #[test]
    fn a_format_is_what_its_kind_can_be() {
        let cases = [
            (json!({"type": "PNG"}), ""),
            (json!({"type": "EXR", "colorDepth": 16, "codec": "DWAA"}), ""),
            (json!({"type": "MULTILAYER_EXR", "colorDepth": 32}), ""),
            (json!({"type": "TIFF", "codec": "LZW"}), ""),
            (json!({"type": "PNG", "colorDepth": 32}), "PNG has no colour depth of 32 bits: choose one of 8, 16"),
            (json!({"type": "JPEG", "codec": "ZIP"}), "JPEG has no codecs"),
            (json!({"type": "OPEN_EXR", "codec": "LZW"}), "OPEN_EXR has no codec \"LZW\": choose one of NONE, ZIP"),
        ];
        for (format, reason) in cases {
            let format: ImageFormat = serde_json::from_value(format).unwrap();
            let said = format.check().err().map(|fault| fault.to_string()).unwrap_or_default();
            assert!(said.starts_with(reason) && said.is_empty() == reason.is_empty(), "{format:?}: {said}");
        }
    }
}
