//! Looks at what is called .blend: nothing is sent that Blender could not open.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use haywain_shared::file_kind::{FileKind, HEAD_BYTES};

/// Looks at the first bytes of a file.
pub fn kind_of(path: &Path) -> io::Result<FileKind> {
    let mut start = Vec::new();
    File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut start)?;
    Ok(FileKind::of(&start))
}

/// What a file is and what to do about it, to follow "… is not a .blend file but ".
pub(crate) fn said(kind: &FileKind) -> String {
    match kind {
        FileKind::Blend => "a .blend file".to_owned(),
        FileKind::Empty => "empty (0 bytes): its copy or download failed, get it again".to_owned(),
        FileKind::LfsPointer => "a Git LFS pointer, not the file itself: run `git lfs pull` first".to_owned(),
        FileKind::Html => "an HTML or XML page, perhaps of a failed download: get it again".to_owned(),
        FileKind::Zip => "a ZIP archive: unpack it and submit the .blend inside".to_owned(),
        FileKind::Other(begins) => format!("something else: {begins}"),
    }
}
