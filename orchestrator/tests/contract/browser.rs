//! What a browser may do with the farm, and what a page from elsewhere may not do with a browser.

use serde_json::json;

use crate::agent::Agent;
use crate::server::Farm;
use crate::tokens::token;
use crate::wire::{Answer, Request};

/// What everything but the API's own page may do: nothing.
#[track_caller]
fn assert_runs_nothing(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && policy.ends_with("; sandbox"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
}

#[test]
fn nothing_that_is_served_runs_as_a_page() {
    let farm = Farm::start();
    let job = farm.submit(&json!({"from": 1, "to": 1}));
    Agent::registered(&farm, "barn").render(&farm, &job);
    let frame = format!("/api/v1/jobs/{job}/frames/1");
    for path in [
        format!("/status/{job}"),
        "/status/%3Cscript%3E".to_owned(),
        "/nowhere".to_owned(),
        format!("/api/v1/jobs/{job}"),
        format!("/api/v1/jobs/{job}/attempts"),
        format!("/api/v1/jobs/{job}/frames.zip"),
        format!("{frame}/image"),
        format!("{frame}/files/0001.png"),
        "/api/v1/openapi.json".to_owned(),
    ] {
        assert_runs_nothing(&Request::get(&path).send(farm.address));
    }
    let (locked, _) = Farm::with_keys([("submit", "ann")], json!({}));
    assert_runs_nothing(&Request::get("/api/v1/jobs").send(locked.address));
}

#[test]
fn the_api_s_own_page_works_without_a_line_of_inline_script() {
    let farm = Farm::start();
    let page = Request::get("/api/v1/docs/").send(farm.address);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let html = page.text();
    assert!(
        page.status == 200 && !html.contains("<style") && !html.contains("style=") && !html.contains(" on"),
        "{html}"
    );
    let scripts: Vec<_> = html.split("<script").skip(1).collect();
    assert!(!scripts.is_empty());
    let mut files = vec!["index.css".to_owned(), "swagger-ui.css".to_owned()];
    for script in scripts {
        let (attributes, rest) = script.split_once('>').unwrap();
        assert!(rest.trim_start().starts_with("</script>"), "inline: {script}");
        files.push(attributes.split_once("src=\"./").unwrap().1.split('"').next().unwrap().to_owned());
    }
    for file in files {
        let answer = Request::get(&format!("/api/v1/docs/{file}")).send(farm.address);
        assert_eq!((answer.status, answer.body.is_empty()), (200, false), "{file}");
        let kind = answer.header("content-type").unwrap();
        assert!(kind.contains("javascript") || kind.contains("css"), "{file}: {kind}");
    }
}

#[test]
fn a_page_from_elsewhere_changes_nothing() {
    let farm = Farm::start();
    let body = r#"{"from":1,"to":1}"#;
    for (headers, status) in [
        (&[][..], 202),
        (&[("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost")], 202),
        (&[("Sec-Fetch-Site", "none")], 202),
        (&[("Origin", "http://localhost")], 202),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")], 403),
        (&[("Sec-Fetch-Site", "same-site"), ("Origin", "http://localhost:8080")], 403),
        (&[("Origin", "https://evil.example")], 403),
        (&[("Origin", "null")], 403),
    ] {
        // As a form sends it, which a browser does without asking first.
        let request = Request::new("POST", "/render").header("Content-Type", "text/plain").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send(farm.address);
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    // A link is followed.
    let linked = Request::get("/api/v1/docs/").header("Sec-Fetch-Site", "cross-site").send(farm.address);
    assert_eq!(linked.status, 200);
}

#[test]
fn a_browser_logs_in_and_out() {
    let (farm, [ann]) = Farm::with_keys([("submit", "ann")], json!({}));
    let login =
        |token: &str| Request::post("/api/v1/session", json!({ "token": token }).to_string()).send(farm.address);
    let answer = login(&ann);
    assert_eq!(answer.status, 204, "{answer:?}");
    let set = answer.header("set-cookie").unwrap().to_owned();
    let attributes: Vec<_> = set.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "Secure", "SameSite=Strict"]);
    let cookie = set.split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-haywain=") && !cookie.contains(&ann), "{cookie}");
    let jobs = || Request::get("/api/v1/jobs").header("Cookie", &cookie).send(farm.address).status;
    assert_eq!(jobs(), 200);
    let about = Request::get("/api/v1").header("Cookie", &cookie).send(farm.address).json();
    assert_eq!(about["you"], json!({"name": "ann", "role": "submit"}));
    // It is no token.
    let value = cookie.split_once('=').unwrap().1;
    assert_eq!(Request::get("/api/v1/jobs").bearer(value).send(farm.address).status, 401);

    let out = Request::new("DELETE", "/api/v1/session").header("Cookie", &cookie).send(farm.address);
    assert!(out.status == 204 && out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out:?}");
    assert_eq!(jobs(), 401);
    let bare = Request::post("/api/v1/session", json!(ann).to_string()).send(farm.address);
    assert!(bare.status == 422 && !bare.text().contains(&ann), "{bare:?}");
    for wrong in ["hunter2", &ann.replacen("submit_", "operate_", 1)] {
        login(wrong).assert_problem(401, "urn:haywain:unauthenticated");
    }
    // A session is as good as its token.
    let set = login(&ann).header("set-cookie").unwrap().to_owned();
    let jobs = || Request::get("/api/v1/jobs").header("Cookie", set.split(';').next().unwrap()).send(farm.address);
    assert_eq!(jobs().status, 200);
    assert!(token(&farm.folder, &["revoke", "ann"]).status.success());
    assert_eq!(jobs().status, 401);
}
