//! `haywain login` and `haywain logout`, against a real orchestrator that asks for tokens.

use std::io::Write as _;
use std::process::Stdio;

use crate::farm::Farm;
use crate::program::{Home, Ran, text};

/// Logs in with a token on standard input.
fn login(home: &Home, server: &str, token: &str) -> Ran {
    let mut child = home.command(server, &["login"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    Ran { code: output.status.code(), out, err }
}

#[test]
fn a_login_is_kept_for_its_orchestrator_until_it_is_forgotten() {
    let (farm, home) = (Farm::start(), Home::new());
    let token = farm.token(&["create", "--name", "ann", "--role", "submit"]);
    home.run(&farm.url(), &["jobs"]).ends_with(6);
    let ran = login(&home, &farm.url(), &token).ends_with(0);
    assert!(ran.out.contains("as ann (submit)") && !format!("{}{}", ran.out, ran.err).contains(&token), "{ran:#?}");
    home.run(&farm.url(), &["jobs"]).ends_with(0);
    // A slash more is the same place; another place gets nothing.
    home.run(&format!("{}/", farm.url()), &["jobs"]).ends_with(0);
    let other = Farm::start();
    other.token(&["create", "--name", "bob", "--role", "submit"]);
    home.run(&other.url(), &["jobs"]).ends_with(6);
    let kept = home.path("haywain/tokens.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    }
    home.run(&farm.url(), &["logout"]).ends_with(0);
    assert!(!std::fs::read_to_string(&kept).unwrap().contains(&token));
    home.run(&farm.url(), &["jobs"]).ends_with(6);
    home.run(&farm.url(), &["logout"]).ends_with(0);
}

#[test]
fn a_token_that_is_no_good_is_not_kept() {
    let (farm, home) = (Farm::start(), Home::new());
    let token = farm.token(&["create", "--name", "ann", "--role", "operate"]);
    let stranger = token.replacen("operate_", "submit_", 1);
    let ran = login(&home, &farm.url(), &stranger).ends_with(6);
    assert!(ran.err.contains("does not know this token") && !ran.err.contains(&stranger), "{ran:#?}");
    let ran = login(&home, &farm.url(), "hunter2").ends_with(1);
    assert!(ran.err.contains("no token") && !ran.err.contains("hunter2"), "{ran:#?}");
    assert!(!home.path("haywain/tokens.json").exists());
    // From a file, for a program.
    let file = home.file("token", format!("{token}\n"));
    let ran = home.run(&farm.url(), &["login", "--json", "--token-file", text(&file)]).ends_with(0);
    assert_eq!(ran.json()["you"]["role"], "operate");
}
