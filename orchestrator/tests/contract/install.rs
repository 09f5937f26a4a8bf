//! What a new machine is served, and the line that `haywain-orchestrator enrol` prints for it.

use std::process::{Command, Output};

use serde_json::json;

use crate::program::program;
use crate::server::{Farm, Folder};
use crate::tokens::{new_token, token};
use crate::wire::{Request, Wire, eventually, exchange};

fn enrol(folder: &Folder, arguments: &[&str]) -> Output {
    program(folder).arg("enrol").args(arguments).arg("--data-dir").arg(folder.data()).output().unwrap()
}

/// A farm with a token, and a folder of programs.
fn farm() -> Farm {
    let folder = Folder::new();
    new_token(&folder, &["--name", "me", "--role", "operate"]);
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    std::fs::write(programs.join("haywain-agent-aarch64"), b"\x7fELF\0program").unwrap();
    Farm::with(folder, json!({ "agent_programs": programs }))
}

#[test]
fn the_script_is_served_with_the_address_that_it_was_asked_for_by() {
    let farm = farm();
    let script = |host: &str| {
        let request = format!("GET /install HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        exchange(farm.address, request.as_bytes())
    };
    let answer = script("render.example:4000");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("text/x-shellscript"));
    assert!(answer.text().starts_with("#!/bin/sh\n") && answer.text().ends_with("\nmain \"$@\"\n"));
    assert!(answer.text().contains("\nSERVED_BY='http://render.example:4000'\n"));
    let refused = script("a'b");
    refused.assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn programs_and_the_unit_are_served_and_nothing_else() {
    let farm = farm();
    let get = |file: &str| Request::get(&format!("/install/{file}")).send(farm.address);
    let program = get("haywain-agent-aarch64");
    assert_eq!((program.status, program.body.as_slice()), (200, &b"\x7fELF\0program"[..]));
    assert_eq!(program.header("content-length"), Some("12"));
    let unit = get("haywain-agent.service");
    assert!(unit.status == 200 && unit.text().contains("\n[Service]\n"), "{unit:?}");
    for name in
        ["haywain-agent-x86_64", "haywain-agent", "barn.blend", "..%2fbarn.blend", "%2e%2e%2fdata%2fqueue.sqlite"]
    {
        get(name).assert_problem(404, "urn:haywain:not-found");
    }
    get("%ff").assert_problem(400, "urn:haywain:invalid-input");
}

#[test]
fn a_program_on_its_way_arrives_though_the_first_token_shuts_the_doors() {
    let folder = Folder::new();
    let programs = folder.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    // Far more than a connection holds.
    let size_bytes = 64 * 1024 * 1024;
    std::fs::File::create(programs.join("haywain-agent-aarch64")).unwrap().set_len(size_bytes).unwrap();
    let farm = Farm::with(folder, json!({ "agent_programs": programs }));
    let mut wire = Wire::connect(farm.address);
    wire.send(&Request::get("/install/haywain-agent-aarch64").header("Connection", "close").bytes());
    assert_eq!(wire.head().status, 200);
    new_token(&farm.folder, &["--name", "me", "--role", "operate"]);
    eventually("the doors to be shut", || {
        (Request::get("/api/v1/jobs").send(farm.address).status == 401).then_some(())
    });
    assert_eq!(wire.rest().len() as u64, size_bytes);
}

#[test]
fn the_line_hands_the_token_to_the_script_and_to_nobody_else() {
    let farm = farm();
    let url = format!("http://localhost:{}", farm.address.port());
    let output = enrol(&farm.folder, &["--name", "rack", "--url", &url]);
    let line = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && line.lines().count() == 1, "{output:?}");
    let given = line.split_once("HAYWAIN_TOKEN=").unwrap().1.split_once('\'').unwrap().0;
    assert!(given.starts_with("haywain_enrol_") && line.contains(&format!("curl -fsS '{url}/install'")), "{line}");
    // The shell's own `echo` writes it: no program has it as an argument or a variable.
    assert_eq!((line.matches(given).count(), line.starts_with("{ echo '")), (1, true), "{line}");
    let listed = String::from_utf8(token(&farm.folder, &["list"]).stdout).unwrap();
    let row = listed.lines().find(|row| row.contains(" rack ")).unwrap();
    let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert!(
        cells.contains(&"enrol") && cells.contains(&"1") && cells.iter().filter(|cell| **cell == "never").count() == 1
    );
    assert!(String::from_utf8(output.stderr).unwrap().contains("No other machine reaches"));
}

#[test]
#[cfg(unix)]
fn the_line_brings_one_s_own_authority_along() {
    let farm = farm();
    let made = rcgen::generate_simple_self_signed(["render.example".to_owned()]).unwrap().cert.pem();
    let authority = farm.folder.path().join("ca.pem");
    std::fs::write(&authority, &made).unwrap();
    let output = enrol(&farm.folder, &["--url", "https://render.example", "--ca", authority.to_str().unwrap()]);
    let line = String::from_utf8(output.stdout).unwrap();
    // What stands for curl and for sudo here tells what it gets.
    let told = format!(
        "curl() {{ echo \"curl $1 $2 $4 $5\"; cat \"$3\"; }}; sh() {{ cat; echo \"sh $*\"; }}; command() {{ :; }}\n{line}"
    );
    let ran = Command::new("sh").args(["-c", &told]).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("HAYWAIN_TOKEN=haywain_enrol_"), "{said}");
    assert_eq!(lines[1], "curl -fsS --cacert https://render.example/install ", "{said}");
    let certificate: Vec<_> = made.lines().map(str::trim).collect();
    assert_eq!(lines[2..lines.len() - 1], certificate, "{said}");
    assert!(lines.last().unwrap().starts_with("sh -s -- --orchestrator https://render.example --ca /"), "{said}");
}

#[test]
fn a_line_that_would_be_of_no_use_is_not_printed() {
    let folder = Folder::new();
    let said = |folder: &Folder, arguments: &[&str]| {
        let output = enrol(folder, arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&folder, &[]).contains("there is no queue"));
    let farm = Farm::on(folder);
    assert!(said(&farm.folder, &[]).contains("token create"), "the first token would shut its owner out");
    new_token(&farm.folder, &["--name", "me", "--role", "operate"]);
    for (arguments, words) in [
        (&["--url", "https://render.example/farm"][..], "--url"),
        (&["--ca", "nowhere.pem"], "nowhere.pem"),
        (&["--name", "me"], "choose another name"),
        (&["--uses", "0"], "--uses"),
    ] {
        let said = said(&farm.folder, arguments);
        assert!(said.contains(words), "{said}");
    }
}
