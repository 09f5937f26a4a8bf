//! Python that comes with a scene, or with the agent's add-ons: blocked by name, or run when it is allowed; never in silence
//! one for the other.

use std::fs;
use std::path::PathBuf;

use haywain_agent::blender::SceneFolder;
use haywain_agent::blender::session::{Failure, Opened, Session};
use haywain_shared::cause::Cause;
use haywain_shared::job::JobState;
use haywain_shared::options::{Allowance, RenderOptions, Scripts};
use serde_json::json;
use tempfile::TempDir;

use crate::blenders::{self, BOTH, Change, Kind, assert_same, cold_file, made_by};
use crate::farm::Farm;
use crate::session::{TERMS, empty_folder, frame, opening, start, start_with};

const FRAME: i32 = 3;

fn scene(name: &str) -> SceneFolder {
    let root = made_by("scripts");
    SceneFolder { entry: root.join(name).with_extension("blend"), root, places: Vec::new(), color_config: None }
}

async fn open(session: &mut Session, name: &str, options: &RenderOptions) -> Result<Opened, Failure> {
    session.open(&scene(name), opening(options)).await
}

async fn render(session: &mut Session, place: &TempDir, name: &str) -> PathBuf {
    let into = empty_folder(place, name);
    let rendered = session.render(frame(FRAME.into()), &into, TERMS, |_| {}).await.unwrap();
    into.join(&rendered.files[0].name)
}

fn scripted() -> RenderOptions {
    RenderOptions { scripts: Scripts::Allowed, ..RenderOptions::default() }
}

/// As an artist sees it who has let the file's Python run.
const TRUSTED: Change<'_> = Change {
    scene: "",
    color_config: None,
    python: "path = bpy.context.scene.render.filepath\n\
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath, use_scripts=True)\n\
        bpy.context.scene.render.filepath = path",
};

#[tokio::test]
async fn drivers_that_need_python_are_blocked_by_name_and_others_go_on() {
    let careless = RenderOptions { allow: [Allowance::BrokenDrivers].into(), ..RenderOptions::default() };
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let mut session = start(kind, &place.path().join("blender")).await;
        for name in ["simple", "harmless"] {
            let opened = open(&mut session, name, &RenderOptions::default()).await.unwrap();
            assert_eq!(opened.notes, [""; 0], "{name} under {kind:?}");
            let (_cold, cold) = cold_file(kind, &scene(name).entry, FRAME, Change::default());
            assert_same(&render(&mut session, &place, name).await, &cold);
        }
        let failure = open(&mut session, "needs_python", &RenderOptions::default()).await.unwrap_err();
        assert_eq!(failure.cause, Cause::ScriptsBlocked, "{failure}");
        assert!(failure.message.contains("location of Object 'Cube' (__import__('math').floor(1.5))"), "{failure}");

        let opened = open(&mut session, "needs_python", &careless).await.unwrap();
        assert!(opened.notes[0].contains("Object 'Cube'"), "{opened:?}");
        let (_blocked, blocked) = cold_file(kind, &scene("needs_python").entry, FRAME, Change::default());
        assert_same(&render(&mut session, &place, "blocked").await, &blocked);
        session.end().await;

        let mut session = start(kind, &place.path().join("trusting")).await;
        for name in ["needs_python", "registered"] {
            let opened = open(&mut session, name, &scripted()).await.unwrap();
            assert_eq!(opened.notes, [""; 0], "{name} under {kind:?}");
            let (_trusted, trusted) = cold_file(kind, &scene(name).entry, FRAME, TRUSTED);
            assert_same(&render(&mut session, &place, &format!("{name}-trusted")).await, &trusted);
            let (_distrusted, distrusted) = cold_file(kind, &scene(name).entry, FRAME, Change::default());
            let differ = image::open(&trusted).unwrap() != image::open(&distrusted).unwrap();
            assert!(differ, "{name} under {kind:?}: the test proves nothing");
        }
        session.end().await;
    }
}

#[tokio::test]
async fn an_add_on_is_enabled_for_jobs_that_name_it() {
    let addons = made_by("scripts").join("addons");
    let with = |names: &[&str]| RenderOptions {
        addons: names.iter().map(|name| (*name).to_owned()).collect(),
        ..RenderOptions::default()
    };
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let mut session = start_with(kind, &place.path().join("blender"), None, Some(&addons)).await;
        let failure = open(&mut session, "addon", &RenderOptions::default()).await.unwrap_err();
        assert_eq!(failure.cause, Cause::BadScene, "{failure}");
        assert!(failure.message.contains("'Studio") && failure.message.contains("name the add-on"), "{failure}");
        for (name, words) in [("broken", "on purpose"), ("nowhere", "could not be enabled")] {
            let failure = open(&mut session, "addon", &with(&[name])).await.unwrap_err();
            assert_eq!(failure.cause, Cause::BadScene, "{failure}");
            assert!(failure.message.contains(name) && failure.message.contains(words), "{failure}");
        }
        open(&mut session, "addon", &with(&["studio_nodes"])).await.unwrap();
        let picture = image::open(render(&mut session, &place, "studio").await).unwrap().to_rgb8();
        let bluest = picture.pixels().filter(|pixel| pixel[2] > pixel[0].saturating_add(40)).count();
        assert!(bluest > 20, "the node makes the cube blue under {kind:?}");
        session.end().await;
    }
}

#[test]
fn the_agent_s_owner_has_the_last_word() {
    let farm = Farm::start(&scene("needs_python").entry);
    let wary = farm.agent("wary", &blenders::path(Kind::Program), 1);
    let job = farm.wait_for_end(&farm.render(&json!({"frames": "3"})));
    assert_eq!(job.state, JobState::Failed, "{job:?}");
    assert_eq!(job.scene_fault.unwrap().cause, Cause::ScriptsBlocked);
    let scripted = farm.render(&json!({"frames": "3", "scripts": true}));
    let trusting = farm.agent_with("trusting", &blenders::path(Kind::Program), &["--slots", "1", "--allow-scripts"]);
    let job = farm.wait_for_end(&scripted);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    assert_eq!(job.agents.iter().map(|share| share.agent.as_str()).collect::<Vec<_>>(), ["trusting"]);
    drop((wary, trusting));
}

#[test]
fn an_owner_lets_scripts_run_for_jobs_of_named_tokens() {
    let farm = Farm::start_locked(&scene("needs_python").entry);
    let file = farm.folder().join("enrolment");
    fs::write(&file, farm.token(&["create", "--name", "rack", "--role", "enrol"])).unwrap();
    let submitter = |name: &str| farm.token(&["create", "--name", name, "--role", "submit"]);
    let (anna, bob) = (submitter("anna"), submitter("bob"));
    let flags = ["--slots", "1", "--allow-scripts=lighting,anna", "--token-file", file.to_str().unwrap()];
    let _agent = farm.agent_with("barn", &blenders::path(Kind::Program), &flags);

    let body = json!({"frames": "3", "scripts": true});
    let (of_bob, of_anna) = (farm.render_as(&bob, &body), farm.render_as(&anna, &body));
    let job = farm.wait_for_end(&of_anna);
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    // Bob's was there before, with the scene and the options that are warm now.
    let because = ["no agent lets scripts of the token bob run (--allow-scripts): not barn"];
    let job = farm.wait_for(&of_bob, "the reason why it waits", |job| !job.waits_for.is_empty());
    assert_eq!((job.counts.pending, job.waits_for.as_slice()), (1, because.map(str::to_owned).as_slice()));

    // Who gets a name that was taken back does not speak for what came by it before.
    farm.token(&["revoke", "anna"]);
    let late = submitter("anna");
    let of_late = farm.render_as(&late, &body);
    assert_eq!(farm.wait_for_end(&of_late).state, JobState::Completed);
    assert_eq!(farm.job(&of_bob).counts.pending, 1);
}
