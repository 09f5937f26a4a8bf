//! `--include`: the files that a pattern names. A file names itself and a folder all below it, also when their names look
//! like patterns.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::walk;

/// The characters that make a name a pattern.
const MARKS: [char; 4] = ['*', '?', '[', '{'];

/// The files; an error says why there are none.
pub(super) fn files(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(pattern);
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if path.is_dir() {
        return walk::below(path).map_err(|error| error.to_string());
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| error.to_string())?;
    let matcher = glob.compile_matcher();
    let start = start_of(pattern);
    if !start.is_dir() {
        return Err(format!("{} is not there", start.display()));
    }
    let mut files = walk::below(&start).map_err(|error| error.to_string())?;
    files.retain(|file| matcher.is_match(file.strip_prefix("./").unwrap_or(file)) || matcher.is_match(file));
    if files.is_empty() { Err("no file has such a name".to_owned()) } else { Ok(files) }
}

/// The folder to begin at: what stands before the first part with a mark.
fn start_of(pattern: &str) -> PathBuf {
    let plain = pattern.split('/').take_while(|part| !part.contains(MARKS));
    let start = plain.collect::<Vec<_>>().join("/");
    match start.as_str() {
        "" if pattern.starts_with('/') => PathBuf::from("/"),
        "" => PathBuf::from("."),
        start => PathBuf::from(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_looked_for_from_its_plain_beginning_on() {
        for (pattern, start) in
            [("tex/**/*.png", "tex"), ("*.png", "."), ("/mnt/a/b?.exr", "/mnt/a"), ("/*.png", "/"), ("./t/*", "./t")]
        {
            assert_eq!(start_of(pattern), Path::new(start), "{pattern}");
        }
    }

    #[test]
    fn stars_stop_at_slashes_and_two_do_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.exr", "deep/er/c.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let count = |pattern: &str| files(&format!("{}/{pattern}", folder.path().display())).map(|files| files.len());
        assert_eq!(count("*.png"), Ok(1));
        assert_eq!(count("**/*.png"), Ok(2));
        assert_eq!(count("*.{png,exr}"), Ok(2));
        assert_eq!(count("deep"), Ok(1));
        assert!(count("*.jpg").is_err());
        assert!(count("nowhere/*").is_err());
    }
}
