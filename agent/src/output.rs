//! Looks at what Blender has left: a file counts when it is a whole image of the size that the scene asks for. Neither
//! Blender's exit code nor its `Saved:` says so (a full disk gives truncated files and no error).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::OutputFile;

use crate::blender::protocol::RenderedFile;
use crate::picture::Picture;
use crate::thumbnail::Sketch;

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

/// What a frame has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its files, as they came.
    pub files: Vec<OutputFile>,
    /// A small JPEG of the first, where one could be made.
    pub thumbnail: Option<Vec<u8>>,
}

/// Checks the files of a frame in `folder`. All of them must be good.
pub fn check(folder: &Path, files: &[RenderedFile]) -> Result<Output, NotAnImage> {
    let mut output = Output { files: Vec::new(), thumbnail: None };
    for file in files {
        let (checked, picture) = check_file(folder, file)?;
        if output.files.is_empty() {
            output.thumbnail = picture.sketch.and_then(Sketch::finish);
        }
        output.files.push(checked);
    }
    Ok(output)
}

/// Checks one file and says what it is.
fn check_file(folder: &Path, file: &RenderedFile) -> Result<(OutputFile, Picture), NotAnImage> {
    let not_an_image = |reason: String| NotAnImage { name: file.name.clone(), reason };
    let name = RelativePath::new(file.name.as_str()).map_err(|error| not_an_image(error.to_string()))?;
    let opened = open(&folder.join(name.as_str())).and_then(|mut opened| Ok((digest(&mut opened)?, opened)));
    let ((sha256, size_bytes), opened) = opened.map_err(|error| not_an_image(error.to_string()))?;
    if size_bytes == 0 {
        return Err(not_an_image("the file is empty".to_owned()));
    }
    let picture = Picture::of(opened, name.as_str().as_ref())
        .map_err(|error| not_an_image(format!("not a whole image: {error}")))?;
    let (width, height) = (picture.width, picture.height);
    let expected = (file.width.unwrap_or(width), file.height.unwrap_or(height));
    if (width, height) != expected {
        let reason =
            format!("it has {width} by {height} pixels, and the scene asks for {} by {}", expected.0, expected.1);
        return Err(not_an_image(reason));
    }
    Ok((OutputFile { name, size_bytes, sha256, width, height }, picture))
}

/// Opens a file that is one. Whoever opened a pipe or a device that a stranger's script has left would wait there for ever; and nothing is
/// handed over that a link leads to.
fn open(path: &Path) -> io::Result<File> {
    if std::fs::symlink_metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"))
    }
}

fn digest(file: &mut File) -> io::Result<(Sha256Digest, u64)> {
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

#[cfg(test)]
mod tests {
    use exr::prelude::{Encoding, Image, Layer, LayerAttributes, SpecificChannels, WritableImage as _};
    use image::{DynamicImage, RgbaImage};

    use super::*;

    fn file(name: &str, size: Option<(u32, u32)>) -> RenderedFile {
        RenderedFile { name: name.to_owned(), width: size.map(|size| size.0), height: size.map(|size| size.1) }
    }

    fn picture() -> DynamicImage {
        let mut pixels = RgbaImage::new(40, 30);
        for (x, y, pixel) in pixels.enumerate_pixels_mut() {
            *pixel = image::Rgba([u8::try_from(x * 6).unwrap(), u8::try_from(y * 8).unwrap(), 7, 255]);
        }
        pixels.into()
    }

    #[test]
    fn a_whole_image_of_the_right_size_counts_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let check_one = |name: &str, size| check(folder.path(), &[file(name, size)]);
        let picture = picture();
        for name in ["a.png", "a.tif", "a.tga", "a.webp"] {
            picture.save(path(name)).unwrap();
        }
        for name in ["a.jpg", "a.bmp"] {
            picture.to_rgb8().save(path(name)).unwrap();
        }
        picture.to_rgb32f().save(path("a.hdr")).unwrap();
        exr::prelude::write_rgba_file(path("a.exr"), 40, 30, |_, _| (0.5_f32, 0.25_f32, 0.0_f32, 1.0_f32)).unwrap();
        for name in ["a.png", "a.jpg", "a.tif", "a.exr", "a.tga", "a.bmp", "a.hdr", "a.webp"] {
            let checked = check_one(name, Some((40, 30))).unwrap();
            assert_eq!((checked.files[0].width, checked.files[0].height), (40, 30), "{name}");
            assert_eq!(checked.files[0].size_bytes, path(name).metadata().unwrap().len(), "{name}");
            assert!(checked.thumbnail.is_some(), "{name}");
            assert!(check_one(name, None).is_ok(), "{name} of whatever size");
            assert!(check_one(name, Some((30, 40))).is_err(), "{name} of another size");

            let whole = std::fs::read(path(name)).unwrap();
            std::fs::write(path(name), &whole[..whole.len() * 2 / 3]).unwrap();
            assert!(check_one(name, Some((40, 30))).is_err(), "{name} cut short");
        }
        std::fs::write(path("empty.png"), b"").unwrap();
        std::fs::write(path("text.png"), b"not a picture").unwrap();
        for name in ["empty.png", "text.png", "missing.png"] {
            assert!(check_one(name, None).is_err(), "{name}");
        }
    }

    #[test]
    fn a_png_counts_to_its_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        picture().save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let middle = whole.len() / 2;
        let flipped = [&whole[..middle], &[!whole[middle]], &whole[middle + 1..]].concat();
        for (damaged, how) in [(&whole[..whole.len() - 12], "without its end"), (&flipped, "with another byte")] {
            std::fs::write(&path, damaged).unwrap();
            assert!(check(folder.path(), &[file("a.png", None)]).is_err(), "{how}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_of_the_frame_s_own_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        picture().save(folder.path().join("secret.png")).unwrap();
        let inside = folder.path().join("frame");
        std::fs::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink("../secret.png", inside.join("link.png")).unwrap();
        // Whoever opened it would wait until somebody writes.
        rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pipe.png"), rustix::fs::Mode::RUSR).unwrap();
        std::fs::create_dir(inside.join("folder.png")).unwrap();
        for name in ["link.png", "pipe.png", "folder.png", "../secret.png", "/dev/zero"] {
            assert!(check(&inside, &[file(name, None)]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_black_picture_counts() {
        let folder = tempfile::tempdir().unwrap();
        RgbaImage::new(40, 30).save(folder.path().join("black.png")).unwrap();
        assert!(check(folder.path(), &[file("black.png", Some((40, 30)))]).is_ok());
    }

    #[test]
    fn one_bad_file_spoils_the_frame_and_the_first_gives_the_thumbnail() {
        let folder = tempfile::tempdir().unwrap();
        picture().save(folder.path().join("a.png")).unwrap();
        std::fs::write(folder.path().join("b.png"), b"no picture").unwrap();
        let error = check(folder.path(), &[file("a.png", None), file("b.png", None)]).unwrap_err();
        assert!(error.to_string().starts_with("b.png: "), "{error}");
    }

    #[test]
    fn the_picture_is_found_among_the_passes_of_an_exr() {
        let folder = tempfile::tempdir().unwrap();
        let layer = |name: &str, light: f32| {
            let channels = SpecificChannels::build()
                .with_channel("View.Combined.R")
                .with_channel("View.Combined.G")
                .with_channel("View.Combined.B")
                .with_channel("View.Albedo.R")
                .with_pixel_fn(move |_| (light, light, light, 1.0_f32));
            Layer::new((8, 8), LayerAttributes::named(name), Encoding::FAST_LOSSLESS, channels)
        };
        Image::from_layer(layer("only", 0.214)).write().to_file(folder.path().join("a.exr")).unwrap();
        let output = check(folder.path(), &[file("a.exr", Some((8, 8)))]).unwrap();
        let thumbnail = image::load_from_memory(&output.thumbnail.unwrap()).unwrap().to_rgb8();
        assert!(thumbnail.get_pixel(4, 4).0.iter().all(|shown| shown.abs_diff(128) <= 3), "{thumbnail:?}");
    }
}
