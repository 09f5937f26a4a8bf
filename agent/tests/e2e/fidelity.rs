//! The matrix of fidelity: every scene of the tests, of the client's too, rendered warm in a session and cold by a plain
//! Blender, under both Blenders. `cargo xtask fidelity` runs it and keeps what it says as `docs/fidelity.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::{Failure, Session};
use haywain_agent::output::{self, CHECKED_FORMATS};
use haywain_shared::cause::Cause;
use haywain_shared::options::RenderOptions;

use crate::blenders::{self, BOTH, Change, Kind, cold_file, cold_folder, cold_still, is_same, made_by};
use crate::options::OPTIONS;
use crate::places::Project;
use crate::session::{TERMS, empty_folder, frame, opening, start, version};

const FRAME: i32 = 7;
/// Rendered before in the same session.
const ANOTHER_FRAME: i32 = 12;
const STILLS: &str = "i = bpy.context.scene.render.image_settings\nif hasattr(i, 'media_type'): i.media_type = 'IMAGE'\n\
    i.file_format = 'PNG'";
const PLAYED: &str = "for number in range(1, 8): bpy.context.scene.frame_set(number)";
const SEQUENTIAL: &str = r#"{"order": "sequential"}"#;

/// How a plain Blender makes the same picture.
#[derive(Clone, Copy)]
enum Cold {
    /// As it stands, once an artist has changed this.
    Changed(Change<'static>),
    /// With every file that it writes.
    WithAllFiles,
    /// By hand, at a frame before zero.
    BeforeZero,
}

const AS_IT_STANDS: Cold = Cold::Changed(Change { scene: "", python: "", color_config: None });

const fn changed(python: &'static str) -> Cold {
    Cold::Changed(Change { scene: "", python, color_config: None })
}

/// (what it shows, the script and the scene, what the job sets, how a plain Blender makes the same).
type Known = (&'static str, (&'static str, &'static str), &'static str, Cold);

/// Scenes whose scripts do not say themselves what they show.
const FRAMES: [Known; 7] = [
    ("A frame, mid-range", ("make", "basic"), "{}", AS_IT_STANDS),
    ("Frames before zero", ("make", "before_zero"), "{}", Cold::BeforeZero),
    ("OpenEXR", ("make", "exr"), "{}", AS_IT_STANDS),
    ("A texture beside the file", ("make", "texture_beside_it"), "{}", AS_IT_STANDS),
    ("Denoising", ("make", "denoised"), "{}", AS_IT_STANDS),
    ("No camera", ("make", "no_camera"), "{}", AS_IT_STANDS),
    ("The engine of an add-on that is not there", ("outputs", "unknown_engine"), "{}", AS_IT_STANDS),
];
const OUTPUTS: [Known; 14] = [
    ("File Output nodes, in groups too, EXR layers among them", ("outputs", "nodes"), "{}", Cold::WithAllFiles),
    ("Two outputs that are one file", ("outputs", "collision"), "{}", Cold::WithAllFiles),
    ("Multi-layer EXR with Cryptomatte", ("outputs", "layers"), "{}", Cold::WithAllFiles),
    ("Stereo, a file for each eye", ("outputs", "views"), "{}", Cold::WithAllFiles),
    ("Stereo, side by side", ("outputs", "side_by_side"), "{}", Cold::WithAllFiles),
    ("Stereo, squeezed", ("outputs", "squeezed"), "{}", Cold::WithAllFiles),
    ("Multi-view EXR", ("outputs", "several_views_in_one"), "{}", Cold::WithAllFiles),
    ("A part of the picture, cut out", ("outputs", "cut_out"), "{}", Cold::WithAllFiles),
    ("The same for each eye", ("outputs", "cut_out_views"), "{}", Cold::WithAllFiles),
    ("The same for eyes side by side", ("outputs", "cut_out_side_by_side"), "{}", Cold::WithAllFiles),
    ("A film by FFmpeg", ("make", "movie"), "{}", changed(STILLS)),
    ("A film as AVI", ("outputs", "avi"), "{}", changed(STILLS)),
    ("A film whose codec writes nothing", ("outputs", "dead_codec"), "{}", changed(STILLS)),
    ("DPX", ("outputs", "unchecked"), "{}", Cold::WithAllFiles),
];
const SIMULATIONS: [Known; 14] = [
    ("Rigid bodies, not baked", ("simulations", "rigid"), "{}", AS_IT_STANDS),
    ("Rigid bodies, not baked, in sequence", ("simulations", "rigid"), SEQUENTIAL, changed(PLAYED)),
    ("Rigid bodies, baked", ("simulations", "baked"), "{}", AS_IT_STANDS),
    ("Cloth, not baked", ("simulations", "cloth"), "{}", AS_IT_STANDS),
    ("Cloth, not baked, in sequence", ("simulations", "cloth"), SEQUENTIAL, changed(PLAYED)),
    ("Soft bodies, not baked", ("simulations", "soft"), "{}", AS_IT_STANDS),
    ("Soft bodies, not baked, in sequence", ("simulations", "soft"), SEQUENTIAL, changed(PLAYED)),
    ("Particles that collide, not baked", ("simulations", "sparks"), "{}", AS_IT_STANDS),
    ("Particles that collide, not baked, in sequence", ("simulations", "sparks"), SEQUENTIAL, changed(PLAYED)),
    ("Particles that gravity alone moves", ("simulations", "free_sparks"), "{}", AS_IT_STANDS),
    ("Simulation nodes, not baked", ("simulation_nodes", "unbaked"), "{}", AS_IT_STANDS),
    ("Simulation nodes, not baked, in sequence", ("simulation_nodes", "unbaked"), SEQUENTIAL, changed(PLAYED)),
    ("Simulation nodes, baked into the file", ("simulation_nodes", "packed"), "{}", AS_IT_STANDS),
    ("Simulation nodes, baked into a folder", ("simulation_nodes", "on_disk"), "{}", AS_IT_STANDS),
];
const PROJECTS: [(&str, &str); 4] = [
    ("Textures, sequences, UDIM tiles and packed pictures, moved from Windows and other folders", "textures"),
    ("Libraries of libraries, moved", "libraries"),
    ("Mesh and cloth caches, moved", "caches"),
    ("Strips of pictures, moved", "strips"),
];

/// A line of the matrix.
struct Row {
    shows: String,
    scene: SceneFolder,
    /// What a plain Blender renders: the same file, but where it was made.
    real: PathBuf,
    options: RenderOptions,
    cold: Cold,
}

impl Row {
    fn new(shows: &str, entry: PathBuf, options: &str, cold: Cold) -> Self {
        let root = entry.parent().unwrap().to_owned();
        let scene = SceneFolder { entry: entry.clone(), root, places: Vec::new(), color_config: None };
        Self { shows: shows.to_owned(), scene, real: entry, options: serde_json::from_str(options).unwrap(), cold }
    }

    fn known((shows, (script, name), options, cold): &Known) -> Self {
        let folder = made_by(script);
        Self::new(shows, folder.join(name).with_extension("blend"), options, *cold)
    }

    fn project((shows, name): &(&str, &str)) -> Self {
        let project = Project::named(name);
        Self { scene: project.moved(), ..Self::new(shows, project.real_entry(), "{}", AS_IT_STANDS) }
    }

    const fn frame(&self) -> i32 {
        if matches!(self.cold, Cold::BeforeZero) { -2 } else { FRAME }
    }
}

/// What scripts say themselves of their scenes.
fn features(script: &'static str) -> Vec<Row> {
    let folder = made_by(script);
    let listed = std::fs::read(folder.join("features.json")).unwrap();
    let listed: Vec<(String, String)> = serde_json::from_slice(&listed).unwrap();
    let row = |(name, shows): &(String, String)| {
        let cold = match name.as_str() {
            "view_layers" => Cold::WithAllFiles,
            _ => AS_IT_STANDS,
        };
        Row::new(shows, folder.join(name).with_extension("blend"), "{}", cold)
    };
    listed.iter().map(row).collect()
}

fn options() -> Vec<Row> {
    let row = |(set, change): (&'static str, &'static str)| {
        let change = match change {
            "Other" => Change { scene: change, python: "", color_config: None },
            python => Change { scene: "", python, color_config: None },
        };
        let entry = made_by("options").join("options.blend");
        Row::new(&format!("`{set}`"), entry, set, Cold::Changed(change))
    };
    OPTIONS.into_iter().map(row).collect()
}

/// The kinds of files that the client's tests send: each made by the oldest Blender that can.
fn media() -> Vec<Row> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/tests/scenes/media.py");
    let mut rows = BTreeMap::new();
    for kind in BOTH {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fidelity-media-{kind:?}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        blenders::run_script(kind, &script, &folder);
        let cases = std::fs::read(folder.join("cases.json")).unwrap();
        let cases: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&cases).unwrap();
        for name in cases.into_keys() {
            let project = folder.join(&name).join("project");
            // Paths that the client alone can follow are among those of the projects.
            if project.join("followed.blend").exists() {
                continue;
            }
            let row = Row::new(&name.replace('_', " "), project.join("shot.blend"), "{}", AS_IT_STANDS);
            rows.entry(name).or_insert(row);
        }
    }
    rows.into_values().collect()
}

/// What a session makes of a row, in a word.
async fn cell(session: &mut Session, kind: Kind, row: &Row, folder: &tempfile::TempDir, number: usize) -> String {
    match rendered(session, row, folder, number).await {
        Err(Failure { cause: Cause::NoOutput, message, .. }) if message.starts_with("not supported") => message,
        Err(failure) => format!("refused, `{}`: {}", failure.cause, failure.message),
        Ok((into, names, notes)) => {
            // What is allowed to a job in sequence is its order.
            let said =
                std::iter::once(String::new()).chain(notes.into_iter().filter(|note| !note.starts_with("allowed")));
            let notes = said.collect::<Vec<_>>().join("; ");
            if is_equal(kind, row, &into, &names) { format!("equal{notes}") } else { format!("**differs**{notes}") }
        }
    }
}

/// Renders a row's frame after another one: where its files are, what they are called, and what was said of the scene.
async fn rendered(
    session: &mut Session,
    row: &Row,
    folder: &tempfile::TempDir,
    number: usize,
) -> Result<(PathBuf, Vec<String>, Vec<String>), Failure> {
    let opened = session.open(&row.scene, opening(&row.options)).await?;
    if let Some(format) = opened.formats.iter().find(|format| !CHECKED_FORMATS.contains(&format.as_str())) {
        let message = format!("not supported: files of the format {format} cannot be checked for damage");
        return Err(Failure::new(Cause::NoOutput, message));
    }
    session
        .render(frame(ANOTHER_FRAME.into()), &empty_folder(folder, &format!("{number}-first")), TERMS, |_| {})
        .await?;
    let into = empty_folder(folder, &number.to_string());
    let rendered = session.render(frame(row.frame().into()), &into, TERMS, |_| {}).await?;
    let output = output::check(&into, &rendered.files).unwrap();
    Ok((into, output.files.iter().map(|file| file.name.to_string()).collect(), opened.notes))
}

fn is_equal(kind: Kind, row: &Row, into: &Path, names: &[String]) -> bool {
    match row.cold {
        Cold::BeforeZero => image::open(into.join(&names[0])).unwrap() == cold_still(kind, &row.real, row.frame()),
        Cold::Changed(change) => {
            let (_folder, cold) = cold_file(kind, &row.real, row.frame(), change);
            names.len() == 1 && is_same(&into.join(&names[0]), &cold)
        }
        Cold::WithAllFiles => {
            let cold = cold_folder(kind, &row.real, row.frame());
            let mut files = Vec::new();
            files_below(cold.path(), &mut files);
            files.retain(|file| file.file_name().is_some_and(|name| name != "shot.blend"));
            let is_there = |name: &String| {
                let name = into.join(name);
                files.iter().any(|file| file.file_name() == name.file_name() && is_same(&name, file))
            };
            files.len() == names.len() && names.iter().all(is_there)
        }
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

/// One Blender's column, in one session for as long as it lives.
#[tokio::main(flavor = "current_thread")]
async fn column(kind: Kind, rows: &[&Row]) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(kind, &folder.path().join("blender")).await;
    let mut cells = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if !session.is_alive() {
            session = start(kind, &folder.path().join(format!("blender-{number}"))).await;
        }
        let cell = cell(&mut session, kind, row, &folder, number).await;
        println!("{kind:?}: {}: {cell}", row.shows);
        cells.push(cell);
    }
    session.end().await;
    (version(kind).await, cells)
}

#[test]
#[ignore = "takes minutes and writes a file: run it by `cargo xtask fidelity`"]
fn the_matrix_of_fidelity_has_no_difference() {
    let file = std::env::var_os("HAYWAIN_FIDELITY").expect("HAYWAIN_FIDELITY names the file to write");
    let groups: [(&str, Vec<Row>); 8] = [
        ("Frames", FRAMES.iter().map(Row::known).collect()),
        ("What a job sets", options()),
        ("What a scene has in it", features("features")),
        ("What only newer scenes have", features("features_newer")),
        ("What a frame writes", OUTPUTS.iter().map(Row::known).collect()),
        ("Simulations", SIMULATIONS.iter().map(Row::known).collect()),
        ("Files that have moved", PROJECTS.iter().map(Row::project).collect()),
        ("Files of each kind", media()),
    ];
    let rows: Vec<&Row> = groups.iter().flat_map(|(_, rows)| rows).collect();
    let columns = std::thread::scope(|scope| {
        let columns = BOTH.map(|kind| {
            let rows = &rows;
            scope.spawn(move || column(kind, rows))
        });
        columns.map(|column| column.join().unwrap())
    });
    let mut cells = columns[0].1.iter().zip(&columns[1].1);
    let mut text = String::from(include_str!("fidelity.md"));
    for (title, rows) in &groups {
        let heads = format!("| | Blender {} | bpy {} |\n|---|---|---|", columns[0].0, columns[1].0);
        writeln!(text, "\n## {title}\n\n{heads}").unwrap();
        for row in rows {
            let (program, module) = cells.next().unwrap();
            let cell = |said: &str| said.replace('|', "\\|");
            writeln!(text, "| {} | {} | {} |", row.shows, cell(program), cell(module)).unwrap();
        }
    }
    std::fs::write(&file, &text).unwrap();
    assert!(!text.contains("**differs**"), "{} has differences", file.display());
}
