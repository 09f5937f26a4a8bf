//! One file in, one scene out: a .blend or a project in a zip file, and what is refused by name.

use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::server::{Farm, Folder, files_below, sha256};
use crate::wire::{Answer, Request};

const BLEND: &[u8] = b"BLENDER-v304 and what a .blend has";
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 1234\n";

fn put(farm: &Farm, name: &str, body: &[u8]) -> Answer {
    Request::new("PUT", &format!("/api/v1/scenes/files/{name}")).body(body).send(farm.address)
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[track_caller]
fn assert_refused(farm: &Farm, name: &str, body: &[u8], words: &[&str]) {
    let detail = put(farm, name, body).assert_problem(400, "urn:haywain:invalid-input");
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
    }
}

/// Nothing is on its way in, and nothing is listed.
fn assert_untouched(farm: &Farm) {
    let staged = files_below(&farm.folder.data().join("staged"));
    assert!(staged.is_empty(), "{staged:?}");
    let scenes = Request::get("/api/v1/scenes").send(farm.address).json();
    assert_eq!(scenes["scenes"].as_array().unwrap().len(), 1, "{scenes}");
}

#[test]
fn one_blend_is_a_scene() {
    let farm = Farm::with(Folder::new(), json!({}));
    let answer = put(&farm, "Die%20Scheune.blend", BLEND);
    assert_eq!(answer.status, 201, "{answer:?}");
    let scene = answer.json();
    let file = json!({"path": "Die Scheune.blend", "sizeBytes": BLEND.len(), "sha256": sha256(BLEND)});
    assert_eq!(scene["manifest"], json!({"entry": "Die Scheune.blend", "files": [file]}));
    assert_eq!(scene["missingBlobs"], json!([]));
    let again = put(&farm, "Die%20Scheune.blend", BLEND);
    assert_eq!((again.status, &again.json()["sceneId"]), (200, &scene["sceneId"]));
    farm.submit(&json!({"from": 1, "to": 2, "scene": scene["sceneId"]}));
    assert!(files_below(&farm.folder.data().join("staged")).is_empty());
}

#[test]
fn a_zipped_project_is_a_scene() {
    let farm = Farm::with(Folder::new(), json!({}));
    let image = vec![7; 300_000];
    let project = zip(&[
        ("shot/", b""),
        ("shot/lib/chair.blend", b"\x28\xb5\x2f\xfd and so on"),
        ("shot/shot.blend", BLEND),
        ("shot/tex/grün.png", &image),
        ("shot/empty.txt", b""),
        ("__MACOSX/shot/._shot.blend", b"Mac"),
        ("shot/.DS_Store", b"Mac"),
    ]);
    let answer = put(&farm, "anything", &project);
    assert_eq!(answer.status, 201, "{answer:?}");
    let scene = answer.json();
    let manifest = &scene["manifest"];
    assert_eq!(manifest["entry"], "shot/shot.blend");
    let paths: Vec<&Value> = manifest["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
    assert_eq!(paths, ["shot/lib/chair.blend", "shot/shot.blend", "shot/tex/grün.png", "shot/empty.txt"]);
    assert_eq!(scene["missingBlobs"], json!([]));
    let blob = Request::get(&format!("/api/v1/blobs/{}", sha256(&image))).send(farm.address);
    assert!(blob.status == 200 && blob.body == image);
    let other = put(&farm, "p.zip?entry=shot/lib/chair.blend", &project).json();
    assert_eq!(other["manifest"]["entry"], "shot/lib/chair.blend");
    assert_ne!(other["sceneId"], scene["sceneId"]);
    farm.submit(&json!({"from": 1, "to": 2, "scene": scene["sceneId"]}));
    assert!(files_below(&farm.folder.data().join("staged")).is_empty());
}

#[test]
fn what_is_no_scene_is_refused_by_name() {
    let farm = Farm::start();
    assert_refused(&farm, "a.blend", POINTER, &["a.blend", "Git LFS pointer", "git lfs pull"]);
    assert_refused(&farm, "a.blend", b"<!DOCTYPE html><title>404", &["a.blend", "HTML"]);
    assert_refused(&farm, "a.blend", b"", &["a.blend", "empty"]);
    assert_refused(&farm, "a.blend", b"\x89PNG\r\n", &["a.blend", "neither", "PNG"]);
    assert_refused(&farm, "a.blend?entry=b.blend", BLEND, &["a.blend", "entry"]);
    assert_refused(&farm, "..%2Fa.blend", BLEND, &["../a.blend", "leaves"]);
    assert_refused(&farm, "a.zip", b"PK\x03\x04 and nothing more", &["a.zip", "no end"]);
    let whole = zip(&[("a.blend", BLEND)]);
    assert_refused(&farm, "a.zip", &whole[..whole.len() - 30], &["a.zip", "no end"]);
    assert_untouched(&farm);
}

#[test]
fn what_a_zip_file_must_not_have_is_refused_by_name() {
    let farm = Farm::start();
    let blend = ("a.blend", BLEND);
    let bad_paths =
        ["../b.png", "tex/../../b.png", "/etc/passwd", "tex\\b.png", "C:/b.png", "nul", "tex/aux.png", "b\u{1}"];
    for path in bad_paths {
        let shown = format!("{path:?}");
        assert_refused(&farm, "p.zip", &zip(&[blend, (path, b"x")]), &["p.zip", &shown]);
    }
    assert_refused(&farm, "p.zip", &zip(&[blend, ("../out/", b"")]), &["p.zip", "../out", "leaves"]);
    assert_refused(&farm, "p.zip", &zip(&[blend, ("Tex.png", b"x"), ("tex.PNG", b"x")]), &["Tex.png", "tex.PNG"]);
    assert_refused(&farm, "p.zip", &zip(&[blend, ("tex", b"x"), ("Tex/b.png", b"x")]), &["tex", "Tex/b.png"]);
    assert_refused(&farm, "p.zip", &zip(&[("b.png", b"x")]), &["p.zip", "no .blend"]);
    assert_refused(&farm, "p.zip", &zip(&[]), &["p.zip", "no .blend"]);
    let several = zip(&[blend, ("b.blend", BLEND), ("lib/c.blend", BLEND)]);
    assert_refused(&farm, "p.zip", &several, &["a.blend, b.blend, lib/c.blend", "?entry="]);
    assert_refused(&farm, "p.zip?entry=d.blend", &several, &["d.blend", "a.blend, b.blend, lib/c.blend"]);
    let pointer = zip(&[blend, ("lib/c.blend", POINTER)]);
    assert_refused(&farm, "p.zip", &pointer, &["lib/c.blend", "Git LFS pointer"]);
    assert_refused(&farm, "p.zip", &zip(&[("a.blend", &zip(&[blend]))]), &["a.blend", "a zip file"]);
    assert_refused(&farm, "p.zip", &zip(&[("a.blend", b"")]), &["a.blend", "empty"]);

    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("a.blend", SimpleFileOptions::default()).unwrap();
    writer.write_all(BLEND).unwrap();
    writer.add_symlink("tex", "/etc", SimpleFileOptions::default()).unwrap();
    let linked = writer.finish().unwrap().into_inner();
    assert_refused(&farm, "p.zip", &linked, &["tex", "link"]);

    // The bit that says that a file is encrypted, in its own head and in the table.
    let mut encrypted = zip(&[blend]);
    encrypted[6] |= 1;
    let table = encrypted.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    encrypted[table + 8] |= 1;
    assert_refused(&farm, "p.zip", &encrypted, &["a.blend", "encrypted"]);
    assert_untouched(&farm);
}

#[test]
fn a_zip_file_that_lies_about_its_sizes_is_refused() {
    let farm = Farm::start();
    let image: Vec<u8> = (0..250_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let honest = zip(&[("a.blend", BLEND), ("tex.png", &image)]);
    let table = honest.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let saying = |size: u32| {
        let mut lying = honest.clone();
        lying[table + 24..table + 28].copy_from_slice(&size.to_le_bytes());
        lying
    };
    assert_refused(&farm, "p.zip", &saying(999_999), &["tex.png", "larger than"]);
    assert_refused(&farm, "p.zip", &saying(1_000_001), &["tex.png"]);
    // Three gigabytes out of a kilobyte: it is not unpacked at all.
    assert_refused(&farm, "p.zip", &saying(3 << 30), &["p.zip", "zip bomb"]);
    let mut damaged = honest.clone();
    damaged[table - 300] ^= 1;
    assert_refused(&farm, "p.zip", &damaged, &["tex.png"]);
    assert_untouched(&farm);
}
