//! What renders: the devices of a Blender, which of them a job wishes for, and the rule that joins the two. A GPU that is not
//! there is never replaced in silence: neither by the processor, nor by a program that plays one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A device as Blender itself reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFacts {
    /// How it is used.
    pub kind: DeviceKind,
    /// What people call it.
    pub name: String,
    /// What Blender calls it. A GPU that can be used in several ways has an id for each.
    pub id: String,
}

/// How a device is used: the compute devices of Cycles, and what draws EEVEE and Workbench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeviceKind {
    /// Processors, by Cycles.
    Cpu,
    /// A GPU, by Cycles through NVIDIA's `OptiX`.
    Optix,
    /// A GPU, by Cycles through NVIDIA's CUDA.
    Cuda,
    /// A GPU, by Cycles through AMD's HIP.
    Hip,
    /// A GPU, by Cycles through Apple's Metal.
    Metal,
    /// A GPU, by Cycles through Intel's oneAPI.
    Oneapi,
    /// A GPU that draws.
    Graphics,
    /// A program that draws in a GPU's place (llvmpipe): slow, and not the same pixels.
    Software,
}

impl DeviceKind {
    /// Each with the word for it, and the name that people know it by.
    const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Cpu, "cpu", "CPU"),
        (Self::Optix, "optix", "OptiX"),
        (Self::Cuda, "cuda", "CUDA"),
        (Self::Hip, "hip", "HIP"),
        (Self::Metal, "metal", "Metal"),
        (Self::Oneapi, "oneapi", "oneAPI"),
        (Self::Graphics, "graphics", "a GPU that draws"),
        (Self::Software, "software", "software that draws"),
    ];
    /// The GPUs of Cycles, best first: `OptiX` is faster than CUDA on one that has both.
    pub const GPUS: [Self; 5] = [Self::Optix, Self::Cuda, Self::Hip, Self::Metal, Self::Oneapi];

    /// Its word, as on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, word, _)| word)
    }

    /// The kind that a word stands for, in any case: Blender writes them in capitals.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(word)).map(|(kind, ..)| *kind)
    }

    /// Whether it is a GPU that Cycles computes with.
    #[must_use]
    pub fn is_compute_gpu(self) -> bool {
        Self::GPUS.contains(&self)
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(kind, ..)| kind == self).map_or("", |(.., name)| name))
    }
}

/// An engine or a denoiser of a Blender, and what a tiny render with it showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartFacts {
    /// What Blender calls it.
    pub name: String,
    /// Why it does not work on this machine, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What people call a denoiser, by Blender's word for it.
#[must_use]
pub fn denoiser_name(word: &str) -> &str {
    match word {
        "OPENIMAGEDENOISE" => "OpenImageDenoise",
        "OPTIX" => "the OptiX denoiser",
        other => other,
    }
}

/// The device that a job wishes for. Without a wish it is what the scene says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceWish {
    /// A GPU of whatever make.
    Gpu,
    /// A GPU if there is one, else the processors: whatever the scene says.
    Any,
    /// This kind.
    Kind(DeviceKind),
}

impl DeviceWish {
    /// All of them, by their words.
    pub const WORDS: [&'static str; 9] = ["cpu", "gpu", "cuda", "optix", "hip", "metal", "oneapi", "any", "software"];
}

/// What is no wish for a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no device {word:?}: choose one of {}, or leave it out for what the scene says", DeviceWish::WORDS.join(", "))]
pub struct NoSuchDevice {
    word: String,
}

impl FromStr for DeviceWish {
    type Err = NoSuchDevice;

    fn from_str(text: &str) -> Result<Self, NoSuchDevice> {
        let none = || NoSuchDevice { word: text.to_owned() };
        match text {
            "gpu" => Ok(Self::Gpu),
            "any" => Ok(Self::Any),
            word if Self::WORDS.contains(&word) => DeviceKind::from_word(word).map(Self::Kind).ok_or_else(none),
            _ => Err(none()),
        }
    }
}

impl TryFrom<String> for DeviceWish {
    type Error = NoSuchDevice;

    fn try_from(text: String) -> Result<Self, NoSuchDevice> {
        text.parse()
    }
}

impl From<DeviceWish> for String {
    fn from(wish: DeviceWish) -> Self {
        match wish {
            DeviceWish::Gpu => "gpu".to_owned(),
            DeviceWish::Any => "any".to_owned(),
            DeviceWish::Kind(kind) => kind.word().to_owned(),
        }
    }
}

/// What is to be rendered, as far as devices matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Painter {
    /// Cycles, on processors if the scene says so.
    CyclesOnCpu,
    /// Cycles, on a GPU if the scene says so.
    CyclesOnGpu,
    /// EEVEE or Workbench.
    Rasterizer,
    /// An engine of an add-on's: it looks for its devices itself.
    Foreign,
    /// Nobody has looked into the scene yet.
    Unknown,
}

impl Painter {
    /// By Blender's words for the engine and for the device of Cycles.
    #[must_use]
    pub fn of(engine: &str, device: Option<&str>) -> Self {
        match (engine, device) {
            ("CYCLES", Some("GPU")) => Self::CyclesOnGpu,
            ("CYCLES", _) => Self::CyclesOnCpu,
            _ if engine.contains("EEVEE") || engine.contains("WORKBENCH") => Self::Rasterizer,
            _ => Self::Foreign,
        }
    }
}

/// What would have to be there for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lacking {
    /// A GPU for Cycles, which the scene asks for.
    GpuForTheScene,
    /// A GPU, which the job asks for.
    Gpu,
    /// A device of this kind.
    Kind(DeviceKind),
    /// A GPU that draws EEVEE or Workbench.
    Graphics,
    /// The engine can do nothing with a device of this kind, wherever it is.
    NotForThisEngine(DeviceKind),
    /// The job was begun with another kind.
    Begun(DeviceKind),
}

/// What a fitting agent has, to follow "no agent has" or "this agent has no".
impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GpuForTheScene => f.write_str("GPU, which the scene asks for (device: any would take a CPU)"),
            Self::Gpu => f.write_str("GPU, which the job asks for"),
            Self::Kind(kind) => write!(f, "{kind}, which the job asks for"),
            Self::Graphics => {
                f.write_str("GPU that draws EEVEE and Workbench (device: software would take a program in its place)")
            }
            Self::NotForThisEngine(kind) => write!(f, "{kind} for the engine of the scene"),
            Self::Begun(kind) => write!(f, "{kind}, which the job was begun with"),
        }
    }
}

/// The kind of device that a job is rendered with where there is what `has` says; `None` leaves it to who opens the scene, or to
/// the engine.
pub fn choose(wish: Option<DeviceWish>, painter: Painter, has: &[DeviceKind]) -> Result<Option<DeviceKind>, Lacking> {
    use DeviceKind::{Cpu, Graphics, Software};
    let there = |kind: DeviceKind, lacking: Lacking| has.contains(&kind).then_some(Some(kind)).ok_or(lacking);
    let gpu = DeviceKind::GPUS.into_iter().find(|kind| has.contains(kind));
    match (painter, wish) {
        (Painter::CyclesOnCpu, None) => there(Cpu, Lacking::Kind(Cpu)),
        (Painter::CyclesOnGpu, None) => gpu.map(Some).ok_or(Lacking::GpuForTheScene),
        (Painter::CyclesOnCpu | Painter::CyclesOnGpu, Some(wish)) => match wish {
            DeviceWish::Gpu => gpu.map(Some).ok_or(Lacking::Gpu),
            DeviceWish::Any => gpu.map_or_else(|| there(Cpu, Lacking::Kind(Cpu)), |gpu| Ok(Some(gpu))),
            DeviceWish::Kind(kind @ (Graphics | Software)) => Err(Lacking::NotForThisEngine(kind)),
            DeviceWish::Kind(kind) => there(kind, Lacking::Kind(kind)),
        },
        (Painter::Rasterizer, None | Some(DeviceWish::Gpu | DeviceWish::Any | DeviceWish::Kind(Graphics))) => {
            there(Graphics, Lacking::Graphics)
        }
        (Painter::Rasterizer, Some(DeviceWish::Kind(Software))) => there(Software, Lacking::Kind(Software)),
        (Painter::Rasterizer, Some(DeviceWish::Kind(kind))) => Err(Lacking::NotForThisEngine(kind)),
        (Painter::Foreign, _) => Ok(None),
        (Painter::Unknown, wish) => match wish {
            // What is wished for must be there in any case; what is used is said by who opens the scene.
            Some(DeviceWish::Gpu) if gpu.is_none() && !has.contains(&Graphics) => Err(Lacking::Gpu),
            Some(DeviceWish::Kind(kind)) => there(kind, Lacking::Kind(kind)),
            _ => Ok(None),
        },
    }
}

/// The same for a job that was begun with some kind, and keeps to it.
pub fn choose_again(
    begun: DeviceKind,
    wish: Option<DeviceWish>,
    painter: Painter,
    has: &[DeviceKind],
) -> Result<Option<DeviceKind>, Lacking> {
    if painter == Painter::Foreign {
        return Ok(None);
    }
    // What the wish alone lacks says more to a person.
    choose(wish, painter, has)?;
    if has.contains(&begun) { Ok(Some(begun)) } else { Err(Lacking::Begun(begun)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_of_the_words_and_no_other() {
        for word in DeviceWish::WORDS {
            assert_eq!(String::from(word.parse::<DeviceWish>().unwrap()), word);
        }
        for word in ["", "GPU", "graphics", "llvmpipe", "OptiX"] {
            let said = word.parse::<DeviceWish>().unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("there is no device {word:?}: choose one of cpu, gpu, cuda, ")),
                "{said}"
            );
        }
        assert_eq!(DeviceKind::from_word("OPTIX"), Some(DeviceKind::Optix));
        assert_eq!(DeviceKind::from_word("NONE"), None);
    }

    #[test]
    fn a_painter_is_known_by_blender_s_words() {
        let cases = [
            ("CYCLES", Some("GPU"), Painter::CyclesOnGpu),
            ("CYCLES", Some("CPU"), Painter::CyclesOnCpu),
            ("BLENDER_EEVEE", None, Painter::Rasterizer),
            ("BLENDER_EEVEE_NEXT", None, Painter::Rasterizer),
            ("BLENDER_WORKBENCH", None, Painter::Rasterizer),
            ("WORKBENCH", None, Painter::Rasterizer),
            ("LUXCORE", None, Painter::Foreign),
        ];
        for (engine, device, painter) in cases {
            assert_eq!(Painter::of(engine, device), painter, "{engine} {device:?}");
        }
    }

    #[test]
    fn a_device_is_what_is_wished_for_or_nothing() {
        use DeviceKind::{Cpu, Cuda, Graphics, Hip, Optix, Software};
        use Painter::{CyclesOnCpu, CyclesOnGpu, Foreign, Rasterizer, Unknown};
        let plain: &[DeviceKind] = &[Cpu, Software];
        let desk: &[DeviceKind] = &[Cpu, Graphics, Hip];
        let strong: &[DeviceKind] = &[Cpu, Cuda, Optix, Graphics];
        #[rustfmt::skip]
        let cases = [
            ("", CyclesOnCpu, strong, Ok(Some(Cpu))),
            ("", CyclesOnGpu, strong, Ok(Some(Optix))),
            ("", CyclesOnGpu, desk, Ok(Some(Hip))),
            ("", CyclesOnGpu, plain, Err(Lacking::GpuForTheScene)),
            ("", Rasterizer, strong, Ok(Some(Graphics))),
            ("", Rasterizer, plain, Err(Lacking::Graphics)),
            ("", Foreign, plain, Ok(None)),
            ("", Unknown, plain, Ok(None)),
            ("cpu", CyclesOnGpu, strong, Ok(Some(Cpu))),
            ("cpu", Rasterizer, strong, Err(Lacking::NotForThisEngine(Cpu))),
            ("gpu", CyclesOnCpu, strong, Ok(Some(Optix))),
            ("gpu", CyclesOnCpu, plain, Err(Lacking::Gpu)),
            ("gpu", Rasterizer, desk, Ok(Some(Graphics))),
            ("gpu", Unknown, plain, Err(Lacking::Gpu)),
            ("gpu", Unknown, desk, Ok(None)),
            ("cuda", CyclesOnCpu, strong, Ok(Some(Cuda))),
            ("cuda", CyclesOnGpu, desk, Err(Lacking::Kind(Cuda))),
            ("cuda", Rasterizer, strong, Err(Lacking::NotForThisEngine(Cuda))),
            ("optix", Unknown, desk, Err(Lacking::Kind(Optix))),
            ("any", CyclesOnGpu, plain, Ok(Some(Cpu))),
            ("any", CyclesOnGpu, strong, Ok(Some(Optix))),
            ("any", CyclesOnCpu, desk, Ok(Some(Hip))),
            ("any", Unknown, plain, Ok(None)),
            // Even who takes anything has not asked for that.
            ("any", Rasterizer, plain, Err(Lacking::Graphics)),
            ("software", Rasterizer, plain, Ok(Some(Software))),
            ("software", Rasterizer, strong, Err(Lacking::Kind(Software))),
            ("software", CyclesOnCpu, plain, Err(Lacking::NotForThisEngine(Software))),
            ("cpu", Foreign, plain, Ok(None)),
        ];
        for (wish, painter, has, chosen) in cases {
            assert_eq!(choose(wish.parse().ok(), painter, has), chosen, "{wish:?} {painter:?} {has:?}");
        }
        assert_eq!(choose_again(Cuda, None, CyclesOnGpu, strong), Ok(Some(Cuda)));
        assert_eq!(choose_again(Optix, None, CyclesOnGpu, desk), Err(Lacking::Begun(Optix)));
        assert_eq!(choose_again(Optix, None, CyclesOnGpu, plain), Err(Lacking::GpuForTheScene));
        assert_eq!(choose_again(Cpu, None, Foreign, plain), Ok(None));
    }
}
