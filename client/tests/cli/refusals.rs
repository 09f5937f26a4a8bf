//! What is refused, before anything is sent, and by which exit code.

use serde_json::json;

use crate::double::{Double, json as answer, problem};
use crate::program::{Home, text};

/// Knows no jobs, and takes nothing else.
fn idle() -> Double {
    Double::start(|request| match request.path.as_str() {
        path if path.starts_with("/api/v1/jobs?") => answer(200, &json!({ "jobs": [] })),
        _ => problem(400, "invalid-input"),
    })
}

#[test]
fn what_is_no_blend_is_refused_before_anything_is_asked() {
    let (home, double) = (Home::new(), idle());
    for (name, content, words) in [
        ("lfs.blend", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n", "a Git LFS pointer"),
        ("empty.blend", "", "empty (0 bytes)"),
        ("page.blend", "<!DOCTYPE html><html>", "an HTML or XML page"),
        ("text.blend", "hello", "something else: it begins with \"hello\""),
    ] {
        let path = home.file(name, content);
        let ran = home.run(&double.url(), &["submit", text(&path), "-f", "1"]).ends_with(6);
        assert!(ran.err.contains(name) && ran.err.contains(words), "{ran:#?}");
        assert!(ran.out.is_empty(), "{ran:#?}");
    }
    home.run(&double.url(), &["submit", "none.blend", "-f", "1"]).ends_with(6);
    let folder = home.run(&double.url(), &["submit", ".", "-f", "1"]).ends_with(6);
    assert!(folder.err.contains(". is a folder: name the .blend in it"), "{folder:#?}");
    let (scene, taken) = (home.file("shot.blend", "BLENDER-v304"), home.file("taken", ""));
    for out in [taken.clone(), taken.join("below")] {
        let ran = home.run(&double.url(), &["submit", text(&scene), "-f", "1", "--out", text(&out)]).ends_with(1);
        assert!(ran.err.contains("frames can't be put there") && ran.err.contains("--out"), "{ran:#?}");
    }
    assert_eq!(double.asked.lock().unwrap().len(), 0);
}

#[test]
fn frames_that_nobody_can_tell_are_asked_for() {
    let (home, double) = (Home::new(), idle());
    let damaged = home.file("damaged.blend", "BLENDER-v304 and then nothing");
    let ran = home.run(&double.url(), &["submit", text(&damaged), "--no-blender"]).ends_with(6);
    assert!(ran.err.contains("-f 1-250"), "{ran:#?}");
    let id = "ab".repeat(32);
    let ran = home.run(&double.url(), &["submit", "--scene", &id]).ends_with(1);
    assert!(ran.err.contains("-f 1-250"), "{ran:#?}");
}

#[test]
fn codes_tell_who_is_at_fault() {
    let (home, double) = (Home::new(), idle());
    let scene = home.file("shot.blend", "BLENDER-v304");
    home.run(&double.url(), &["submit", text(&scene), "-f", "9-1"]).ends_with(2);
    home.run(&double.url(), &["frobnicate"]).ends_with(2);
    // Nothing listens on the port that nothing can listen on.
    let ran = home.run("http://127.0.0.1:1", &["submit", text(&scene), "-f", "1", "--no-blender"]).ends_with(5);
    assert!(ran.err.contains("Is the orchestrator running") && ran.err.contains("--server"), "{ran:#?}");
    home.run("http://127.0.0.1:1", &["jobs"]).ends_with(5);
    let ran = home.run(&double.url(), &["status", "nobody"]).ends_with(1);
    assert!(ran.err.contains("there is no job \"nobody\": `haywain jobs` lists them"), "{ran:#?}");
    let ran = home.run(&double.url(), &["submit", text(&scene), "-f", "1", "--no-blender"]).ends_with(6);
    assert!(ran.err.contains("register the scene: refused (HTTP 400): invalid-input"), "{ran:#?}");
    let ran = home.run(&double.url(), &["submit", text(&scene), "-f", "1", "--no-blender", "--json"]).ends_with(6);
    let error: serde_json::Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert_eq!(error["exitCode"], 6);
    assert!(ran.out.is_empty(), "{ran:#?}");
    let ran = home.run("127.0.0.1:4000", &["jobs"]).ends_with(2);
    assert!(ran.err.contains("http://HOST:4000"), "{ran:#?}");
    // Something else answers there.
    let other = Double::start(|_| Some((404, Vec::new(), b"<!DOCTYPE html><h1>Nothing here</h1>".to_vec())));
    let ran = home.run(&other.url(), &["jobs"]).ends_with(6);
    assert!(ran.err.contains("404 Not Found, and no answer of Haywain's") && !ran.err.contains("<h1>"), "{ran:#?}");
}

const TOKEN: &str = "haywain_submit_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn what_is_no_token_is_not_told_on() {
    let (home, double) = (Home::new(), idle());
    let token = home.file("token", "hunter2");
    let ran = home.run(&double.url(), &["jobs", "--token-file", text(&token)]).ends_with(1);
    assert!(ran.err.contains("is no token") && !ran.err.contains("hunter2"), "{ran:#?}");
    let output = home.command(&double.url(), &["jobs"]).env("HAYWAIN_TOKEN", "hunter2").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("HAYWAIN_TOKEN") && !said.contains("hunter2"), "{said}");
    assert_eq!(double.asked.lock().unwrap().len(), 0);
}

#[test]
fn a_token_is_sent_and_never_taken_as_an_argument() {
    let home = Home::new();
    let double = Double::start(|request| match request.headers.get("authorization").map(String::as_str) {
        Some(shown) if shown == format!("Bearer {TOKEN}") => answer(200, &json!({ "jobs": [] })),
        _ => problem(401, "unauthenticated"),
    });
    let ran = home.run(&double.url(), &["jobs"]).ends_with(6);
    assert!(ran.err.contains("haywain login"), "{ran:#?}");
    let output = home.command(&double.url(), &["jobs"]).env("HAYWAIN_TOKEN", TOKEN).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let token = home.file("token", format!("{TOKEN}\n"));
    home.run(&double.url(), &["jobs", "--token-file", text(&token)]).ends_with(0);
    home.file("haywain/config.toml", format!("server = \"{}\"\ntoken = \"{TOKEN}\"\n", double.url()));
    let mut command = home.command("", &["jobs"]);
    assert_eq!(command.env_remove("HAYWAIN_SERVER").output().unwrap().status.code(), Some(0));
    home.run(&double.url(), &["jobs", "--token", TOKEN]).ends_with(2);
}
