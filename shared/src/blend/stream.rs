//! The bytes of a .blend in order, whichever way it is compressed: skipping is a seek where the file is plain, and reading
//! past where it is not.

use std::io::{self, BufRead, Read, Seek};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The bytes of a .blend.
pub enum Stream<R> {
    /// As they lie there.
    Plain(R),
    /// As they come out of what is compressed.
    Packed(Box<dyn Read>),
}

impl<R: BufRead + Seek + 'static> Stream<R> {
    /// The bytes of a file that is at its start.
    pub fn of(mut file: R) -> io::Result<Self> {
        let mut start = [0; 4];
        let length = read_up_to(&mut file, &mut start)?;
        file.rewind()?;
        Ok(match &start[..length] {
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Packed(Box::new(ZstdFrames::Between(Some(file)))),
            [0x1f, 0x8b, ..] => Self::Packed(Box::new(MultiGzDecoder::new(file))),
            _ => Self::Plain(file),
        })
    }

    /// The next bytes: exactly `N`.
    pub fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let passed = match self {
            Self::Plain(file) => {
                let offset = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                return file.seek_relative(offset);
            }
            Self::Packed(reader) => io::copy(&mut reader.take(bytes), &mut io::sink())?,
        };
        if passed == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl<R: BufRead + Seek + 'static> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(reader) => reader.read(buffer),
        }
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

/// Blender writes many Zstandard frames in a row, and after them one to skip: a table for seeking.
enum ZstdFrames<R: Read> {
    Inside(Box<StreamingDecoder<R, FrameDecoder>>),
    /// `None` at the end, and after an error.
    Between(Option<R>),
}

impl<R: BufRead + Seek> ZstdFrames<R> {
    /// Begins the next frame; `false` at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        let Self::Between(file) = self else { return Ok(true) };
        let Some(mut file) = file.take() else { return Ok(false) };
        loop {
            if file.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut magic = [0; 4];
            file.read_exact(&mut magic)?;
            // RFC 8878, 3.1.2: sixteen numbers mark what is to be skipped, and how long it is follows.
            if matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18]) {
                let mut length = [0; 4];
                file.read_exact(&mut length)?;
                file.seek_relative(u32::from_le_bytes(length).into())?;
                continue;
            }
            file.seek_relative(-4)?;
            let decoder =
                StreamingDecoder::new(file).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            *self = Self::Inside(Box::new(decoder));
            return Ok(true);
        }
    }
}

impl<R: BufRead + Seek> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.begin()? {
            if let Self::Inside(decoder) = self {
                match decoder.read(buffer)? {
                    0 => {}
                    length => return Ok(length),
                }
            }
            if let Self::Inside(decoder) = std::mem::replace(self, Self::Between(None)) {
                *self = Self::Between(Some(decoder.into_inner()));
            }
        }
        Ok(0)
    }
}
