//! Python that runs inside Blender for more than one program: who looks for a scene's files and who points it at them agree on
//! what names a file. Nothing is started here.

/// `haywain/nodepaths.py`: the paths in nodes.
pub const NODE_PATHS: &str = include_str!("blender_python/nodepaths.py");
/// `haywain/views.py`: the files of a picture for several views.
pub const VIEWS: &str = include_str!("blender_python/views.py");
