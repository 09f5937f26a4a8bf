//! The first block of what Zstandard has compressed, as a frame of its own: a decoder gives out what it has once it has seen a
//! whole window of some megabytes, or the frame's end. RFC 8878, 3.1.1.

/// How a frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Ends a frame after its first block. What is no frame, or has no whole block, stays as it is, for the decoder to judge.
pub(super) fn alone(mut beginning: Vec<u8>) -> Vec<u8> {
    if let Some(end) = end_of_first_block(&mut beginning) {
        beginning.truncate(end);
    }
    beginning
}

fn end_of_first_block(frame: &mut [u8]) -> Option<usize> {
    if !frame.starts_with(&MAGIC) {
        return None;
    }
    let descriptor = *frame.get(MAGIC.len())?;
    let is_single_segment = descriptor & 0b10_0000 != 0;
    let window = usize::from(!is_single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
    let content_size = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        power => 1 << power,
    };
    let block = MAGIC.len() + 1 + window + dictionary + content_size;
    let [a, b, c]: [u8; 3] = *frame.get(block..)?.first_chunk()?;
    let head = u32::from_le_bytes([a, b, c, 0]);
    let (kind, size) = ((head >> 1) & 0b11, usize::try_from(head >> 3).ok()?);
    // A block of one byte that is repeated says how often, and has that byte.
    let end = block + 3 + if kind == 1 { 1 } else { size };
    if end > frame.len() {
        return None;
    }
    // It is the last one, and no checksum of the whole follows it.
    frame[block] |= 1;
    frame[MAGIC.len()] &= !0b100;
    Some(end)
}
