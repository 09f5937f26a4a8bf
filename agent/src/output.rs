//! Looks at what Blender has left: a file counts when it is a whole image of the size that the scene asks for. Neither
//! Blender's exit code nor its `Saved:` says so (a full disk gives truncated files and no error).

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::OutputFile;
use image::{ImageFormat, ImageReader};

use crate::blender::protocol::RenderedFile;

/// The most memory that decoding one file may take: an image of 32,768 by 32,768 pixels of four 16-bit channels.
const MAX_DECODED_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Blender's names of the formats that can be checked. A scene that writes another one is refused rather than trusted.
pub const CHECKED_FORMATS: [&str; 10] =
    ["PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "BMP", "TARGA", "TARGA_RAW", "HDR", "WEBP"];

/// Why a file does not count.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct NotAnImage {
    name: String,
    reason: String,
}

/// Checks one file of a frame in `folder` and says what it is.
pub fn check(folder: &Path, file: &RenderedFile) -> Result<OutputFile, NotAnImage> {
    let not_an_image = |reason: String| NotAnImage { name: file.name.clone(), reason };
    let path = folder.join(&file.name);
    let (sha256, size_bytes) = digest(&path).map_err(|error| not_an_image(error.to_string()))?;
    if size_bytes == 0 {
        return Err(not_an_image("the file is empty".to_owned()));
    }
    let (width, height) = decode(&path).map_err(|error| not_an_image(format!("not a whole image: {error}")))?;
    let expected = (file.width.unwrap_or(width), file.height.unwrap_or(height));
    if (width, height) != expected {
        let reason =
            format!("it has {width} by {height} pixels, and the scene asks for {} by {}", expected.0, expected.1);
        return Err(not_an_image(reason));
    }
    let name = RelativePath::new(file.name.as_str()).map_err(|error| not_an_image(error.to_string()))?;
    Ok(OutputFile { name, size_bytes, sha256, width, height })
}

fn digest(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut size_bytes = 0;
    let mut piece = vec![0; 256 * 1024];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok((hasher.finish(), size_bytes));
        }
        hasher.update(&piece[..length]);
        size_bytes += length as u64;
    }
}

/// Decodes every pixel, and says how many there are across and down.
fn decode(path: &Path) -> Result<(u32, u32), Box<dyn std::error::Error + Send + Sync>> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    if reader.format() == Some(ImageFormat::OpenExr) || is_exr(path)? {
        return decode_exr(path);
    }
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let image = reader.decode()?;
    Ok((image.width(), image.height()))
}

/// `OpenEXR` files begin with the number 20000630, least significant byte first (OpenEXR's file layout).
fn is_exr(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    Ok(File::open(path)?.read(&mut magic)? == 4 && magic == [0x76, 0x2f, 0x31, 0x01])
}

/// Every layer and channel of an EXR, whatever they are called. Compressions that the library does not know (DWAA, DWAB,
/// B44) pass by their headers and chunk table alone.
fn decode_exr(path: &Path) -> Result<(u32, u32), Box<dyn std::error::Error + Send + Sync>> {
    use exr::prelude::{ReadChannels as _, ReadLayers as _, read};
    let meta = exr::meta::MetaData::read_from_buffered(BufReader::new(File::open(path)?), false)?;
    let display = meta.headers.first().ok_or("no layers")?.shared_attributes.display_window.size;
    let whole = read().no_deep_data().largest_resolution_level().all_channels().all_layers().all_attributes();
    match whole.non_parallel().from_file(path) {
        Ok(_) | Err(exr::error::Error::NotSupported(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok((u32::try_from(display.width())?, u32::try_from(display.height())?))
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbaImage};

    use super::*;

    fn file(name: &str, size: Option<(u32, u32)>) -> RenderedFile {
        RenderedFile { name: name.to_owned(), width: size.map(|size| size.0), height: size.map(|size| size.1) }
    }

    #[test]
    fn a_whole_image_of_the_right_size_counts_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut pixels = RgbaImage::new(40, 30);
        for (x, y, pixel) in pixels.enumerate_pixels_mut() {
            *pixel = image::Rgba([u8::try_from(x * 6).unwrap(), u8::try_from(y * 8).unwrap(), 7, 255]);
        }
        let picture = DynamicImage::from(pixels);
        picture.save(path("a.png")).unwrap();
        picture.to_rgb8().save(path("a.jpg")).unwrap();
        picture.save(path("a.tif")).unwrap();
        exr::prelude::write_rgba_file(path("a.exr"), 40, 30, |_, _| (0.5_f32, 0.25_f32, 0.0_f32, 1.0_f32)).unwrap();
        for name in ["a.png", "a.jpg", "a.tif", "a.exr"] {
            let checked = check(folder.path(), &file(name, Some((40, 30)))).unwrap();
            assert_eq!((checked.width, checked.height), (40, 30), "{name}");
            assert_eq!(checked.size_bytes, path(name).metadata().unwrap().len(), "{name}");
            assert!(check(folder.path(), &file(name, None)).is_ok(), "{name} of whatever size");
            assert!(check(folder.path(), &file(name, Some((30, 40)))).is_err(), "{name} of another size");

            let whole = std::fs::read(path(name)).unwrap();
            std::fs::write(path(name), &whole[..whole.len() * 2 / 3]).unwrap();
            assert!(check(folder.path(), &file(name, Some((40, 30)))).is_err(), "{name} cut short");
        }
        std::fs::write(path("empty.png"), b"").unwrap();
        std::fs::write(path("text.png"), b"not a picture").unwrap();
        for name in ["empty.png", "text.png", "missing.png"] {
            assert!(check(folder.path(), &file(name, None)).is_err(), "{name}");
        }
    }
}
