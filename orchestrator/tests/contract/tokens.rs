//! `haywain-orchestrator token …`, and what becomes of calls when a token is made or taken back while the orchestrator runs.

use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::program::program;
use crate::server::{Farm, Folder, refusal};
use crate::wire::{Request, Wire, eventually};

/// How long nothing is to come before it is believed that nothing comes.
const A_WHILE: Duration = Duration::from_millis(100);

pub(crate) fn token(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = program(folder);
    command.arg("token").args(arguments).arg("--data-dir").arg(folder.data()).output().unwrap()
}

/// Makes a token as an owner does.
pub(crate) fn new_token(folder: &Folder, arguments: &[&str]) -> String {
    let output = token(folder, &[&["create"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn revoke(farm: &Farm, name: &str) {
    let output = token(&farm.folder, &["revoke", name]);
    assert!(output.status.success(), "{output:?}");
}

fn jobs(farm: &Farm, token: &str) -> u16 {
    Request::get("/api/v1/jobs").bearer(token).send(farm.address).status
}

#[test]
fn a_token_is_shown_once_and_kept_nowhere() {
    let folder = Folder::new();
    let made = new_token(&folder, &["--name", "ann", "--role", "submit", "--expires", "30d"]);
    let random = made.strip_prefix("haywain_submit_").unwrap();
    assert!(random.len() == 43 && !made.contains(char::is_whitespace), "{made}");
    let listed = String::from_utf8(token(&folder, &["list"]).stdout).unwrap();
    assert!(listed.contains("ann") && listed.contains("submit") && listed.contains("good"), "{listed}");
    let farm = Farm::on(folder);
    assert_eq!(jobs(&farm, &made), 200);
    let folder = farm.stop();
    for file in crate::server::files_below(&folder.data()) {
        let content = std::fs::read(&file).unwrap();
        assert!(!content.windows(random.len()).any(|window| window == random.as_bytes()), "{}", file.display());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = Folder::new();
    for (arguments, words) in [
        (vec!["list"], "there is no queue"),
        (vec!["revoke", "ann"], "there is no queue"),
        (vec!["create", "--name", "ann", "--role", "king"], "king"),
        (vec!["create", "--name", "ann", "--role", "agent"], "agent"),
        (vec!["create", "--name", "ann", "--role", "submit", "--uses", "3"], "--role enrol"),
        (vec!["create", "--name", "ann", "--role", "enrol", "--uses", "0"], "--uses"),
        (vec!["create", "--name", "ann", "--role", "submit", "--expires", "soon"], "soon"),
        (vec!["create", "--name", " ", "--role", "submit"], "--name"),
    ] {
        let output = token(&folder, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
    new_token(&folder, &["--name", "ann", "--role", "submit"]);
    assert!(
        !token(&folder, &["create", "--name", "ann", "--role", "operate"]).status.success(),
        "a name is one token's"
    );
    assert!(!token(&folder, &["revoke", "bob"]).status.success());
}

/// What compose runs to make the token that agents are let in by, on folders of this test's.
#[cfg(unix)]
#[test]
fn a_compose_farm_makes_its_token_anew_when_it_has_lost_it() {
    let compose = include_str!("../../../deploy/compose.yaml");
    let (_, command) = compose.split_once("command:\n      - |\n").unwrap();
    let line: String = command
        .lines()
        .map_while(|line| line.strip_prefix("        "))
        .fold(String::new(), |all, line| all + line + "\n");
    let folder = Folder::new();
    let kept = folder.path().join("enrolment");
    std::fs::create_dir(&kept).unwrap();
    let line = line.replace("/enrolment", kept.to_str().unwrap());
    let line = line.replace("haywain-orchestrator", env!("CARGO_BIN_EXE_haywain-orchestrator"));
    let enrol = || {
        let mut shell = std::process::Command::new("sh");
        let output = shell.args(["-c", &line]).env("HAYWAIN_DATA_DIR", folder.data()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::read_to_string(kept.join("token")).unwrap()
    };
    let first = enrol();
    assert!(first.starts_with("haywain_enrol_"), "{first}");
    assert_eq!(enrol(), first);
    std::fs::remove_file(kept.join("token")).unwrap();
    let second = enrol();
    assert_ne!(second, first);
    std::fs::remove_dir_all(folder.data()).unwrap();
    let third = enrol();
    assert_ne!(third, second);
    assert_eq!(enrol(), third);
}

#[test]
fn nobody_is_let_in_from_elsewhere_without_a_token() {
    let folder = Folder::new();
    let settings = json!({"listen": "0.0.0.0:0"});
    let refused = refusal(settings.clone(), &folder.data());
    assert!(refused.contains("token create") && refused.contains("--insecure"), "{refused}");
    new_token(&folder, &["--name", "ann", "--role", "operate"]);
    let farm = Farm::with(folder, settings);
    let about = Request::get("/api/v1").send(farm.address).json();
    assert_eq!((&about["access"], &about["asksForTokens"]), (&json!("locked"), &json!(true)), "{about}");
    assert_eq!(Request::get("/api/v1/jobs").send(farm.address).status, 401);
}

#[test]
fn who_opens_it_to_all_is_told_so() {
    let farm = Farm::with(Folder::new(), json!({"listen": "0.0.0.0:0", "insecure": true}));
    let about = Request::get("/api/v1").send(farm.address).json();
    assert_eq!(about["access"], "insecure");
    assert!(about["warning"].as_str().unwrap().starts_with("INSECURE"), "{about}");
    assert_eq!(Request::get("/api/v1/jobs").send(farm.address).status, 200);
}

#[test]
fn a_farm_without_tokens_answers_to_this_machine_s_names_alone() {
    let farm = Farm::start();
    for (host, status) in
        [("localhost:4000", 200), ("127.0.0.1", 200), ("evil.example", 403), ("192.168.1.7:4000", 403)]
    {
        for path in ["/api/v1/jobs", "/api/v1"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(crate::wire::exchange(farm.address, request.as_bytes()).status, status, "{host} {path}");
        }
    }
}

#[test]
fn a_farm_on_this_machine_answers_to_its_names_alone_also_where_nobody_is_asked_for_a_token() {
    let folder = Folder::new();
    new_token(&folder, &["--name", "ann", "--role", "operate"]);
    let farm = Farm::with(folder, json!({"insecure": true}));
    for (host, status) in [("localhost:4000", 200), ("evil.example", 403)] {
        let request = format!("GET /api/v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(crate::wire::exchange(farm.address, request.as_bytes()).status, status, "{host}");
    }
}

#[test]
fn the_first_token_shuts_the_doors_of_a_running_farm() {
    let farm = Farm::start();
    let mut watching = Wire::connect(farm.address);
    watching.send(&Request::get("/api/v1/events").bytes());
    assert_eq!(watching.head().status, 200);
    watching.assert_silent(A_WHILE);
    let made = new_token(&farm.folder, &["--name", "ann", "--role", "submit"]);
    // Good at once, and all that is open ends.
    watching.rest();
    assert_eq!(jobs(&farm, &made), 200);
    assert_eq!(Request::get("/api/v1/jobs").send(farm.address).status, 401);
}

#[test]
fn a_revoked_token_is_good_for_nothing_and_ends_what_it_has_open() {
    let (farm, [ann, bob]) = Farm::with_keys([("operate", "ann"), ("operate", "bob")], json!({}));
    let watch = |token: &str| {
        let mut wire = Wire::connect(farm.address);
        wire.send(&Request::get("/api/v1/events").bearer(token).bytes());
        assert_eq!(wire.head().status, 200);
        wire.assert_silent(A_WHILE);
        wire
    };
    let (mut watching, mut other) = (watch(&ann), watch(&bob));
    revoke(&farm, "ann");
    let answer = Request::get("/api/v1/jobs").bearer(&ann).send(farm.address);
    let told = answer.assert_problem(401, "urn:haywain:unauthenticated");
    assert!(told.contains("revoked") && !told.contains(&ann), "{told}");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="haywain", error="invalid_token""#));
    watching.rest();
    other.assert_silent(A_WHILE);
    assert_eq!(jobs(&farm, &bob), 200);
}

#[test]
fn a_token_that_expires_ends_what_it_has_open() {
    let folder = Folder::new();
    let made = new_token(&folder, &["--name", "ann", "--role", "operate", "--expires", "3s"]);
    let farm = Farm::on(folder);
    let mut watching = Wire::connect(farm.address);
    watching.send(&Request::get("/api/v1/events").bearer(&made).bytes());
    assert_eq!(watching.head().status, 200);
    watching.rest();
    eventually("the token's end", || (jobs(&farm, &made) == 401).then_some(()));
}
