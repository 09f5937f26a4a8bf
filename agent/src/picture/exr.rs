//! `OpenEXR`, block by block: every layer and channel, whatever they are called. Of compressions that the library does not know
//! (DWAA, DWAB) and of deep pixels, that every block is there.

use std::io::{BufRead, Read, Seek};

use exr::block::UncompressedBlock;
use exr::block::reader::ChunksReader as _;
use exr::error::Error;
use exr::meta::header::Header;
use exr::prelude::{SampleType, f16};

use super::{NoPicture, Picture};
use crate::thumbnail::{Sketch, Tone};

/// Such a file begins with the number 20000630, least significant byte first (OpenEXR's file layout).
const MAGIC: [u8; 4] = [0x76, 0x2f, 0x31, 0x01];

/// Whether a file that has not been read from yet is one.
pub(super) fn is_exr(file: &mut (impl Read + Seek)) -> std::io::Result<bool> {
    let mut start = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == MAGIC)
}

/// Decodes one.
pub(super) fn decode(file: impl BufRead + Seek) -> Result<Picture, NoPicture> {
    let reader = exr::block::read(file, false)?;
    let headers = reader.headers();
    let display = headers.first().ok_or("no layers")?.shared_attributes.display_window.size;
    let (width, height) = (u32::try_from(display.width())?, u32::try_from(display.height())?);
    let mut canvas = Canvas::of(headers)?;
    let mut chunks = reader.all_chunks(false)?;
    while let Some(chunk) = chunks.next() {
        match UncompressedBlock::decompress_chunk(chunk?, chunks.meta_data(), false) {
            Ok(block) => {
                if let Some(canvas) = &mut canvas {
                    canvas.draw(&block, chunks.headers());
                }
            }
            Err(Error::NotSupported(_)) => canvas = None,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Picture { width, height, sketch: canvas.map(|canvas| canvas.sketch) })
}

/// Where the channels are drawn that make up the picture itself.
struct Canvas {
    layer: usize,
    /// Red, green, blue and alpha, by their numbers.
    channels: [Option<usize>; 4],
    sketch: Sketch,
    /// A row of each.
    row: [Vec<f32>; 4],
}

impl Canvas {
    /// One for the first group of channels that has colour: the whole picture before its passes. `None` where there is none, or its
    /// channels are sampled more coarsely than the picture.
    fn of(headers: &[Header]) -> Result<Option<Self>, NoPicture> {
        let mut best: Option<(u8, usize, String)> = None;
        for (layer, header) in headers.iter().enumerate().filter(|(_, header)| !header.deep) {
            for channel in &header.channels.list {
                let name = channel.name.to_string();
                let (group, colour) = name.rsplit_once('.').unwrap_or(("", &name));
                if colour == "R" && best.as_ref().is_none_or(|(best_rank, ..)| rank(group) < *best_rank) {
                    best = Some((rank(group), layer, group.to_owned()));
                }
            }
        }
        let Some((_, layer, group)) = best else { return Ok(None) };
        let list = &headers[layer].channels.list;
        if list.iter().any(|channel| (channel.sampling.x(), channel.sampling.y()) != (1, 1)) {
            return Ok(None);
        }
        let channels = ["R", "G", "B", "A"].map(|colour| {
            let name = if group.is_empty() { colour.to_owned() } else { format!("{group}.{colour}") };
            list.iter().position(|channel| channel.name.to_string() == name)
        });
        let [Some(_), Some(_), Some(_), _] = channels else { return Ok(None) };
        let size = headers[layer].layer_size;
        let sketch = Sketch::new(u32::try_from(size.width())?, u32::try_from(size.height())?, Tone::Light);
        Ok(Some(Self { layer, channels, sketch, row: Default::default() }))
    }

    /// Draws what of a block belongs here.
    fn draw(&mut self, block: &UncompressedBlock, headers: &[Header]) {
        if block.index.layer != self.layer || (block.index.level.x(), block.index.level.y()) != (0, 0) {
            return;
        }
        let list = &headers[self.layer].channels;
        let end = list.list.len().saturating_sub(1);
        let (left, width) = (block.index.pixel_position.x(), block.index.pixel_size.width());
        for line in block.lines(list) {
            let number = line.location.channel;
            if let Some(place) = self.channels.iter().position(|channel| *channel == Some(number)) {
                read(line.value, list.list[number].sample_type, &mut self.row[place]);
            }
            if number == end {
                let [red, green, blue, alpha] = &self.row;
                let alpha = |x: usize| alpha.get(x).copied().unwrap_or(1.0);
                let pixels = (0..width).map(|x| [red[x], green[x], blue[x], alpha(x)]);
                self.sketch.draw(left, line.location.position.y(), pixels);
            }
        }
    }
}

/// The samples of a line.
fn read(line: &[u8], kind: SampleType, row: &mut Vec<f32>) {
    row.clear();
    match kind {
        SampleType::F16 => row.extend(line.as_chunks().0.iter().map(|bytes| f16::from_ne_bytes(*bytes).to_f32())),
        SampleType::F32 => row.extend(line.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes))),
        #[expect(clippy::cast_precision_loss, reason = "it is for a look")]
        SampleType::U32 => row.extend(line.as_chunks().0.iter().map(|bytes| u32::from_ne_bytes(*bytes) as f32)),
    }
}

/// How much a channel group of this name is the picture itself: less is more.
fn rank(group: &str) -> u8 {
    match group {
        "" => 0,
        _ if group.contains("Combined") => 1,
        _ => 2,
    }
}
