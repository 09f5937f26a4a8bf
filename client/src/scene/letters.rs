//! A path that was written where capitals and small letters are the same, on a disk where they are not.

use std::path::{Path, PathBuf};

/// The one path that is there and differs in its letters' case alone; `None` where there are several, or the last part is
/// nowhere. A last part that is nowhere may still stand for a sequence, if its folder was found in this way.
pub(super) fn in_other_case(path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    let mut differs = false;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let exact = found.join(part);
        if exact.exists() {
            found = exact;
        } else if let Some(other) = alike(&found, &part.as_os_str().to_str()?.to_lowercase()) {
            (found, differs) = (other, true);
        } else if parts.peek().is_none() {
            found = exact;
        } else {
            return None;
        }
    }
    differs.then_some(found)
}

/// The one in a folder that has this name, but for its capitals.
fn alike(folder: &Path, lower: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let mut alike = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.to_lowercase() == lower));
    let first = alike.next()?;
    alike.next().is_none().then(|| first.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_differs_in_capitals_is_found_and_of_two_none() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        for file in ["tex/wall.png", "tex/Floor.png", "tex/FLOOR.png", "seq/s_0002.png"] {
            std::fs::create_dir_all(top.join(file).parent().unwrap()).unwrap();
            std::fs::write(top.join(file), b"").unwrap();
        }
        // Where the disk itself takes no notice of capitals, there is nothing to find.
        let is_told_apart = !top.join("TEX").exists();
        for (said, expected) in [
            ("Tex/Wall.PNG", Some("tex/wall.png")),
            ("tex/wall.png", None),
            ("tex/floor.png", None),
            ("Seq/s_0001.png", Some("seq/s_0001.png")),
            ("seq/s_0001.png", None),
            ("Gone/wall.png", None),
        ] {
            let expected = expected.filter(|_| is_told_apart).map(|path| top.join(path));
            assert_eq!(in_other_case(&top.join(said)), expected, "{said}");
        }
    }
}
