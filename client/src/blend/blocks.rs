//! A .blend as a row of blocks, in both of its forms: with heads of 20 or 24 bytes, and with heads of 32.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use haywain_shared::blend::{Form, Header, PointerWidth, Stream};

use super::timeline::BlendError;

/// A block: its head. The content follows it in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Its kind: `SC\0\0` is a scene.
    pub(super) code: [u8; 4],
    /// Where it was in the memory of the Blender that saved it: what pointers to it say.
    pub(super) address: u64,
    /// How long the content is.
    pub(super) size_bytes: u64,
}

/// Goes through the blocks.
pub(super) struct Blocks {
    stream: Stream<BufReader<File>>,
    form: Form,
    /// What of the last block's content has not been read.
    left: u64,
}

impl Blocks {
    pub(super) fn begin(path: &Path) -> Result<Self, BlendError> {
        let mut stream = Stream::of(BufReader::new(File::open(path)?))?;
        let Header { form, .. } = Header::read(&mut stream)?;
        Ok(Self { stream, form, left: 0 })
    }

    pub(super) const fn pointers(&self) -> PointerWidth {
        match self.form {
            Form::Small(width) => width,
            Form::Large => PointerWidth::Eight,
        }
    }

    /// The next block; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Block>> {
        self.stream.skip(self.left)?;
        let block = match self.form {
            Form::Small(PointerWidth::Four) => {
                let head: [u8; 20] = self.stream.exactly()?;
                let address = u32_at(&head, 8).into();
                Block { code: four_at(&head, 0), size_bytes: u32_at(&head, 4).into(), address }
            }
            Form::Small(PointerWidth::Eight) => {
                let head: [u8; 24] = self.stream.exactly()?;
                Block { code: four_at(&head, 0), size_bytes: u32_at(&head, 4).into(), address: u64_at(&head, 8) }
            }
            Form::Large => {
                let head: [u8; 32] = self.stream.exactly()?;
                Block { code: four_at(&head, 0), address: u64_at(&head, 8), size_bytes: u64_at(&head, 16) }
            }
        };
        self.left = block.size_bytes;
        Ok((&block.code != b"ENDB").then_some(block))
    }

    /// The content of the block that came last, if it is no longer than such a block can be.
    pub(super) fn content(&mut self, most_bytes: u64) -> Result<Vec<u8>, BlendError> {
        if self.left > most_bytes {
            return Err(BlendError::Damaged("a block is longer than any of its kind"));
        }
        let mut content = Vec::new();
        (&mut self.stream).take(self.left).read_to_end(&mut content)?;
        if content.len() as u64 != self.left {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.left = 0;
        Ok(content)
    }
}

/// `N` bytes from `at` on; zeros where there are none.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn four_at(bytes: &[u8], at: usize) -> [u8; 4] {
    bytes_at(bytes, at)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}
