//! Decodes an image file whole: every pixel of every layer. What comes out has been seen to be there; what does not decode
//! is no picture.

use std::error::Error as StdError;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use exr::image::{AnyChannels, FlatSamples, Layer};
use exr::prelude::{ReadChannels as _, ReadLayers as _, read};
use image::{DynamicImage, ImageFormat, ImageReader, Rgba32FImage};

/// The most memory that decoding one file may take: an image of 32,768 by 32,768 pixels of four 16-bit channels.
const MAX_DECODED_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Why a file is no picture.
pub type NoPicture = Box<dyn StdError + Send + Sync>;

/// A decoded image.
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// What can be shown of it.
    pub pixels: Pixels,
}

/// Pixels, by what their numbers mean.
pub enum Pixels {
    /// As screens show them, with alpha apart from colour.
    Display(DynamicImage),
    /// Amounts of light, already multiplied by their alpha.
    Linear(Rgba32FImage),
    /// There are some, in a way that only other programs can decode, or none in colour.
    Unseen,
}

impl Picture {
    /// Decodes a file.
    pub fn of(path: &Path) -> Result<Self, NoPicture> {
        let mut reader = ImageReader::open(path)?.with_guessed_format()?;
        if reader.format() == Some(ImageFormat::OpenExr) || is_exr(path)? {
            return decode_exr(path);
        }
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        let image = reader.decode()?;
        let (width, height) = (image.width(), image.height());
        let pixels = match image {
            // Radiance's format has light in it, too.
            light @ (DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) => {
                Pixels::Linear(light.into_rgba32f())
            }
            shown => Pixels::Display(shown),
        };
        Ok(Self { width, height, pixels })
    }
}

/// `OpenEXR` files begin with the number 20000630, least significant byte first (OpenEXR's file layout).
fn is_exr(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    Ok(File::open(path)?.read(&mut magic)? == 4 && magic == [0x76, 0x2f, 0x31, 0x01])
}

/// Every layer and channel of an EXR, whatever they are called. Of compressions that the library does not know (DWAA,
/// DWAB) and of deep pixels, that every block is there.
fn decode_exr(path: &Path) -> Result<Picture, NoPicture> {
    let meta = exr::meta::MetaData::read_from_buffered(BufReader::new(File::open(path)?), false)?;
    let display = meta.headers.first().ok_or("no layers")?.shared_attributes.display_window.size;
    let (width, height) = (u32::try_from(display.width())?, u32::try_from(display.height())?);
    let whole = read().no_deep_data().largest_resolution_level().all_channels().all_layers().all_attributes();
    let pixels = match whole.non_parallel().from_file(path) {
        Ok(image) => best_layer(&image.layer_data).map_or(Pixels::Unseen, Pixels::Linear),
        Err(exr::error::Error::NotSupported(_)) => {
            for block in exr::block::read(BufReader::new(File::open(path)?), false)?.all_chunks(false)? {
                block?;
            }
            Pixels::Unseen
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Picture { width, height, pixels })
}

/// How much a channel group of this name is the picture itself: less is more.
fn rank(group: &str) -> u8 {
    match group {
        "" => 0,
        _ if group.contains("Combined") => 1,
        _ => 2,
    }
}

/// The first group of channels that has colour: the whole picture before its passes.
fn best_layer(layers: &[Layer<AnyChannels<FlatSamples>>]) -> Option<Rgba32FImage> {
    let mut best: Option<(u8, &Layer<AnyChannels<FlatSamples>>, String)> = None;
    for layer in layers {
        for channel in &layer.channel_data.list {
            let name = channel.name.to_string();
            let (group, colour) = name.rsplit_once('.').unwrap_or(("", &name));
            if colour == "R" && best.as_ref().is_none_or(|(best_rank, ..)| rank(group) < *best_rank) {
                best = Some((rank(group), layer, group.to_owned()));
            }
        }
    }
    let (_, layer, group) = best?;
    let channel = |colour: &str| {
        let name = if group.is_empty() { colour.to_owned() } else { format!("{group}.{colour}") };
        let found = layer.channel_data.list.iter().find(|channel| channel.name.to_string() == name)?;
        Some(found.sample_data.values_as_f32().collect::<Vec<f32>>())
    };
    let (red, green, blue, alpha) = (channel("R")?, channel("G")?, channel("B")?, channel("A"));
    let alpha = alpha.unwrap_or_else(|| vec![1.0; red.len()]);
    let mut samples = Vec::with_capacity(red.len() * 4);
    for (((red, green), blue), alpha) in red.into_iter().zip(green).zip(blue).zip(alpha) {
        samples.extend([red, green, blue, alpha]);
    }
    let (width, height) = (u32::try_from(layer.size.width()).ok()?, u32::try_from(layer.size.height()).ok()?);
    // `None` where channels are sampled more coarsely than the picture.
    Rgba32FImage::from_raw(width, height, samples)
}
