//! Decodes an image file whole: every pixel of every layer. What comes out has been seen to be there; what does not decode
//! is no picture. The formats that animations are rendered to are read a few rows at a time, so that a large one costs the agent
//! neither memory nor a second look at its pixels.

mod exr;
mod png;

use std::error::Error as StdError;
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader};

use crate::thumbnail::{Sketch, Tone};

/// The most memory that decoding one file may take: an image of 16,384 by 16,384 pixels of four 8-bit channels.
const MAX_DECODED_BYTES: u64 = 1024 * 1024 * 1024;
/// How much of a file is read at once.
const PIECE_BYTES: usize = 128 * 1024;

/// Why a file is no picture.
pub type NoPicture = Box<dyn StdError + Send + Sync>;

/// A decoded image.
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// What it looks like; `None` where its pixels can only be decoded by other programs, or have no colour.
    pub sketch: Option<Sketch>,
}

impl Picture {
    /// Decodes a file, from its start. Its name says what it is where its first bytes don't (TARGA).
    pub fn of(mut file: File, name: &Path) -> Result<Self, NoPicture> {
        file.rewind()?;
        let mut file = BufReader::with_capacity(PIECE_BYTES, file);
        if exr::is_exr(&mut file)? {
            return exr::decode(file);
        }
        let mut reader = ImageReader::new(file);
        if let Ok(format) = ImageFormat::from_path(name) {
            reader.set_format(format);
        }
        let mut reader = reader.with_guessed_format()?;
        if reader.format() == Some(ImageFormat::Png) {
            return png::decode(reader.into_inner());
        }
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        Ok(Self::drawn(reader.decode()?))
    }

    /// One whose pixels are all at hand.
    fn drawn(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let sketch = match image {
            // Radiance's format has light in it.
            light @ (DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) => {
                let mut sketch = Sketch::new(width, height, Tone::Light);
                for (y, row) in (0..).zip(light.into_rgba32f().rows()) {
                    sketch.draw(0, y, row.map(|pixel| pixel.0));
                }
                sketch
            }
            shown => {
                let mut sketch = Sketch::new(width, height, Tone::Display);
                for (y, row) in (0..).zip(shown.into_rgba8().rows()) {
                    sketch.draw(0, y, row.map(|pixel| pixel.0.map(f32::from)));
                }
                sketch
            }
        };
        Self { width, height, sketch: Some(sketch) }
    }
}
