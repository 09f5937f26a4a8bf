//! The structures that a .blend says it is made of (its "DNA1" block): where in a structure a member lies. Every Blender
//! version lays them out in its own way, and tells how.

use std::collections::HashMap;

use haywain_shared::blend::PointerWidth;

use super::blocks::{bytes_at, u32_at};
use super::timeline::BlendError;

/// A member of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    kind: usize,
    name: usize,
}

/// The structures of a file.
#[derive(Debug)]
pub(super) struct Sdna {
    names: Vec<String>,
    types: Vec<String>,
    type_sizes: Vec<usize>,
    /// By the type's place in `types`.
    structs: HashMap<usize, Vec<Member>>,
    pointers: PointerWidth,
}

impl Sdna {
    pub(super) fn read(bytes: &[u8], pointers: PointerWidth) -> Result<Self, BlendError> {
        let mut reader = Reader { bytes, at: 0 };
        reader.tag(*b"SDNA")?;
        reader.tag(*b"NAME")?;
        let names = reader.strings()?;
        reader.tag(*b"TYPE")?;
        let types = reader.strings()?;
        reader.tag(*b"TLEN")?;
        let mut type_sizes = Vec::new();
        for _ in 0..types.len() {
            type_sizes.push(reader.short()?);
        }
        reader.tag(*b"STRC")?;
        let mut structs = HashMap::new();
        for _ in 0..reader.count()? {
            let (kind, members) = (reader.short()?, reader.short()?);
            let mut list = Vec::new();
            for _ in 0..members {
                list.push(Member { kind: reader.short()?, name: reader.short()? });
            }
            structs.insert(kind, list);
        }
        Ok(Self { names, types, type_sizes, structs, pointers })
    }

    /// Where `member` begins in the structure `name`.
    pub(super) fn offset(&self, name: &str, member: &str) -> Result<usize, BlendError> {
        let unknown = || BlendError::NoMember(format!("{name}.{member}"));
        let kind = self.types.iter().position(|known| known == name).ok_or_else(unknown)?;
        let mut offset = 0;
        for found in self.structs.get(&kind).ok_or_else(unknown)? {
            let text = self.names.get(found.name).ok_or_else(unknown)?;
            if text == member {
                return Ok(offset);
            }
            offset += self.size(*found, text);
        }
        Err(unknown())
    }

    fn size(&self, member: Member, name: &str) -> usize {
        let one = match name.as_bytes() {
            // A pointer, or a pointer to a function.
            [b'*', ..] | [b'(', b'*', ..] => self.pointers.bytes(),
            _ => self.type_sizes.get(member.kind).copied().unwrap_or_default(),
        };
        let lengths = name.split('[').skip(1).filter_map(|part| part.trim_end_matches(']').parse::<usize>().ok());
        lengths.fold(one, usize::saturating_mul)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Each part begins at a multiple of four.
    fn tag(&mut self, tag: [u8; 4]) -> Result<(), BlendError> {
        self.at = self.at.next_multiple_of(4);
        if bytes_at::<4>(self.bytes, self.at) != tag {
            return Err(BlendError::Damaged("its list of structures breaks off"));
        }
        self.at += 4;
        Ok(())
    }

    fn count(&mut self) -> Result<usize, BlendError> {
        let count = u32_at(self.bytes, self.at) as usize;
        self.at += 4;
        // Each of whatever is counted has at least a byte.
        if count > self.bytes.len() {
            Err(BlendError::Damaged("its list of structures is too long"))
        } else {
            Ok(count)
        }
    }

    fn short(&mut self) -> Result<usize, BlendError> {
        if self.at + 2 > self.bytes.len() {
            return Err(BlendError::Damaged("its list of structures breaks off"));
        }
        let short = u16::from_le_bytes(bytes_at(self.bytes, self.at));
        self.at += 2;
        Ok(short.into())
    }

    fn strings(&mut self) -> Result<Vec<String>, BlendError> {
        let mut strings = Vec::new();
        for _ in 0..self.count()? {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let length = rest
                .iter()
                .position(|byte| *byte == 0)
                .ok_or(BlendError::Damaged("its list of structures breaks off"))?;
            strings.push(String::from_utf8_lossy(&rest[..length]).into_owned());
            self.at += length + 1;
        }
        Ok(strings)
    }
}
