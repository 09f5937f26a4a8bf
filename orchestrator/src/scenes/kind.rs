//! What is said to a client of a file that is not what it should be.

use haywain_shared::file_kind::FileKind;

/// What a file is and what to do about it, to follow its name and a colon.
pub(super) fn said(kind: &FileKind) -> &str {
    match kind {
        FileKind::Blend => "it is a .blend",
        FileKind::Zip => "it is a zip file",
        FileKind::Empty => "it is empty: was it saved whole?",
        FileKind::LfsPointer => {
            "it is a Git LFS pointer (git-lfs), not the file itself: run `git lfs pull` and send it again"
        }
        FileKind::Html => "it is an HTML page, as a server sends it in place of a file",
        FileKind::Other(begins) => begins,
    }
}
