//! The flags that say which files belong to a scene: of every command that sends one.

use std::path::PathBuf;

use clap::Args;

use crate::scene::Mapping;

/// What stands between the paths in `HAYWAIN_BLENDER`: as in PATH.
const PATH_DELIMITER: char = if cfg!(windows) { ';' } else { ':' };

/// Which files belong to a scene.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Send these files too: a file, a folder, or a pattern such as 'tex/**/*.png'; may be given more than once
    #[arg(long, value_name = "GLOB", help_heading = "The scene's files")]
    pub include: Vec<String>,
    /// The project's folder: send everything below it, with each file's path in it
    #[arg(long, value_name = "DIR", help_heading = "The scene's files")]
    pub folder: Option<PathBuf>,
    /// Where files are here that had another path where the scene was made: 'D:\tex=textures'
    #[arg(long, value_name = "THERE=HERE", help_heading = "The scene's files", value_parser = mapping)]
    pub map: Vec<Mapping>,
    /// The colour configuration (config.ocio) that the scene was made with; it goes along with its tables (LUTs)
    #[arg(long, value_name = "FILE", help_heading = "The scene's files")]
    pub color_config: Option<PathBuf>,
    /// The Blender, or the Python with the bpy module, that says what the scene links [default: one on PATH or in the usual
    /// places]
    #[arg(long, env = "HAYWAIN_BLENDER", value_name = "PATH", value_delimiter = PATH_DELIMITER,
        help_heading = "The scene's files")]
    pub blender: Vec<PathBuf>,
    /// Ask no Blender: send the file itself, and what --include and --folder name
    #[arg(long, help_heading = "The scene's files")]
    pub no_blender: bool,
}

fn mapping(text: &str) -> Result<Mapping, String> {
    let (original, local) = text.split_once('=').ok_or("THERE=HERE is expected, such as 'D:\\tex=textures'")?;
    if !haywain_shared::scene::is_absolute(original) {
        return Err(format!("{original:?} is no absolute path of any system"));
    }
    let local = PathBuf::from(local);
    if !local.exists() {
        return Err(format!("{} is not there", local.display()));
    }
    Ok(Mapping { original: original.to_owned(), local })
}
