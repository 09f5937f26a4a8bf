//! A small JPEG of a picture, for people to look at: as it looks on a screen, on mid grey where it is transparent, and
//! never larger than it was.

use haywain_shared::protocol::{MAX_THUMBNAIL_BYTES, THUMBNAIL_PIXELS};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

/// Of 100.
const QUALITY: u8 = 80;
/// Mid grey as screens show it, of 255.
const GREY: f32 = 128.0;
/// The same grey as an amount of light.
const GREY_LIGHT: f32 = 0.2140;

/// What the numbers of pixels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What screens show, 0 to 255, with alpha apart from colour.
    Display,
    /// Amounts of light, 1 for white, already multiplied by their alpha.
    Light,
}

/// A picture that is being made smaller while its rows come by: each of its pixels is the mean of those that it stands for.
pub struct Sketch {
    tone: Tone,
    /// The original's pixels down.
    height: usize,
    /// Pixels across and down of its own.
    size: (u32, u32),
    /// For each of its own columns, where in the original those end that belong to it.
    ends: Vec<usize>,
    /// Red, green, blue and number of the pixels drawn, row by row.
    sums: Vec<[f32; 4]>,
}

impl Sketch {
    /// One of a picture of so many pixels across and down. Nothing grows.
    #[must_use]
    pub fn new(width: u32, height: u32, tone: Tone) -> Self {
        let longer = u64::from(width.max(height)).max(u64::from(THUMBNAIL_PIXELS));
        let scaled = |side: u32| {
            let side = u64::from(side) * u64::from(THUMBNAIL_PIXELS) / longer;
            u32::try_from(side).unwrap_or(THUMBNAIL_PIXELS).max(1)
        };
        let size = (scaled(width), scaled(height));
        let (width, height) = (width as usize, height as usize);
        let ends = (1..=size.0 as usize).map(|column| column * width / size.0 as usize).collect();
        Self { tone, height, size, ends, sums: vec![[0.0; 4]; size.0 as usize * size.1 as usize] }
    }

    /// Draws pixels, from red to alpha, of the original's row `y` from the column `left` on. What lies outside is left out.
    pub fn draw(&mut self, left: usize, y: usize, pixels: impl Iterator<Item = [f32; 4]>) {
        let across = self.size.0 as usize;
        let start = y * self.size.1 as usize / self.height.max(1) * across;
        let Some(row) = self.sums.get_mut(start..start + across) else { return };
        // A choice for the row, not for each of its pixels: this is most of what the agent computes.
        match self.tone {
            Tone::Display => add(row, &self.ends, left, pixels.map(on_grey)),
            Tone::Light => add(row, &self.ends, left, pixels.map(light_on_grey)),
        }
    }

    /// The thumbnail; `None` where it would be larger than one may be.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        let (across, down) = self.size;
        let small = RgbImage::from_fn(across, down, |x, y| {
            let [red, green, blue, number] = self.sums[(y * across + x) as usize];
            Rgb([red, green, blue].map(|sum| {
                let mean = sum / number.max(1.0);
                let shown = if self.tone == Tone::Light { as_shown(mean) * 255.0 } else { mean };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to a byte")]
                let byte = shown.round().clamp(0.0, 255.0) as u8;
                byte
            }))
        });
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).ok()?;
        (jpeg.len() as u64 <= MAX_THUMBNAIL_BYTES).then_some(jpeg)
    }
}

/// Adds pixels, from the column `left` of the original on, to the sums of those that stand for them.
fn add(row: &mut [[f32; 4]], ends: &[usize], mut left: usize, mut pixels: impl Iterator<Item = [f32; 3]>) {
    let first = ends.partition_point(|end| *end <= left);
    for (sum, end) in row.iter_mut().zip(ends).skip(first) {
        let mut total = *sum;
        for [red, green, blue] in pixels.by_ref().take(end - left) {
            total = [total[0] + red, total[1] + green, total[2] + blue, total[3] + 1.0];
        }
        *sum = total;
        left = *end;
    }
}

fn on_grey([red, green, blue, alpha]: [f32; 4]) -> [f32; 3] {
    let opacity = alpha * (1.0 / 255.0);
    [red, green, blue].map(|colour| colour * opacity + GREY * (1.0 - opacity))
}

/// Clamped before it is made smaller: one pixel of a lamp would outshine its neighbours otherwise.
fn light_on_grey([red, green, blue, alpha]: [f32; 4]) -> [f32; 3] {
    let clamped = |light: f32| if light.is_nan() { 0.0 } else { light.clamp(0.0, 1.0) };
    let rest = (1.0 - clamped(alpha)) * GREY_LIGHT;
    [red, green, blue].map(|colour| clamped(clamped(colour) + rest))
}

/// Light as screens show it (the transfer function of IEC 61966-2-1).
fn as_shown(light: f32) -> f32 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: u32, height: u32, tone: Tone, pixel: [f32; 4]) -> RgbImage {
        let mut sketch = Sketch::new(width, height, tone);
        for y in 0..height as usize {
            // In two pieces, as tiles come.
            let half = width as usize / 2;
            sketch.draw(half, y, std::iter::repeat_n(pixel, width as usize - half));
            sketch.draw(0, y, std::iter::repeat_n(pixel, half));
        }
        image::load_from_memory(&sketch.finish().unwrap()).unwrap().to_rgb8()
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
            ((333, 321), (320, 308)),
            ((10_000, 1), (320, 1)),
        ];
        for ((width, height), expected) in cases {
            let small = shown(width, height, Tone::Display, [200.0, 100.0, 50.0, 255.0]);
            assert_eq!(small.dimensions(), expected, "{width} by {height}");
            // Each pixel stands for as many as were drawn of it.
            assert!(small.pixels().all(|pixel| is_about(*pixel, [200, 100, 50])), "{width} by {height}");
        }
    }

    #[test]
    fn colours_look_as_on_a_screen() {
        use Tone::*;
        let cases = [
            (Display, [200.0, 100.0, 50.0, 255.0], [200, 100, 50]),
            (Display, [200.0, 100.0, 50.0, 0.0], [128, 128, 128]),
            (Display, [228.0, 128.0, 28.0, 128.0], [178, 128, 78]),
            (Light, [0.214, 0.214, 0.214, 1.0], [128, 128, 128]),
            (Light, [0.0, 0.0, 0.0, 0.0], [128, 128, 128]),
            (Light, [5.0, -1.0, f32::NAN, 1.0], [255, 0, 0]),
            (Light, [f32::INFINITY, 1.0, 0.5, 1.0], [255, 255, 188]),
        ];
        for (tone, pixel, expected) in cases {
            let seen = *shown(8, 8, tone, pixel).get_pixel(4, 4);
            assert!(is_about(seen, expected), "{pixel:?}: {seen:?} is not about {expected:?}");
        }
    }

    #[test]
    fn what_lies_in_a_corner_is_seen_there_and_a_pixel_is_the_mean_of_many() {
        let mut sketch = Sketch::new(640, 640, Tone::Display);
        for y in 0..640_usize {
            let light = |x: usize| if x < 320 && y < 320 { 255.0 } else { 0.0 };
            let checks = |x: usize| if (x + y).is_multiple_of(2) { 255.0 } else { 0.0 };
            sketch.draw(0, y, (0..640).map(|x| [light(x), checks(x), 0.0, 255.0]));
        }
        let small = image::load_from_memory(&sketch.finish().unwrap()).unwrap().to_rgb8();
        for (place, expected) in [((80, 80), [255, 128, 0]), ((240, 80), [0, 128, 0]), ((80, 240), [0, 128, 0])] {
            let seen = *small.get_pixel(place.0, place.1);
            assert!(is_about(seen, expected), "{place:?}: {seen:?} is not about {expected:?}");
        }
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut sketch = Sketch::new(4, 4, Tone::Display);
        sketch.draw(2, 0, std::iter::repeat_n([255.0; 4], 9));
        sketch.draw(9, 0, std::iter::once([255.0; 4]));
        sketch.draw(0, 9, std::iter::once([255.0; 4]));
        assert!(sketch.finish().is_some());
    }
}
