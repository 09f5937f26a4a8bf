//! What belongs to an `OpenColorIO` configuration: the tables (LUTs) that lie where it says. It is read line by line: a
//! configuration that is written otherwise than every known one can be sent with `--include`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::walk;

/// The files that a configuration may read: all below the folders that it looks in, and those that it names by their paths.
pub(super) fn tables_of(config: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let text = String::from_utf8_lossy(&std::fs::read(config)?).into_owned();
    let beside = config.parent().unwrap_or(config);
    let folders = search_path(&text);
    let mut files = BTreeSet::new();
    for folder in &folders {
        let folder = beside.join(folder);
        if folder.is_dir() && !beside.starts_with(&folder) {
            files.extend(walk::below(&folder)?);
        }
    }
    for table in sources(&text) {
        let places = std::iter::once(Path::new("")).chain(folders.iter().map(Path::new));
        files.extend(places.map(|folder| beside.join(folder).join(table)).find(|path| path.is_file()));
    }
    files.remove(config);
    Ok(files)
}

/// The folders of `search_path`: one text with colons, or a list.
fn search_path(text: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("search_path:"));
    let Some(first) = lines.next().and_then(|line| line.split_once(':')) else { return Vec::new() };
    let inline = first.1.trim().trim_start_matches('[').trim_end_matches(']');
    let inline = inline.split([':', ',']);
    let listed = lines.map(str::trim).map_while(|line| line.strip_prefix("- "));
    let all = inline.chain(listed).map(|folder| folder.trim().trim_matches(['"', '\'']).to_owned());
    all.filter(|folder| !folder.is_empty()).collect()
}

/// What follows `src:`, which is how transforms name their tables.
fn sources(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("src: ").filter_map(|(at, found)| {
        let rest = text[at + found.len()..].trim_start();
        let end = rest.find([',', '}', '\n', '\r']).unwrap_or(rest.len());
        Some(rest[..end].trim().trim_matches(['"', '\''])).filter(|source| !source.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_found_where_the_configuration_says() {
        let cases = [
            ("search_path: luts:looks\n", vec!["looks/b.cube", "luts/a.spi1d", "luts/deep/d.cube"]),
            ("search_path: [luts, 'looks']\n", vec!["looks/b.cube", "luts/a.spi1d", "luts/deep/d.cube"]),
            (
                "search_path:\n  - luts\n  - \"looks\"\nroles:\n  - no\n",
                vec!["looks/b.cube", "luts/a.spi1d", "luts/deep/d.cube"],
            ),
            (
                "search_path: looks\n  - !<FileTransform> {src: deep/d.cube, interpolation: best}\n",
                vec!["looks/b.cube"],
            ),
            ("search_path: \"\"\n  from: !<FileTransform> {src: luts/a.spi1d}\n", vec!["luts/a.spi1d"]),
            ("  from: !<FileTransform> {src: \"c.cube\"}\n", vec!["c.cube"]),
            ("search_path: gone\n", vec![]),
        ];
        let folder = tempfile::tempdir().unwrap();
        for name in ["c.cube", "luts/a.spi1d", "luts/deep/d.cube", "looks/b.cube", "other/e.cube"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let config = folder.path().join("config.ocio");
        for (text, expected) in cases {
            std::fs::write(&config, text).unwrap();
            let found = tables_of(&config).unwrap();
            let expected: BTreeSet<_> = expected.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
