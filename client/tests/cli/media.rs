//! Every kind of file that a scene can read, from where it was made to its frames: the files are found and sent, and the farm
//! finds them in its own folder, as what the scene was made of is gone by the time that it renders. And without its files,
//! each scene is refused by their names, or renders another picture where that is allowed: no file is done without in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use haywain_shared::job::{JobReport, JobState};
use image::DynamicImage;
use tempfile::TempDir;

use crate::blenders::{self, Kind};
use crate::farm::{Farm, wait};
use crate::program::{Home, text};

const FRAME: &str = "7";

/// What a Blender has made by `scenes/media.py`.
struct Made {
    top: TempDir,
    /// The cases, and the names that are told when their files are not there; of one that has none, nothing.
    cases: BTreeMap<String, Option<Vec<String>>>,
}

impl Made {
    fn by(kind: Kind, only: &[&str]) -> Self {
        let top = TempDir::new().unwrap();
        let folder = top.path().canonicalize().unwrap().join("made");
        std::fs::create_dir(&folder).unwrap();
        blenders::run_script(kind, "media.py", &folder, only);
        let cases = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
        Self { top, cases }
    }

    fn folder(&self) -> PathBuf {
        self.top.path().canonicalize().unwrap().join("made")
    }

    fn entry(&self, case: &str) -> PathBuf {
        self.folder().join(case).join("project/shot.blend")
    }

    /// What Blender makes of each case where it was made. Of one whose paths it cannot follow here there is a copy that it can.
    fn rendered_plainly(&self, kind: Kind) -> BTreeMap<&str, DynamicImage> {
        let output = |case: &str| self.top.path().join("plain").join(case);
        let scenes = self.cases.keys().map(|case| {
            let followed = self.entry(case).with_file_name("followed.blend");
            let entry = if followed.exists() { followed } else { self.entry(case) };
            (entry, output(case).join("plain_"))
        });
        blenders::render_plainly(kind, &scenes.collect::<Vec<_>>(), FRAME);
        let picture = |case: &str| image::open(only_file(&output(case))).unwrap();
        self.cases.keys().map(|case| (case.as_str(), picture(case))).collect()
    }

    /// Takes all of it away; where it is now.
    fn move_away(&self) -> PathBuf {
        let now = self.top.path().join("gone");
        std::fs::rename(self.folder(), &now).unwrap();
        now
    }
}

/// The three jobs of a case: with its files, without them, and without them where that is allowed.
struct Jobs {
    whole: String,
    alone: String,
    allowed: String,
}

/// Scenes that one Blender has made, on a farm of two agents with another or the same.
fn every_file_travels(maker: Kind, renderer: Kind, only: &[&str]) {
    let (farm, home, made) = (Farm::start(), Home::new(), Made::by(maker, only));
    let blender = blenders::path(renderer);
    let mut faults = Vec::new();
    let submit = |entry: &Path, flags: &[&str]| {
        let ran = home.run(&farm.url(), &[&["submit", text(entry), "-f", FRAME, "--json"], flags].concat());
        if ran.code == Some(0) { Ok(ran.lines()[0]["jobId"].as_str().unwrap().to_owned()) } else { Err(ran.err) }
    };
    let plain = made.rendered_plainly(renderer);
    let mut whole = BTreeMap::new();
    for case in made.cases.keys() {
        match submit(&made.entry(case), &["--blender", text(&blender)]) {
            Ok(job) => drop(whole.insert(case.clone(), job)),
            Err(refusal) => faults.push(format!("{case} is refused: {refusal}")),
        }
    }
    let gone = made.move_away();
    let jobs: BTreeMap<String, Jobs> = whole
        .into_iter()
        .map(|(case, whole)| {
            let entry = home.path(&format!("{case}/shot.blend"));
            std::fs::create_dir(entry.parent().unwrap()).unwrap();
            std::fs::copy(gone.join(&case).join("project/shot.blend"), &entry).unwrap();
            let alone = submit(&entry, &["--no-blender"]).unwrap();
            let allowed = submit(&entry, &["--no-blender", "--allow-missing"]).unwrap();
            (case, Jobs { whole, alone, allowed })
        })
        .collect();
    let _agents = ["barn", "shed"].map(|name| farm.agent(name, &blender));
    let ended = |job: &str| {
        wait(&format!("the end of {job}"), || {
            Some(farm.job(job)).filter(|job| matches!(job.state, JobState::Completed | JobState::Failed))
        })
    };
    for (case, jobs) in &jobs {
        let (whole, alone, allowed) = (ended(&jobs.whole), ended(&jobs.alone), ended(&jobs.allowed));
        match picture(&whole) {
            None => faults.push(format!("{case} fails: {:?} {:?}", whole.scene_fault, whole.failures)),
            Some(picture) if picture != plain[case.as_str()] => faults.push(format!("{case} is another picture")),
            Some(_) => {}
        }
        let names = made.cases[case].as_deref();
        let (told, said) = (names.unwrap_or_default(), format!("{:?} {:?}", alone.scene_fault, alone.failures));
        let is_told = told.iter().all(|name| said.contains(name) && said.contains("MissingFile"));
        if !is_told || (alone.state == JobState::Completed) != told.is_empty() {
            faults.push(format!("{case} without its files does not tell of {told:?}: {said}"));
        }
        if picture(&allowed).is_some_and(|picture| (picture == plain[case.as_str()]) == names.is_some()) {
            faults.push(format!("{case} without its files: the same picture? {}", names.is_some()));
        }
    }
    assert!(faults.is_empty(), "made by {maker:?}, rendered by {renderer:?}:\n{}", faults.join("\n"));
}

/// The picture of a job that is done.
fn picture(job: &JobReport) -> Option<DynamicImage> {
    let folder = job.output_folder.as_ref().filter(|_| job.state == JobState::Completed)?;
    Some(image::open(only_file(Path::new(folder))).unwrap())
}

fn only_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().next().expect("a file").unwrap().path()
}

#[test]
fn every_file_of_a_scene_travels_with_the_program() {
    every_file_travels(Kind::Program, Kind::Program, &[]);
}

#[test]
fn every_file_of_a_scene_travels_with_the_module() {
    every_file_travels(Kind::Module, Kind::Module, &[]);
}

#[test]
fn every_file_of_an_older_scene_travels_with_the_module() {
    // The module cannot bake gases.
    every_file_travels(Kind::Program, Kind::Module, &["smoke", "volumes", "cloth_beside", "clip", "views"]);
}
