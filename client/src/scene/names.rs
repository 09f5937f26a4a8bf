//! Names that every system can have: what a file is called in the scene's folder when its own name is none.

use haywain_shared::digest::Sha256Digest;
use haywain_shared::path::{BadPath, MAX_PART_BYTES, RelativePath};

/// The folder in the scene's folder for files from outside the project.
pub(super) const OUTSIDE: &str = "outside";

/// Room for the mark of a changed name.
const MARK_BYTES: usize = 16;

/// A path as it is, or the path that stands in for it and differs from that of any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// As it is.
    Kept(RelativePath),
    /// Another one.
    Changed(RelativePath),
}

impl Named {
    pub(super) fn path(&self) -> &RelativePath {
        match self {
            Self::Kept(path) | Self::Changed(path) => path,
        }
    }
}

/// The path of these parts.
pub(super) fn named(parts: &[String]) -> Result<Named, BadPath> {
    let path = parts.join("/");
    if let Ok(path) = RelativePath::new(path) {
        return Ok(Named::Kept(path));
    }
    let safe: Vec<String> = parts.iter().map(|part| safe(part)).collect();
    RelativePath::new(safe.join("/")).map(Named::Changed)
}

/// A part of a path that every system can have. What had to be changed begins with a mark made from what was in the name
/// besides its digits: two names never become one, and the frames of a sequence stay one.
fn safe(part: &str) -> String {
    if RelativePath::new(part).is_ok() {
        return part.to_owned();
    }
    let is_long = part.len() > MAX_PART_BYTES - MARK_BYTES;
    let marked: String = part.chars().filter(|c| is_long || !c.is_ascii_digit()).collect();
    let mark = &Sha256Digest::of(marked.as_bytes()).to_string()[..8];
    let good = |c: char| !c.is_control() && !"\\/:*?\"<>|#".contains(c);
    let clean: String = part.chars().map(|c| if good(c) { c } else { '_' }).collect();
    let clean = clean.trim_end_matches(['.', ' ']);
    let excess = clean.len().saturating_sub(MAX_PART_BYTES - MARK_BYTES);
    // The end has the extension, and the number of a frame.
    let start = (excess..clean.len()).find(|at| clean.is_char_boundary(*at)).unwrap_or(clean.len());
    format!("_{mark}-{}", &clean[start..]).trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(part: &str) -> Named {
        named(&["outside".to_owned(), part.to_owned()]).unwrap()
    }

    #[test]
    fn good_names_stay_and_others_become_good_and_stay_apart() {
        assert_eq!(name("a b (1).png"), Named::Kept(RelativePath::new("outside/a b (1).png").unwrap()));
        let long = "ü".repeat(150);
        let bad = ["a?.png", "a*.png", "a:.png", "nul", "con.png", "a.", "b ", "a#12", "a\\b", &long, "x.\u{7}", ".."];
        let mut seen = std::collections::HashSet::new();
        for part in bad {
            let Named::Changed(path) = name(part) else { panic!("{part} was kept") };
            assert!(seen.insert(path.clone()), "{part} became {path}, as another did");
        }
        // The frames of a sequence differ in their numbers alone.
        let (one, other) = (name("a?_0001.png"), name("a?_0002.png"));
        assert_eq!(one.path().as_str().replace("0001", "0002"), other.path().as_str());
    }
}
