//! Scenes put together in folders of their own, from what a Blender would say of them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder with files; those named .blend look like one.
struct Disk(TempDir);

impl Disk {
    fn with(files: &[&str]) -> Self {
        let disk = Self(TempDir::new().unwrap());
        for file in files {
            let path = disk.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(
                path,
                if Path::new(file).extension().is_some_and(|it| it == "blend") { "BLENDER-v304" } else { file },
            )
            .unwrap();
        }
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// What `p/shots/shot.blend` says.
    fn says(&self, path: &str, shape: Shape) -> Reference {
        self.says_in("p/shots", path, shape)
    }

    fn says_in(&self, folder: &str, path: &str, shape: Shape) -> Reference {
        let owner = "Image 'it'".to_owned();
        Reference { path: path.to_owned(), base: self.path(folder), shape, owner, needed: true }
    }

    fn request(&self, links: Vec<Reference>) -> Request {
        Request { entry: self.path("p/shots/shot.blend"), links: Some(links), ..Request::default() }
    }

    /// The path that a file from outside gets.
    fn outside(&self, name: &str) -> String {
        format!("outside{}", self.text(name))
    }
}

fn files(assembly: &Assembly) -> Vec<&str> {
    assembly.files.keys().map(RelativePath::as_str).collect()
}

fn places(assembly: &Assembly) -> Vec<(&str, Option<&str>)> {
    assembly
        .places
        .iter()
        .map(|place| (place.original.as_str(), place.path.as_ref().map(RelativePath::as_str)))
        .collect()
}

fn missing(assembly: &Assembly) -> Vec<&str> {
    assembly.missing.iter().map(|missing| missing.path.as_str()).collect()
}

#[test]
fn relative_paths_keep_their_places_around_a_common_root() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/tex/a.png", "p/seq/w_01.png", "p/seq/w_02.png", "p/seq/v_01.png"]);
    let links = vec![disk.says("//../tex/a.png", Shape::File), disk.says("//..\\seq\\w_01.png", Shape::Sequence)];
    let scene = assemble(&disk.request(links)).unwrap();
    assert_eq!(files(&scene), ["seq/w_01.png", "seq/w_02.png", "shots/shot.blend", "tex/a.png"]);
    assert_eq!((scene.entry.as_str(), places(&scene)), ("shots/shot.blend", vec![]));

    let alone = assemble(&disk.request(vec![])).unwrap();
    assert_eq!((files(&alone), alone.entry.as_str()), (vec!["shot.blend"], "shot.blend"));
}

#[test]
fn a_library_inside_widens_the_root_and_one_outside_does_not() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/lib/a.blend", "q/a.png", "r/lib/b.blend", "r/tex/b.png"]);
    let outside = disk.text("r/lib/b.blend");
    let links = vec![
        disk.says_in("r/lib", "//../tex/b.png", Shape::File),
        disk.says(&outside, Shape::File),
        disk.says("//../lib/a.blend", Shape::File),
    ];
    let scene = assemble(&disk.request(links.clone())).unwrap();
    let (library, texture) = (disk.outside("r/lib/b.blend"), disk.outside("r/tex/b.png"));
    assert_eq!(files(&scene), ["lib/a.blend", &library, &texture, "shots/shot.blend"]);
    assert_eq!(places(&scene), [(disk.text("r/lib").as_str(), Some(disk.outside("r/lib").as_str()))]);

    let wider = [links, vec![disk.says_in("p/lib", "//../../q/a.png", Shape::File)]].concat();
    let scene = assemble(&disk.request(wider)).unwrap();
    assert_eq!(files(&scene), ["p/lib/a.blend", "p/shots/shot.blend", "q/a.png", "r/lib/b.blend", "r/tex/b.png"]);
    assert_eq!(places(&scene), [(disk.text("").trim_end_matches('/'), None)]);
}

#[test]
fn a_library_outside_finds_what_it_calls_inside() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/shots/a.png", "r/b.blend"]);
    let links =
        vec![disk.says(&disk.text("r/b.blend"), Shape::File), disk.says_in("r", "//../p/shots/a.png", Shape::File)];
    let scene = assemble(&disk.request(links)).unwrap();
    assert_eq!(files(&scene), [&disk.outside("p/shots/a.png"), &disk.outside("r/b.blend"), "shot.blend"]);
}

#[test]
fn absolute_paths_get_places() {
    let disk =
        Disk::with(&["p/shots/shot.blend", "p/shots/tex/a.png", "far/b.png", "far/sim/1.vdb", "far/sim/d/2.vdb"]);
    let (inside, outside, folder) = (disk.text("p/shots/tex/a.png"), disk.text("far/b.png"), disk.text("far/sim"));
    let links =
        vec![disk.says(&inside, Shape::File), disk.says(&outside, Shape::File), disk.says(&folder, Shape::Folder)];
    let scene = assemble(&disk.request(links)).unwrap();
    let (b, one, two) = (disk.outside("far/b.png"), disk.outside("far/sim/1.vdb"), disk.outside("far/sim/d/2.vdb"));
    assert_eq!(files(&scene), [&b, &one, &two, "shot.blend", "tex/a.png"]);
    let (root, far, far_now) = (disk.text("p/shots"), disk.text("far"), disk.outside("far"));
    assert_eq!(places(&scene), [(far.as_str(), Some(far_now.as_str())), (root.as_str(), None)]);
}

#[test]
fn a_path_of_another_system_is_found_by_its_tail_and_said() {
    let disk =
        Disk::with(&["p/shots/shot.blend", "p/shots/tex/wood/a.png", "p/shots/tex/stone/a.png", "p/shots/b.png"]);
    let scene = assemble(&disk.request(vec![
        disk.says("D:\\work\\tex\\Wood\\a.png", Shape::File),
        disk.says("D:\\work\\b.png", Shape::File),
        disk.says("E:\\B.PNG", Shape::File),
        disk.says("D:\\other\\a.png", Shape::File),
        disk.says("/gone/c.png", Shape::File),
    ]))
    .unwrap();
    assert_eq!(files(&scene), ["b.png", "shot.blend", "tex/wood/a.png"]);
    assert_eq!(
        places(&scene),
        [("D:\\work", None), ("D:\\work\\tex\\Wood", Some("tex/wood")), ("E:\\B.PNG", Some("b.png")),]
    );
    assert_eq!(missing(&scene), ["/gone/c.png", "D:\\other\\a.png"]);
    assert!(scene.missing[1].about.contains("--map"), "{:?}", scene.missing);
    assert_eq!(scene.notes.len(), 3, "{:?}", scene.notes);
    assert!(
        scene.notes[0].contains("D:\\work\\tex\\Wood\\a.png is not on this machine: taken from"),
        "{:?}",
        scene.notes
    );
}

#[test]
fn a_mapping_wins_and_scattered_files_have_places_of_their_own() {
    let disk = Disk::with(&["p/shots/shot.blend", "one/a.png", "one/b.png", "two/a.png", "p/shots/b.png"]);
    let mapping = |original: &str, local: &str| Mapping { original: original.to_owned(), local: disk.path(local) };
    let mut request = disk.request(vec![
        disk.says("D:\\tex\\a.png", Shape::File),
        disk.says("D:/tex/b.png", Shape::File),
        disk.says("D:\\tex\\deep\\a.png", Shape::File),
    ]);
    request.mappings = vec![mapping("d:\\tex\\", "one"), mapping("D:\\tex\\deep", "two")];
    let scene = assemble(&request).unwrap();
    let (one, two) = (disk.outside("one"), disk.outside("two"));
    assert_eq!(
        files(&scene),
        [&format!("{one}/a.png"), &format!("{one}/b.png"), &format!("{two}/a.png"), "shot.blend"]
    );
    assert_eq!(
        places(&scene),
        [("D:/tex", Some(one.as_str())), ("D:\\tex", Some(one.as_str())), ("D:\\tex\\deep", Some(two.as_str())),]
    );

    // Two files of one folder, found in two: the second has a place of its own.
    let scattered = Disk::with(&["p/shots/shot.blend", "p/shots/x/a.png", "p/shots/y/b.png"]);
    let links = vec![scattered.says("D:\\tex\\a.png", Shape::File), scattered.says("D:\\tex\\b.png", Shape::File)];
    let scene = assemble(&scattered.request(links)).unwrap();
    assert_eq!(places(&scene), [("D:\\tex", Some("x")), ("D:\\tex\\b.png", Some("y/b.png"))]);
}

#[test]
fn a_relative_path_that_leads_nowhere_is_taken_from_where_its_folder_is() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/shots/old/tex/a.png", "p/shots/old/b.png"]);
    let links = vec![disk.says("//../tex/a.png", Shape::File), disk.says("//b.png", Shape::File)];
    let scene = assemble(&disk.request(links)).unwrap();
    assert_eq!(files(&scene), ["shots/shot.blend", "tex/a.png"]);
    assert_eq!(scene.files.values().next_back(), Some(&disk.path("p/shots/old/tex/a.png")));
    // The name alone is too little.
    assert_eq!(missing(&scene), ["//b.png"]);
}

#[test]
fn names_that_no_other_system_has_become_others_with_places() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/shots/a?.png", "far/b:1.png", "far/b:2.png", "far/nul/c.png"]);
    let (sequence, device) = (disk.text("far/b:1.png"), disk.text("far/nul/c.png"));
    let links = vec![
        disk.says("//a?.png", Shape::File),
        disk.says(&sequence, Shape::Sequence),
        disk.says(&device, Shape::File),
    ];
    let scene = assemble(&disk.request(links)).unwrap();
    assert_eq!(scene.files.len(), 5);
    assert!(scene.files.keys().all(|path| !path.as_str().contains(['?', ':'])), "{:?}", files(&scene));
    let told = places(&scene);
    for original in [disk.text("p/shots/a?.png"), sequence, disk.text("far/nul"), disk.text("p/shots")] {
        assert!(told.iter().any(|(told, _)| *told == original), "{original} is not in {told:?}");
    }
    // The frames of a sequence are one also under their new names.
    let now: Vec<_> =
        files(&scene).into_iter().filter(|file| file.ends_with("1.png") || file.ends_with("2.png")).collect();
    assert_eq!(now[0].replace("1.png", "2.png"), now[1]);
}

#[test]
fn what_no_picture_needs_may_be_away() {
    let disk = Disk::with(&["p/shots/shot.blend"]);
    let sound = Reference { needed: false, ..disk.says("//voice.wav", Shape::File) };
    let scene = assemble(&disk.request(vec![sound, disk.says("a.png", Shape::File)])).unwrap();
    assert_eq!(missing(&scene), ["a.png"]);
    assert!(scene.notes[0].contains("not needed for a picture: //voice.wav"), "{:?}", scene.notes);
}

#[test]
fn without_blender_what_is_named_goes() {
    let disk =
        Disk::with(&["p/shots/shot.blend", "p/shots/shot.blend1", "p/tex/a.png", "p/.git/x", "q/b.png", "q/c.exr"]);
    let request = Request { entry: disk.path("p/shots/shot.blend"), ..Request::default() };
    let folder = Request { folder: Some(disk.path("p")), ..request };
    let scene = assemble(&folder).unwrap();
    assert_eq!(files(&scene), ["shots/shot.blend", "tex/a.png"]);
    assert_eq!(places(&scene), [(disk.text("p").as_str(), None)]);

    let include = vec![format!("{}/*.png", disk.text("q")), disk.text("p/tex")];
    let scene = assemble(&Request { folder: None, include, ..folder }).unwrap();
    assert_eq!(files(&scene), ["p/shots/shot.blend", "p/tex/a.png", "q/b.png"]);
}

#[test]
fn what_can_t_be_a_scene_is_refused_by_name() {
    let disk = Disk::with(&["p/shots/shot.blend", "p/lib/a.blend", "q/b.png"]);
    fs::write(disk.path("p/lib/a.blend"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let library = disk.request(vec![disk.says("//../lib/a.blend", Shape::File)]);
    let elsewhere = Request { folder: Some(disk.path("q")), ..disk.request(vec![]) };
    let nothing = Request { include: vec!["*.nothing".to_owned()], ..disk.request(vec![]) };
    let gone = Request { entry: disk.path("gone.blend"), ..Request::default() };
    for (request, words) in [
        (library, "a.blend is not a .blend file but a Git LFS pointer"),
        (elsewhere, "is not below"),
        (nothing, "--include \"*.nothing\": no file has such a name"),
        (gone, "gone.blend can't be read: "),
    ] {
        let refusal = assemble(&request).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn mappings_are_places_when_nobody_knows_what_the_scene_says() {
    let disk = Disk::with(&["p/shots/shot.blend", "q/b.png"]);
    let mappings = vec![Mapping { original: "D:\\tex".to_owned(), local: disk.path("q") }];
    let include = vec![disk.text("q")];
    let request = Request { entry: disk.path("p/shots/shot.blend"), include, mappings, ..Request::default() };
    let scene = assemble(&request).unwrap();
    assert_eq!(files(&scene), ["p/shots/shot.blend", "q/b.png"]);
    assert!(places(&scene).contains(&("D:\\tex", Some("q"))), "{:?}", places(&scene));
}

#[test]
fn a_root_is_a_folder_of_every_path() {
    let common = layout::common(Path::new("/a/b/c"), Path::new("/a/b2"));
    assert_eq!(common, Path::new("/a"));
    assert_eq!(layout::common(Path::new("/a"), Path::new("/b")), Path::new("/"));
}
