//! The add-ons in the agent's folder, by name and version, as they say them themselves: an older one in its `bl_info`, an
//! extension in its `blender_manifest.toml`. Nothing of them is run to find out.

use std::io;
use std::path::{Path, PathBuf};

use haywain_shared::protocol::AddonFacts;

/// The most of an add-on's file that is read for its version, in bytes: it stands at the beginning.
const MOST_READ: usize = 64 * 1024;

/// The add-ons in a folder, by name.
pub fn found_in(folder: &Path) -> io::Result<Vec<AddonFacts>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        found.extend(addon(&entry?.path()));
    }
    found.sort_by(|one: &AddonFacts, other| one.name.cmp(&other.name));
    Ok(found)
}

/// What lies at a path, if it is an add-on.
fn addon(path: &Path) -> Option<AddonFacts> {
    let module = if path.is_dir() { path.join("__init__.py") } else { path.to_owned() };
    if !module.is_file() || module.extension()? != "py" {
        return None;
    }
    let name = path.file_stem()?.to_str()?.to_owned();
    let manifest: PathBuf = path.join("blender_manifest.toml");
    let version = match start_of(&manifest) {
        Some(manifest) => version_in_manifest(&manifest),
        None => version_in_bl_info(&start_of(&module)?),
    };
    Some(AddonFacts { name, version })
}

fn start_of(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_READ)]).into_owned())
}

/// `version = "1.2.3"`.
fn version_in_manifest(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("version")?.trim_start().strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// `"version": (1, 2, 3)`.
fn version_in_bl_info(text: &str) -> Option<String> {
    let info = &text[text.find("bl_info")?..];
    let version = &info[info.find("\"version\"").or_else(|| info.find("'version'"))?..];
    let numbers = version.split_once('(')?.1.split_once(')')?.0;
    Some(numbers.split(',').map(str::trim).filter(|number| !number.is_empty()).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_ons_are_known_by_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("rig.py", "bl_info = {\n  'name': 'Rig',\n  \"version\": (1, 20, 3),\n}");
        write("sky/__init__.py", "import bpy");
        write("sky/blender_manifest.toml", "schema_version = \"1.0.0\"\nversion = \"2.0.1\"");
        write("bare/__init__.py", "");
        write("notes.txt", "bl_info");
        write("data/picture.png", "");
        let found = found_in(folder.path()).unwrap();
        let found: Vec<_> = found.iter().map(|addon| (addon.name.as_str(), addon.version.as_deref())).collect();
        assert_eq!(found, [("bare", None), ("rig", Some("1.20.3")), ("sky", Some("2.0.1"))]);
    }
}
