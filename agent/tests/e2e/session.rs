//! A session by itself, under both Blenders: what it answers when all is well, and when Blender fails in each of its ways.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use haywain_agent::blender::known::Known;
use haywain_agent::blender::launch::Surroundings;
use haywain_agent::blender::session::{Failure, Opened, Opening, Patience, Session, Terms};
use haywain_agent::blender::{Blender, SceneFolder, find};
use haywain_agent::jail::{Belongings, Jailer, Sandbox, Walls};
use haywain_agent::output;
use haywain_shared::cause::Cause;
use haywain_shared::frames::FrameNumber;
use haywain_shared::options::{RenderOptions, Scripts};
use haywain_shared::protocol::{BlenderBuild, BlenderKind, InspectionWish};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use crate::blenders::{self, BOTH, Kind, scene};

/// Frames that may take as long as they take, if they do not stand still.
pub(crate) const TERMS: Terms =
    Terms { device: None, threads: None, frame_timeout: None, stall_timeout: Some(Duration::from_mins(10)) };
/// Frames that have little time.
const HASTY: Terms = Terms {
    device: None,
    threads: None,
    frame_timeout: Some(Duration::from_secs(4)),
    stall_timeout: Some(Duration::from_secs(2)),
};

async fn blender(kind: Kind) -> Blender {
    let folder = tempfile::tempdir().unwrap();
    find::blenders(&[blenders::path(kind)], &mut Known::read(folder.path())).await.unwrap().remove(0)
}

pub(crate) async fn start(kind: Kind, folder: &Path) -> Session {
    start_with(kind, folder, None, None).await
}

/// Starts one with a colour configuration and add-ons around it.
pub(crate) async fn start_with(kind: Kind, folder: &Path, config: Option<&Path>, addons: Option<&Path>) -> Session {
    let tasks = TaskTracker::new();
    start_in_jail(&blender(kind).await, folder, config, addons, Patience::default(), &tasks).await.unwrap()
}

/// Starts a Blender in a jail from which it sees what the tests make, and may write where they work, in folders of any name.
pub(crate) async fn start_in_jail(
    blender: &Blender,
    folder: &Path,
    color_config: Option<&Path>,
    addons: Option<&Path>,
    patience: Patience,
    tasks: &TaskTracker,
) -> Result<Session, Failure> {
    let place = std::env::temp_dir();
    let belongings = Belongings {
        installation: &blender.installation,
        scenes: Some(Path::new(env!("CARGO_TARGET_TMPDIR"))),
        addons,
        workplace: &place,
        kernels: None,
    };
    let mut walls = Walls::around(belongings);
    walls.writes.push(place.clone());
    walls.links.push(place.clone());
    walls.moves.push(place);
    let jailer = Jailer::new(env!("CARGO_BIN_EXE_haywain-agent").into(), Sandbox::Auto);
    let surroundings =
        Surroundings { folder, color_config, addons, jailer: &jailer, walls: &walls, kernels: None, data_dir: folder };
    Session::start(blender, surroundings, patience, tasks).await
}

/// The version of a Blender.
pub(crate) async fn version(kind: Kind) -> String {
    blender(kind).await.facts.build.version
}

/// Opens for a job that asks this, and for nobody's curiosity.
pub(crate) const fn opening(options: &RenderOptions) -> Opening<'_> {
    Opening { options, inspection: InspectionWish::Known }
}

async fn open(session: &mut Session, entry: &Path) -> Result<Opened, Failure> {
    let scene = SceneFolder {
        root: entry.parent().unwrap().to_owned(),
        entry: entry.to_owned(),
        places: Vec::new(),
        color_config: None,
    };
    session.open(&scene, opening(&RenderOptions::default())).await
}

pub(crate) fn frame(number: i64) -> FrameNumber {
    number.try_into().unwrap()
}

pub(crate) fn empty_folder(parent: &TempDir, name: &str) -> std::path::PathBuf {
    let folder = parent.path().join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_session_renders_scenes_in_turn_and_tells_what_it_made() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, folder.path()).await;
        for (turn, (name, number, file)) in [
            ("basic", 3, "shot_0003.png"),
            ("movie", 1, "shot_0001.png"),
            ("exr", 2, "shot_0002.exr"),
            ("basic", -2, "shot_-0002.png"),
        ]
        .into_iter()
        .enumerate()
        {
            let opened = open(&mut session, &scene(name)).await.unwrap();
            assert_eq!(opened.engine, "CYCLES");
            assert_eq!(!opened.notes.is_empty(), name == "movie", "{:?}", opened.notes);
            let into = empty_folder(&folder, &turn.to_string());
            let rendered =
                session.render(frame(number), &into, Terms { threads: Some(1), ..TERMS }, |_| {}).await.unwrap();
            assert_eq!(rendered.files.len(), 1, "{rendered:?}");
            assert_eq!(rendered.files[0].name, file, "{kind:?}");
            assert!(rendered.peak_memory_bytes.unwrap() > 50_000_000, "{rendered:?}");
            let checked = output::check(&into, &rendered.files).unwrap();
            assert_eq!((checked.files[0].width, checked.files[0].height), (64, 36));
        }
        session.end().await;
    }
}

#[tokio::test]
async fn the_threads_of_a_session_change_from_frame_to_frame() {
    let root = blenders::made_by("scripts");
    let scene = SceneFolder { entry: root.join("threads.blend"), root, places: Vec::new(), color_config: None };
    let options = RenderOptions { scripts: Scripts::Allowed, ..RenderOptions::default() };
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, folder.path()).await;
        session.open(&scene, opening(&options)).await.unwrap();
        let process = session.process();
        for (number, threads) in [(1, 1), (2, 2), (3, 3), (4, 1)] {
            let into = empty_folder(&folder, &number.to_string());
            let terms = Terms { threads: Some(threads), ..TERMS };
            let rendered = session.render(frame(number), &into, terms, |_| {}).await.unwrap();
            // What the scene's own script has seen and left in the picture.
            let picture = fs::read(into.join(&rendered.files[0].name)).unwrap();
            let note = format!("Note\0FIXED {threads}");
            assert!(picture.windows(note.len()).any(|part| part == note.as_bytes()), "{kind:?}: no {note:?}");
        }
        assert_eq!(session.process(), process);
        session.end().await;
    }
}

#[tokio::test]
async fn progress_within_a_frame_is_told() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, folder.path()).await;
        open(&mut session, &scene("slow")).await.unwrap();
        let into = empty_folder(&folder, "frame");
        let (told, mut progress) = tokio::sync::mpsc::unbounded_channel();
        let rendering = session.render(frame(1), &into, TERMS, move |fraction| {
            let _ = told.send(fraction);
        });
        // The frame would take minutes: it is abandoned once it has told that it is under way.
        let first = tokio::select! {
            rendered = rendering => panic!("so soon? {rendered:?}"),
            Some(fraction) = progress.recv() => fraction,
            () = tokio::time::sleep(crate::farm::DEADLINE) => panic!("no progress under {kind:?}"),
        };
        assert!((0.0..1.0).contains(&first), "{first}");
    }
}

async fn open_fails(kind: Kind, session: &mut Session, path: &Path, cause: Cause, words: &str) {
    let failure = open(session, path).await.unwrap_err();
    assert_eq!(failure.cause, cause, "{kind:?}: {failure}");
    assert!(failure.message.contains(words), "{kind:?}: {failure}");
}

#[tokio::test]
async fn a_scene_that_cannot_be_rendered_is_refused_by_cause_and_the_session_lives_on() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let whole = fs::read(scene("basic")).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let mut session = start(kind, &folder.path().join("blender")).await;
        #[rustfmt::skip]
        let cases = [
            (folder.path().join("gone.blend"), Cause::MissingFile, "gone.blend"),
            (write("cut.blend", &whole[..whole.len() / 2]), Cause::BadScene, "cut.blend"),
            (write("empty.blend", b""), Cause::BadScene, "empty"),
            (write("text.blend", b"not a scene at all"), Cause::BadScene, "not a .blend"),
            (write("pointer.blend", pointer), Cause::BadScene, "Git LFS pointer"),
            (write("newer.blend", b"BLENDER17-01v0901REND"), Cause::BadScene, "9.1"),
            (scene("no_camera"), Cause::BadScene, "has no camera"),
            (scene("texture_beside_it").parent().unwrap().join("moved").join("t.blend"), Cause::MissingFile, "bark.png"),
        ];
        // The same scene away from its texture.
        let moved = scene("texture_beside_it").parent().unwrap().join("moved");
        fs::create_dir_all(&moved).unwrap();
        fs::copy(scene("texture_beside_it"), moved.join("t.blend")).unwrap();
        for (path, cause, words) in cases {
            open_fails(kind, &mut session, &path, cause, words).await;
        }
        // With its texture beside it, it is good; and the session still renders.
        open(&mut session, &scene("texture_beside_it")).await.unwrap();
        let into = empty_folder(&folder, "frame");
        session.render(frame(1), &into, TERMS, |_| {}).await.unwrap();
        session.end().await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_no_output() {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut session = start(kind, folder.path()).await;
        open(&mut session, &scene("basic")).await.unwrap();
        let file = folder.path().join("a-file");
        fs::write(&file, b"").unwrap();
        let failure = session.render(frame(1), &file.join("frame"), TERMS, |_| {}).await.unwrap_err();
        assert_eq!(failure.cause, Cause::NoOutput, "{failure}");
        assert!(session.is_alive());
    }
}

/// A Blender that misbehaves: a script in its place.
pub(crate) fn broken_blender(folder: &TempDir, script: &str) -> Blender {
    let path = folder.path().join("blender");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Blender {
        path,
        installation: vec![folder.path().to_owned()],
        facts: BlenderBuild { version: "0".to_owned(), kind: BlenderKind::Program }.into(),
    }
}

const READY: &str = r#"echo "{\"event\":\"ready\",\"protocol\":1,\"blender\":\"0\",\"pid\":$$}""#;
const OPENED: &str = r#"read -r line; echo '{"event":"opened","engine":"X","formats":["PNG"],"notes":[],"faults":[]}'"#;

async fn failure_of(script: &str) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    let seconds = Duration::from_secs;
    let patience = Patience { start: seconds(1), open: seconds(2), open_in_all: seconds(4) };
    let blender = broken_blender(&folder, script);
    let tasks = TaskTracker::new();
    let attempt = async {
        let mut session = start_in_jail(&blender, &folder.path().join("work"), None, None, patience, &tasks).await?;
        open(&mut session, Path::new("/a.blend")).await?;
        let rendered = session.render(frame(1), folder.path(), HASTY, |_| {}).await;
        assert!(!session.is_alive(), "a broken Blender is not used again");
        rendered
    };
    attempt.await.unwrap_err()
}

#[tokio::test]
async fn whatever_blender_does_ends_in_an_answer_with_a_cause() {
    #[rustfmt::skip]
    let cases = [
        ("exit 1".to_owned(), Cause::Crashed, "exit status: 1"),
        ("echo 'wrong glibc' >&2; exit 127".to_owned(), Cause::Crashed, "wrong glibc"),
        ("sleep 1000".to_owned(), Cause::Stalled, "did not get ready within 1 s"),
        (r#"echo '{"event":"ready","protocol":99,"blender":"0","pid":1}'; sleep 1000"#.to_owned(), Cause::Crashed, "version 99"),
        (format!("{READY}; sleep 1000"), Cause::Stalled, "did nothing for 2 s"),
        (format!("{READY}; read -r line; while sleep 1; do echo tick >&2; done"), Cause::TimedOut, "not open after 4 s"),
        (format!("{READY}; {OPENED}; read -r line; sleep 1000"), Cause::Stalled, "did nothing for 2 s"),
        (format!("{READY}; {OPENED}; read -r line; kill -SEGV $$"), Cause::Crashed, "signal: 11"),
        (format!("{READY}; {OPENED}; read -r line; echo gibberish; sleep 1000"), Cause::Crashed, "gibberish"),
        (format!("{READY}; {OPENED}; read -r line; while sleep 1; do echo tick >&2; done"), Cause::TimedOut, "limit of 4 s"),
        (format!("{READY}; {OPENED}; exec 1>&-; sleep 1000"), Cause::Crashed, "Blender ended"),
    ];
    for (script, cause, words) in cases {
        let failure = failure_of(&script).await;
        assert_eq!(failure.cause, cause, "{script}: {failure}");
        assert!(failure.message.contains(words), "{script}: {failure}");
    }
}

#[tokio::test]
async fn a_quiet_blender_that_is_at_work_is_not_taken_for_stalled() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { start: Duration::from_secs(10), open: Duration::from_secs(1), ..Patience::default() };
    let rendered = r#"{"event":"rendered","frame":1,"files":[],"renderMs":1,"peakMemoryBytes":null}"#;
    // Its standard input stays the shell's: the loop runs in the shell's place.
    let busy = format!(
        "exec '{}' -c 'import time\nwhile time.process_time() < 3: pass\nprint({rendered:?}, flush=True)\ntime.sleep(1000)'",
        blenders::path(Kind::Module).display()
    );
    let mut broken = broken_blender(&folder, &format!("{READY}; {OPENED}; read -r line; {busy}"));
    broken.installation.extend(blender(Kind::Module).await.installation);
    let tasks = TaskTracker::new();
    let mut session = start_in_jail(&broken, &folder.path().join("work"), None, None, patience, &tasks).await.unwrap();
    open(&mut session, Path::new("/a.blend")).await.unwrap();
    let terms = Terms { stall_timeout: Some(Duration::from_secs(1)), ..TERMS };
    session.render(frame(1), folder.path(), terms, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_log_begins_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let talk = "read -r line; echo first >&2; read -r line; echo second >&2; sleep 1000";
    let blender = broken_blender(&folder, &format!("{READY}; {OPENED}; {talk}"));
    let tasks = TaskTracker::new();
    let mut session =
        start_in_jail(&blender, &folder.path().join("work"), None, None, Patience::default(), &tasks).await.unwrap();
    open(&mut session, Path::new("/a.blend")).await.unwrap();
    for (word, other) in [("first", "second"), ("second", "first")] {
        session.begin_log();
        let log = session.log();
        let heard = async {
            while !log.end().contains(word) {
                tokio::task::yield_now().await;
            }
        };
        // Nobody waits for the frame's end: there is none.
        tokio::select! {
            rendered = session.render(frame(1), folder.path(), TERMS, |_| {}) => panic!("so soon? {rendered:?}"),
            heard = tokio::time::timeout(crate::farm::DEADLINE, heard) => heard.unwrap(),
        }
        assert!(!session.log_tail().contains(other), "{}", session.log_tail());
    }
}
