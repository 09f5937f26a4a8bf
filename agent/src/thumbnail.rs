//! A small JPEG of a picture, for people to look at: as it looks on a screen, on mid grey where it is transparent, and
//! never larger than it was.

use haywain_shared::protocol::{MAX_THUMBNAIL_BYTES, THUMBNAIL_PIXELS};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Rgb, Rgb32FImage, RgbImage, Rgba32FImage};

use crate::picture::{Picture, Pixels};

/// Of 100.
const QUALITY: u8 = 80;
/// Mid grey as screens show it, of 255.
const GREY: u32 = 128;
/// The same grey as an amount of light.
const GREY_LIGHT: f32 = 0.2140;

/// A thumbnail of a picture; `None` where its pixels are not known, or there is nothing to see.
#[must_use]
pub fn of(picture: &Picture) -> Option<Vec<u8>> {
    let small = match &picture.pixels {
        Pixels::Unseen => return None,
        Pixels::Display(image) => shrunk(on_grey(image).into()).into_rgb8(),
        Pixels::Linear(light) => as_shown(&shrunk(light_on_grey(light).into()).into_rgb32f()),
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).ok()?;
    (jpeg.len() as u64 <= MAX_THUMBNAIL_BYTES).then_some(jpeg)
}

/// An image, no larger than a thumbnail may be.
fn shrunk(image: DynamicImage) -> DynamicImage {
    let longer = image.width().max(image.height());
    if longer <= THUMBNAIL_PIXELS {
        return image;
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(THUMBNAIL_PIXELS) / u64::from(longer);
        u32::try_from(side).unwrap_or(THUMBNAIL_PIXELS).max(1)
    };
    image.thumbnail_exact(scaled(image.width()), scaled(image.height()))
}

fn on_grey(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let over = |colour: u32| u8::try_from((colour * alpha + GREY * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        Rgb([red, green, blue].map(over))
    })
}

/// Clamped before it is made smaller: one pixel of a lamp would outshine its neighbours otherwise.
fn light_on_grey(image: &Rgba32FImage) -> Rgb32FImage {
    let clamped = |light: f32| if light.is_nan() { 0.0 } else { light.clamp(0.0, 1.0) };
    Rgb32FImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let rest = (1.0 - clamped(alpha)) * GREY_LIGHT;
        Rgb([red, green, blue].map(|colour| clamped(clamped(colour) + rest)))
    })
}

/// Light as screens show it (the transfer function of IEC 61966-2-1).
fn as_shown(image: &Rgb32FImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        Rgb(image.get_pixel(x, y).0.map(|light| {
            let shown = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to a byte")]
            let byte = (shown * 255.0).round().clamp(0.0, 255.0) as u8;
            byte
        }))
    })
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Rgba, RgbaImage};

    use super::*;

    fn shown(width: u32, height: u32, pixels: Pixels) -> RgbImage {
        let jpeg = of(&Picture { width, height, pixels }).unwrap();
        image::load_from_memory(&jpeg).unwrap().to_rgb8()
    }

    fn is_about(pixel: Rgb<u8>, expected: [u8; 3]) -> bool {
        pixel.0.iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= 3)
    }

    #[test]
    fn the_longer_side_is_as_long_as_it_may_be_and_nothing_grows() {
        let cases = [
            ((1920, 1080), (320, 180)),
            ((1080, 1920), (180, 320)),
            ((64, 36), (64, 36)),
            ((320, 320), (320, 320)),
            ((10_000, 1), (320, 1)),
        ];
        for ((width, height), expected) in cases {
            let image = DynamicImage::from(RgbaImage::new(width, height));
            assert_eq!(shown(width, height, Pixels::Display(image)).dimensions(), expected, "{width} by {height}");
        }
    }

    #[test]
    fn colours_look_as_on_a_screen() {
        let display = |pixel: [u8; 4]| Pixels::Display(RgbaImage::from_pixel(8, 8, Rgba(pixel)).into());
        let deep =
            |pixel: [u16; 4]| Pixels::Display(DynamicImage::ImageRgba16(ImageBuffer::from_pixel(8, 8, Rgba(pixel))));
        let light = |pixel: [f32; 4]| Pixels::Linear(Rgba32FImage::from_pixel(8, 8, Rgba(pixel)));
        let cases = [
            (display([200, 100, 50, 255]), [200, 100, 50]),
            (display([200, 100, 50, 0]), [128, 128, 128]),
            (display([228, 128, 28, 128]), [178, 128, 78]),
            (deep([51_400, 25_700, 12_850, 65_535]), [200, 100, 50]),
            (light([0.214, 0.214, 0.214, 1.0]), [128, 128, 128]),
            (light([0.0, 0.0, 0.0, 0.0]), [128, 128, 128]),
            (light([5.0, -1.0, f32::NAN, 1.0]), [255, 0, 0]),
            (light([f32::INFINITY, 1.0, 0.5, 1.0]), [255, 255, 188]),
        ];
        for (number, (pixels, expected)) in cases.into_iter().enumerate() {
            let pixel = *shown(8, 8, pixels).get_pixel(4, 4);
            assert!(is_about(pixel, expected), "case {number}: {pixel:?} is not about {expected:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_has_none() {
        assert_eq!(of(&Picture { width: 8, height: 8, pixels: Pixels::Unseen }), None);
    }
}
