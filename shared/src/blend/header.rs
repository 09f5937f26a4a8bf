//! The header of a .blend, in both of its forms: `BLENDER-v304`, and `BLENDER17-01v0500`.

use std::io::{self, Cursor};

use super::first_block;
use super::stream::Stream;
use crate::blender_version::Release;

/// With how many of a file's first bytes its header can be read. A block of what Zstandard has compressed has at most 128 KiB
/// (RFC 8878, 3.1.1.2.4).
pub const TO_HEADER_BYTES: usize = 256 * 1024;

/// How wide a pointer is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointerWidth {
    /// Four bytes.
    Four,
    /// Eight.
    Eight,
}

impl PointerWidth {
    /// The same as a number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// How the heads of the blocks look that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Those of all Blenders before 5.0, of 20 or 24 bytes.
    Small(PointerWidth),
    /// Of 32 bytes.
    Large,
}

/// What a file says of itself before its first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its form.
    pub form: Form,
    /// The Blender that saved it.
    pub saved_by: Release,
}

/// Why a header can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadHeader {
    /// The disk, or the compression.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// A form that nobody here knows.
    #[error("it has a form that is unknown here: {0:?}")]
    Form(String),
}

impl Header {
    /// Reads what a file begins with.
    pub fn read<R: io::BufRead + io::Seek + 'static>(stream: &mut Stream<R>) -> Result<Self, BadHeader> {
        let start: [u8; 12] = stream.exactly()?;
        let (form, order, version) = match start {
            [b'B', b'L', b'E', b'N', b'D', b'E', b'R', width @ (b'-' | b'_'), order, major, tens, ones] => {
                let width = if width == b'-' { PointerWidth::Eight } else { PointerWidth::Four };
                (Form::Small(width), order, [b'0', major, tens, ones])
            }
            // The header's length, the pointer's width, the form's number, the order of bytes, the version.
            [b'B', b'L', b'E', b'N', b'D', b'E', b'R', b'1', b'7', b'-', b'0', b'1'] => {
                let [order, version @ ..]: [u8; 5] = stream.exactly()?;
                (Form::Large, order, version)
            }
            other => return Err(BadHeader::Form(String::from_utf8_lossy(&other).into_owned())),
        };
        if order != b'v' {
            return Err(BadHeader::Form("the big-endian form of long ago".to_owned()));
        }
        if !version.iter().all(u8::is_ascii_digit) {
            return Err(BadHeader::Form(String::from_utf8_lossy(&version).into_owned()));
        }
        let [a, b, c, d] = version.map(|digit| u32::from(digit - b'0'));
        Ok(Self { form, saved_by: Release { major: 10 * a + b, minor: 10 * c + d } })
    }
}

/// The Blender that saved a file which begins so: [`TO_HEADER_BYTES`] of it, or all that it has.
pub fn saved_by(beginning: Vec<u8>) -> Result<Release, BadHeader> {
    Ok(Header::read(&mut Stream::of(Cursor::new(first_block::alone(beginning)))?)?.saved_by)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::digest::Sha256Digest;

    #[test]
    fn a_header_says_which_blender_saved_the_file() {
        let small = |width| Form::Small(width);
        let cases: [(&[u8], Form, &str); 5] = [
            (b"BLENDER-v304", small(PointerWidth::Eight), "3.4"),
            (b"BLENDER_v279REND", small(PointerWidth::Four), "2.79"),
            (b"BLENDER-v402", small(PointerWidth::Eight), "4.2"),
            (b"BLENDER17-01v0500REND", Form::Large, "5.0"),
            (b"BLENDER17-01v0512", Form::Large, "5.12"),
        ];
        for (bytes, form, release) in cases {
            let header = Header::read(&mut Stream::of(Cursor::new(bytes)).unwrap()).unwrap();
            assert_eq!((header.form, header.saved_by.to_string()), (form, release.to_owned()));
        }
        let bad: [&[u8]; 6] =
            [b"", b"BLENDER-v3", b"BLENDER-V304", b"BLENDER-v3x4", b"BLENDER17-02v0500", b"PK\x03\x04BLENDER-v304"];
        for bytes in bad {
            assert!(saved_by(bytes.to_vec()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn it_is_found_inside_what_is_compressed_though_the_file_breaks_off() {
        let mut content = b"BLENDER17-01v0502".to_vec();
        // Nothing that could be made smaller.
        for number in 0..12_500_u32 {
            content.extend(Sha256Digest::of(&number.to_le_bytes()).as_bytes());
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&content).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Uncompressed;
        for mut file in [gzip.finish().unwrap(), ruzstd::encoding::compress_to_vec(&content[..], level)] {
            assert!(file.len() > TO_HEADER_BYTES);
            file.truncate(TO_HEADER_BYTES);
            assert_eq!(saved_by(file).unwrap().to_string(), "5.2");
        }
        assert!(saved_by(vec![0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]).is_err());
    }
}
