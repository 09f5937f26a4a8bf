//! Who may call what: every route that there is, with everybody who may come, over the wire.

use haywain_orchestrator::access::table::TABLE;
use serde_json::json;

use crate::agent::{Agent, agent_id, lease_id};
use crate::server::Farm;
use crate::tokens::new_token;
use crate::wire::{Answer, Request, Wire};

/// Each route and who may call it: strangers (`-`), those where the owner lets them submit (`a`), and the bearers of tokens for
/// submitting (`s`), operating (`o`), enrolling (`e`) and an agent's own (`g`).
const WHO_MAY: &[(&str, &str, &str)] = &[
    ("POST", "/render", "aso"),
    ("GET", "/status/{job}", "aso"),
    ("GET", "/install", "-asoeg"),
    ("GET", "/install/{file}", "-asoeg"),
    ("GET", "/metrics", "o"),
    ("GET", "/api/v1", "-asoeg"),
    ("POST", "/api/v1/session", "-asoeg"),
    ("DELETE", "/api/v1/session", "-asoeg"),
    ("GET", "/api/v1/openapi.json", "-asoeg"),
    ("GET", "/api/v1/docs", "-asoeg"),
    ("GET", "/api/v1/docs/", "-asoeg"),
    ("GET", "/api/v1/docs/{*rest}", "-asoeg"),
    ("GET", "/api/v1/jobs", "so"),
    ("GET", "/api/v1/jobs/{job}", "so"),
    ("DELETE", "/api/v1/jobs/{job}", "so"),
    ("POST", "/api/v1/jobs/{job}/cancel", "so"),
    ("POST", "/api/v1/jobs/{job}/pause", "so"),
    ("POST", "/api/v1/jobs/{job}/resume", "so"),
    ("POST", "/api/v1/jobs/{job}/retry", "so"),
    ("POST", "/api/v1/jobs/{job}/rerender", "so"),
    ("POST", "/api/v1/jobs/{job}/priority", "so"),
    ("GET", "/api/v1/jobs/{job}/attempts", "so"),
    ("GET", "/api/v1/jobs/{job}/frames", "so"),
    ("GET", "/api/v1/jobs/{job}/frames.zip", "so"),
    ("GET", "/api/v1/jobs/{job}/frames/{frame}", "so"),
    ("GET", "/api/v1/jobs/{job}/frames/{frame}/files/{name}", "so"),
    ("GET", "/api/v1/jobs/{job}/frames/{frame}/image", "so"),
    ("GET", "/api/v1/jobs/{job}/frames/{frame}/thumbnail", "so"),
    ("GET", "/api/v1/scenes", "so"),
    ("POST", "/api/v1/scenes", "so"),
    ("GET", "/api/v1/scenes/{scene}", "so"),
    ("POST", "/api/v1/scenes/{scene}/inspection", "so"),
    ("PUT", "/api/v1/scenes/files/{name}", "so"),
    ("HEAD", "/api/v1/blobs/{blob}", "so"),
    ("GET", "/api/v1/blobs/{blob}", "so"),
    ("PUT", "/api/v1/blobs/{blob}", "so"),
    ("GET", "/api/v1/agents", "o"),
    ("POST", "/api/v1/agents/{agent}/drain", "o"),
    ("POST", "/api/v1/agents/{agent}/resume", "o"),
    ("POST", "/api/v1/agents/{agent}/set-aside", "o"),
    ("POST", "/api/v1/agents/{agent}/forget", "o"),
    ("GET", "/api/v1/events", "so"),
    ("POST", "/api/v1/agent/register", "eg"),
    ("POST", "/api/v1/agent/lease", "g"),
    ("POST", "/api/v1/agent/heartbeat", "g"),
    ("POST", "/api/v1/agent/leave", "g"),
    ("PUT", "/api/v1/agent/leases/{lease}/frames/{frame}", "g"),
    ("POST", "/api/v1/agent/leases/{lease}/failures", "g"),
    ("POST", "/api/v1/agent/leases/{lease}/release", "g"),
    ("POST", "/api/v1/agent/leases/{lease}/complete", "g"),
    ("GET", "/api/v1/agent/scenes/{scene}", "g"),
    ("POST", "/api/v1/agent/scenes/{scene}/inspection", "g"),
    ("POST", "/api/v1/agent/scenes/{scene}/inspection-failure", "g"),
    ("GET", "/api/v1/agent/blobs/{blob}", "g"),
];

/// A path of this form, of things that are not there.
fn filled(path: &str) -> String {
    let digest = "ab".repeat(32);
    let parts = [
        ("{job}", lease_id()),
        ("{lease}", lease_id()),
        ("{agent}", agent_id()),
        ("{scene}", digest.clone()),
        ("{blob}", digest),
        ("{frame}", "7".to_owned()),
        ("{name}", "a.png".to_owned()),
        ("{*rest}", "index.css".to_owned()),
        ("{file}", "haywain-agent.service".to_owned()),
    ];
    parts.iter().fold(path.to_owned(), |path, (part, value)| path.replace(part, value))
}

/// The head of the answer: some answers have no end.
fn answer(farm: &Farm, method: &str, path: &str, token: Option<&str>) -> Answer {
    let request = Request::new(method, &filled(path)).header("Content-Type", "application/json").body("{}");
    let request = token.map_or_else(|| request.clone(), |token| request.clone().bearer(token));
    let mut wire = Wire::connect(farm.address);
    wire.send(&request.bytes());
    wire.head()
}

/// Everybody who may come, by the letters of the table.
fn all_comers(farm: &Farm, [submit, operate, enrol]: &[String; 3]) -> [(char, Option<String>); 4] {
    let own = "haywain_agent_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let enrolled = Agent::stranger(farm).introduction("barn", &own).bearer(enrol).send(farm.address);
    assert_eq!(enrolled.status, 200, "{enrolled:?}");
    [('s', Some(submit.clone())), ('o', Some(operate.clone())), ('e', Some(enrol.clone())), ('g', Some(own))]
}

#[test]
fn the_table_is_the_one_that_is_meant() {
    let meant: Vec<_> = WHO_MAY.iter().map(|(method, path, _)| (*method, *path)).collect();
    let there: Vec<_> = TABLE.iter().map(|rule| (rule.method.as_str(), rule.path)).collect();
    assert_eq!(there, meant);
}

#[test]
fn everybody_may_call_what_is_theirs_to_call_and_nothing_else() {
    let keys = [("submit", "ann"), ("operate", "bob"), ("enrol", "carl")];
    for (stranger, settings) in [('-', json!({})), ('a', json!({"anonymous_submit": true}))] {
        let (farm, tokens) = Farm::with_keys(keys, settings);
        let comers = all_comers(&farm, &tokens);
        let comers = comers.iter().map(|(letter, token)| (*letter, token.as_deref())).chain([(stranger, None)]);
        for (letter, token) in comers {
            for (method, path, who_may) in WHO_MAY {
                let answer = answer(&farm, method, path, token);
                let expected = match (who_may.contains(letter), token) {
                    (true, _) => !matches!(answer.status, 401 | 403 | 405),
                    (false, None) => answer.status == 401 && answer.header("www-authenticate").is_some(),
                    (false, Some(_)) => answer.status == 403,
                };
                assert!(expected, "{letter} {method} {path}: {answer:?}");
            }
        }
    }
}

#[test]
fn what_is_no_good_token_lets_nobody_in() {
    let (farm, [operate]) = Farm::with_keys([("operate", "ann")], json!({}));
    let secret = operate.strip_prefix("haywain_operate_").unwrap();
    let unknown = format!("Bearer haywain_operate_{}", "A".repeat(43));
    let basic = format!("Basic {secret}");
    let twice = format!("Bearer {operate} {operate}");
    for shown in [unknown.as_str(), "Bearer", "Bearer ", "Bearer x", &basic, &twice, operate.as_str(), "\u{7f}"] {
        let request = Request::get("/api/v1/jobs").header("Authorization", shown);
        let told = request.send(farm.address);
        assert!(matches!(told.status, 400 | 401), "{shown}: {told:?}");
        assert!(!told.text().contains(secret), "{told:?}");
    }
    // Its role is what the orchestrator knows of it, not what it says.
    let submit = new_token(&farm.folder, &["--name", "bob", "--role", "submit"]);
    let raised = submit.replace("submit", "operate");
    assert_eq!(Request::get("/api/v1/agents").bearer(&raised).send(farm.address).status, 401);
    assert_eq!(Request::get("/api/v1/agents").bearer(&operate).send(farm.address).status, 200);
    // The scheme's capitals are of no matter (RFC 9110, 11.1).
    let bearer = Request::get("/api/v1/agents").header("Authorization", &format!("bEARER {operate}"));
    assert_eq!(bearer.send(farm.address).status, 200);
}

#[test]
fn the_two_plain_calls_are_refused_in_plain_words() {
    let (farm, [enrol]) = Farm::with_keys([("enrol", "ann")], json!({}));
    let render = || Request::post("/render", r#"{"from":1,"to":2}"#);
    let refused = render().send(farm.address);
    refused.assert_plain("HTTP/1.1 401 Unauthorized", "a token is needed here");
    assert_eq!(render().bearer(&enrol).send(farm.address).status, 403);
    render().accept_json().send(farm.address).assert_problem(401, "urn:haywain:unauthenticated");
    let path = format!("/status/{}", lease_id());
    Request::get(&path).send(farm.address).assert_plain("HTTP/1.1 401 Unauthorized", "a token is needed here");
}
