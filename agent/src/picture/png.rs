//! PNG, row by row.

use std::io::{BufRead, Seek};

use image::{DynamicImage, ImageFormat, ImageReader};
use png::{ColorType, Decoder, Transformations};

use super::{NoPicture, Picture};
use crate::thumbnail::{Sketch, Tone};

/// Decodes one. Checksums count, and the end has to be there.
pub(super) fn decode(mut file: impl BufRead + Seek) -> Result<Picture, NoPicture> {
    let mut decoder = Decoder::new(&mut file);
    // Every sample as a byte: more is not seen.
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    if reader.info().interlaced {
        // Blender writes none; whoever does is read in the other way.
        drop(reader);
        file.rewind()?;
        let image: DynamicImage = ImageReader::with_format(file, ImageFormat::Png).decode()?;
        return Ok(Picture::drawn(image));
    }
    let (width, height) = (reader.info().width, reader.info().height);
    let (color, _) = reader.output_color_type();
    let mut sketch = Sketch::new(width, height, Tone::Display);
    let mut rows = 0_usize;
    while let Some(row) = reader.next_row()? {
        let row = row.data();
        match color {
            ColorType::Rgba => sketch.draw(0, rows, pixels(row, |[red, green, blue, alpha]| [red, green, blue, alpha])),
            ColorType::Rgb => sketch.draw(0, rows, pixels(row, |[red, green, blue]| [red, green, blue, u8::MAX])),
            ColorType::GrayscaleAlpha => sketch.draw(0, rows, pixels(row, |[grey, alpha]| [grey, grey, grey, alpha])),
            ColorType::Grayscale | ColorType::Indexed => {
                sketch.draw(0, rows, pixels(row, |[grey]| [grey, grey, grey, u8::MAX]));
            }
        }
        rows += 1;
    }
    reader.finish()?;
    if rows != height as usize {
        return Err(format!("{rows} rows of {height}").into());
    }
    Ok(Picture { width, height, sketch: Some(sketch) })
}

fn pixels<const N: usize>(row: &[u8], rgba: impl Fn([u8; N]) -> [u8; 4]) -> impl Iterator<Item = [f32; 4]> {
    row.as_chunks::<N>().0.iter().map(move |samples| rgba(*samples).map(f32::from))
}
