//! What Blender says of a scene, and what the reader of .blend files says without one: the same for both generations of
//! the format.

use std::collections::BTreeMap;

use haywain_client::blend::{self, Timeline};
use haywain_client::blender::{self, Asked, Choice};
use haywain_client::scene::{self, Reference, Shape};
use haywain_shared::path::RelativePath;

use crate::blenders::{self, BOTH, Kind};

fn ask(kind: Kind, scene: &str) -> blender::Links {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let entry = blenders::scenes(kind).join(scene);
    match runtime.block_on(blender::ask(&Choice::Named(blenders::path(kind)), &entry)) {
        Ok(Asked::Answered(links)) => links,
        other => panic!("{other:?}"),
    }
}

#[test]
fn links_of_every_kind_are_found_through_libraries() {
    for kind in BOTH {
        let links = ask(kind, "project/shots/shot.blend");
        let folder = blenders::scenes(kind);
        let said: BTreeMap<String, &Reference> =
            links.references.iter().map(|reference| (reference.path.clone(), reference)).collect();
        let elsewhere = |name: &str| folder.join("elsewhere").join(name).display().to_string();
        for (path, shape, needed, base) in [
            ("//../lib/prop.blend", Shape::File, true, "project/shots"),
            ("//../lib/nested.blend", Shape::File, true, "project/shots"),
            ("//../tex/ground.png", Shape::File, true, "project/shots"),
            ("//../tex/nested.png", Shape::File, true, "project/lib"),
            ("//../tex/skin.1001.png", Shape::File, true, "project/shots"),
            ("//../tex/skin.1002.png", Shape::File, true, "project/shots"),
            ("//../tex/water/water_0001.png", Shape::Sequence, true, "project/shots"),
            ("//../data/smoke.vdb", Shape::File, true, "project/shots"),
            ("//../data/lamp.ies", Shape::File, true, "project/shots"),
            ("//../data/shader.osl", Shape::File, false, "project/shots"),
            ("//../data/mesh.mdd", Shape::File, true, "project/shots"),
            ("//../sim/fluid", Shape::Folder, false, "project/shots"),
            ("//../sim/point", Shape::Folder, true, "project/shots"),
            (&elsewhere("bark.png"), Shape::File, true, "project/lib"),
            (&elsewhere("strip_1.png"), Shape::File, false, "project/shots"),
        ] {
            let reference = said.get(path).unwrap_or_else(|| panic!("{kind:?} does not say {path}: {said:#?}"));
            assert_eq!((reference.shape, reference.needed), (shape, needed), "{kind:?}: {path}");
            assert_eq!(reference.base, folder.join(base), "{kind:?}: {path}");
        }
        assert_eq!(said.len(), 16, "{kind:?}: {said:#?}");
        assert_eq!(links.timeline(), Some(Timeline { start: 3, end: 9, step: 2 }));
    }
}

#[test]
fn a_scene_is_laid_out_whole() {
    for kind in BOTH {
        let links = ask(kind, "project/shots/shot.blend");
        let entry = blenders::scenes(kind).join("project/shots/shot.blend");
        let request = scene::Request { entry, links: Some(links.references), ..scene::Request::default() };
        let assembly = scene::assemble(&request).unwrap();
        assert_eq!(assembly.entry.as_str(), "shots/shot.blend");
        assert_eq!(assembly.missing, []);
        let names: Vec<&str> = assembly.files.keys().map(RelativePath::as_str).collect();
        for name in ["tex/water/water_0003.png", "lib/nested.blend", "tex/nested.png", "sim/point/hair_000001_00.bphys"]
        {
            assert!(names.contains(&name), "{kind:?}: {name} is not in {names:?}");
        }
        assert!(
            names.iter().any(|name| name.starts_with("outside/") && name.ends_with("/elsewhere/bark.png")),
            "{names:?}"
        );
        assert_eq!(assembly.places.len(), 1, "{:?}", assembly.places);
    }
}

#[test]
fn the_frames_of_the_scene_that_is_open_are_read_without_blender() {
    for kind in BOTH {
        for name in ["plain.blend", "packed.blend"] {
            let own = ask(kind, name).timeline().unwrap();
            assert_eq!((own.end, own.step), (240, 5));
            assert_eq!(blend::timeline(&blenders::scenes(kind).join(name)).unwrap(), own, "{kind:?}: {name}");
        }
        let shot = blenders::scenes(kind).join("project/shots/shot.blend");
        assert_eq!(blend::timeline(&shot).unwrap(), Timeline { start: 3, end: 9, step: 2 });
    }
}

#[test]
fn a_blend_that_is_cut_off_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    for kind in BOTH {
        for name in ["plain.blend", "packed.blend"] {
            let whole = std::fs::read(blenders::scenes(kind).join(name)).unwrap();
            for part in 0..64 {
                let path = folder.path().join("cut.blend");
                std::fs::write(&path, &whole[..whole.len() * part / 64]).unwrap();
                assert!(blend::timeline(&path).is_err(), "{kind:?}: {name} cut at {part}/64");
            }
        }
    }
}

#[test]
fn a_file_of_a_newer_blender_is_refused_with_a_way_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let entry = blenders::scenes(Kind::Module).join("plain.blend");
    let refused = runtime.block_on(blender::ask(&Choice::Named(blenders::path(Kind::Program)), &entry));
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("not a blend file") && words.contains("--blender"), "{words}");
}
