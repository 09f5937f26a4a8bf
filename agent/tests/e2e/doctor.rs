//! `haywain-agent doctor`, with what is wrong made wrong in truth.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::blenders::{self, Kind};
use crate::farm::Farm;

/// Flags and environment; the subject that fails, what is said of it, and what is to be done.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

/// What the doctor says to these flags, and its exit code.
fn doctor(data_dir: &Path, flags: &[&str], environment: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haywain-agent"));
    for (variable, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("HAYWAIN_") || name.to_uppercase().ends_with("_PROXY"))
    {
        command.env_remove(variable);
    }
    command.arg("--data-dir").arg(data_dir).args(flags).arg("doctor").envs(environment.iter().copied());
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// The finding of a subject that begins with these words.
#[track_caller]
fn assert_says(told: &str, mark: &str, subject: &str, words: &str) {
    let head = format!("{mark:<8}{subject:<14}");
    let found = told.split_inclusive('\n').any(|line| line.starts_with(&head) && line.contains(words));
    assert!(found, "{head}…{words} is not in\n{told}");
}

#[test]
fn where_nothing_is_wrong_the_doctor_renders_a_frame_and_leaves_nothing() {
    let farm = Farm::start(&blenders::scene("basic"));
    let url = farm.address();
    for kind in blenders::BOTH {
        let data_dir = farm.folder().join("none yet");
        let blender = blenders::path(kind);
        let (told, code) = doctor(&data_dir, &["--orchestrator", &url, "--blender", blender.to_str().unwrap()], &[]);
        assert_eq!(code, Some(0), "{told}");
        for (subject, words) in [
            ("agent", "no agent runs here"),
            ("data folder", "is not there yet"),
            ("proxy", "none is set"),
            ("orchestrator", "answers at"),
            ("TLS", "none is needed"),
            ("clock", "within"),
            ("token", "asks for none"),
            ("Blender", blender.to_str().unwrap()),
            ("devices", "CYCLES"),
            ("frame", "has rendered 96 by 54 pixels"),
        ] {
            assert_says(&told, "ok", subject, words);
        }
        assert!(!data_dir.exists(), "it has left something");
    }
}

#[test]
fn the_doctor_works_beside_a_running_agent_and_knows_its_token() {
    let blender = blenders::path(Kind::Program);
    let farm = Farm::start_locked(&blenders::scene("basic"));
    let file = farm.folder().join("enrolment");
    fs::write(&file, farm.token(&["create", "--name", "rack", "--role", "enrol"])).unwrap();
    let flags = ["--slots", "1", "--token-file", file.to_str().unwrap()];
    let mut agent = farm.agent_with("barn", &blender, &flags);
    agent.wait_for_log("registered");
    let url = farm.address();
    let data_dir = farm.folder().join("barn");
    let ask = || doctor(&data_dir, &["--orchestrator", &url, "--blender", blender.to_str().unwrap()], &[]);
    let (told, code) = ask();
    assert_eq!(code, Some(0), "{told}");
    assert_says(&told, "ok", "token", "known as \"barn\"");
    assert_says(&told, "ok", "data folder", "can be written");
    let left = fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with("doctor")).count(), 0);
    farm.token(&["revoke", "barn"]);
    let (told, code) = ask();
    assert_eq!(code, Some(1), "{told}");
    assert_says(&told, "FAILED", "token", "revoked");
    assert!(told.contains("token create"), "{told}");
    // It has done nothing to the agent.
    assert_eq!(agent.terminate(), Some(0));
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_about_it() {
    let blender = blenders::path(Kind::Program);
    let blender = blender.to_str().unwrap();
    let farm = Farm::start_locked(&blenders::scene("basic"));
    let url = farm.address();
    let sealed = url.replace("http://", "https://");
    let data_dir = farm.folder().join("barn");
    fs::create_dir(&data_dir).unwrap();
    let wrong = farm.folder().join("wrong");
    fs::write(&wrong, farm.token(&["create", "--name", "ann", "--role", "submit"])).unwrap();
    let wrong = wrong.to_str().unwrap();
    let no_file = farm.folder().join("nowhere");
    let no_file = no_file.to_str().unwrap();
    let proxy = [("HTTP_PROXY", "http://127.0.0.1:9")];
    // No Blender, or it would be tried each time.
    let cases: [Case<'_>; 7] = [
        (&["--orchestrator", &url], &[], "token", "there is none", "token create"),
        (&["--orchestrator", &url, "--token-file", wrong], &[], "token", "has the role submit", "token create"),
        (&["--orchestrator", &url, "--token-file", no_file], &[], "token", "the token file", "--token-file"),
        (&["--orchestrator", &sealed], &[], "orchestrator", "does not answer", "does not speak TLS"),
        (&["--orchestrator", "http://127.0.0.1:9"], &[], "orchestrator", "does not answer", "nothing listens there"),
        (&["--orchestrator", &url, "--ca", no_file], &[], "TLS", "--ca", "certificate authority"),
        (&["--orchestrator", "http://render.invalid"], &proxy, "orchestrator", "does not answer", "try without it"),
    ];
    for (flags, environment, subject, words, advice) in cases {
        let flags = [flags, &["--blender", "/bin/true"]].concat();
        let (told, code) = doctor(&data_dir, &flags, environment);
        assert_eq!(code, Some(1), "{told}");
        assert_says(&told, "FAILED", subject, words);
        assert_says(&told, "FAILED", "Blender", "/bin/true is no Blender");
        assert!(told.contains(advice), "{advice:?} is not in\n{told}");
    }
    // A Blender that starts and cannot render is found out, too.
    let broken = farm.folder().join("blender");
    fs::write(
        &broken,
        format!("#!/bin/sh\n[ \"$1\" = --version ] && exec {blender} --version\necho no GPU for you >&2\nexit 1\n"),
    )
    .unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&broken).status().unwrap().success());
    let (told, code) = doctor(&data_dir, &["--orchestrator", &url, "--blender", broken.to_str().unwrap()], &[]);
    assert_eq!(code, Some(1), "{told}");
    assert_says(&told, "FAILED", "devices", "renders nothing here");
    assert_says(&told, "FAILED", "frame", "has rendered none");
}
