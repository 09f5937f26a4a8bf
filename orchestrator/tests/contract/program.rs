//! The program itself: what its help says, which settings it refuses, who wins when settings disagree, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::agent::{agent_id, post, request_id};
use crate::bad_input::BAD_BODIES;
use crate::server::{Farm, Folder};
use crate::tokens::new_token;
use crate::wire::{DEADLINE, Request, Wire, eventually};

/// The program, with nothing of the tester's own settings in sight, and some free port to listen on.
pub(crate) fn program(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haywain-orchestrator"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for home in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"] {
        command.env(home, folder.path());
    }
    // Windows can't open a socket without it.
    command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
    command
}

/// A running program. It is killed, if need be, when this goes.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        // It ends with the program, whose end closes the pipe.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// The next JSON line with this message.
    pub(crate) fn logged(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{message:?}: {error}"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Ends it at once, in the midst of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        eventually("the program's end", || self.child.try_wait().unwrap())
    }

    /// What it said on standard error, once it has ended.
    fn last_words(&mut self) -> (ExitStatus, String) {
        (self.end(), self.lines.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn assert_refused(command: &mut Command, words: &[&str]) {
    let (status, said) = Running::start(command).last_words();
    assert!(!status.success() && status.code().is_some(), "{status}: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn help_names_every_flag_with_its_variable() {
    let output = program(&Folder::new()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{help}");
    let flags: Vec<&str> =
        help.split_whitespace().filter_map(|word| word.strip_prefix("--")).filter(|flag| !flag.is_empty()).collect();
    for flag in ["listen", "data-dir", "scene", "max-frames", "log-format", "config"] {
        assert!(flags.contains(&flag), "--{flag} is missing: {help}");
    }
    for flag in flags.into_iter().filter(|flag| !["help", "version", "orchestrator"].contains(flag)) {
        let variable = format!("[env: HAYWAIN_{}=", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{variable}] is missing: {help}");
    }
    for default in ["127.0.0.1:4000", "1000000"] {
        assert!(help.contains(&format!("[default: {default}]")), "{default}: {help}");
    }
}

#[test]
fn settings_that_can_t_be_are_refused_by_name() {
    let folder = Folder::new();
    let data = folder.data();
    let started = |arguments: &[&str]| {
        let mut command = program(&folder);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(&data).args(arguments);
        command
    };
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    assert_refused(&mut started(&["--frames", "7"]), &["--frames"]);
    assert_refused(&mut started(&["--max-frames", "0"]), &["--max-frames", "0"]);
    assert_refused(&mut started(&["--max-frames", "many"]), &["--max-frames", "many"]);
    assert_refused(&mut started(&["--log-format", "xml"]), &["--log-format", "xml"]);
    assert_refused(started(&[]).env("HAYWAIN_LOG_FORMAT", "xml"), &["xml"]);
    assert_refused(program(&folder).args(["--listen", "everywhere"]), &["--listen", "everywhere"]);

    assert_refused(&mut started(&["--scene", "nowhere.blend"]), &["nowhere.blend"]);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 1234\n";
    let pointer = file("pointer.blend", pointer);
    assert_refused(&mut started(&["--scene", &pointer]), &[&pointer, "not a .blend", "git-lfs"]);
    let empty = file("empty.blend", "");
    assert_refused(&mut started(&["--scene", &empty]), &[&empty, "not a .blend"]);

    assert_refused(&mut started(&["--config", "nowhere.toml"]), &["nowhere.toml"]);
    for (content, word) in [("scen = \"barn.blend\"", "scen"), ("max_frames = \"many\"", "max_frames"), ("scene =", "")]
    {
        let settings = file("settings.toml", content);
        assert_refused(&mut started(&["--config", &settings]), &["settings.toml", word]);
    }
    assert_refused(&mut started(&["--config", &file("zero.toml", "max_frames = 0")]), &["max_frames"]);

    let no_folder = file("no-folder", "");
    assert_refused(program(&folder).args(["--listen", "127.0.0.1:0", "--data-dir", &no_folder]), &[&no_folder]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(program(&folder).args(["--listen", &address, "--data-dir"]).arg(&data), &[&address, "--listen"]);
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let farm = Farm::start();
    let data = farm.folder.data().display().to_string();
    assert_refused(program(&farm.folder).args(["--listen", "127.0.0.1:0", "--data-dir", &data]), &[&data, "in use"]);
}

#[test]
fn a_flag_wins_over_its_variable_and_a_variable_over_the_file() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = path("settings.toml");
    let content = format!(
        "listen = '127.0.0.1:0'\ndata_dir = '{}'\nscene = '{}'\nlog_format = 'json'\nmax_frames = 7\n",
        path("by-file"),
        path("barn.blend")
    );
    std::fs::write(&settings, content).unwrap();
    let ready = |command: &mut Command, data: &str, max_frames: u64| {
        let mut program = Running::start(command);
        let line = program.logged("orchestrator ready");
        assert_eq!((&line["data_dir"], &line["scene"]), (&json!(path(data)), &json!(path("barn.blend"))), "{line}");
        assert!(Path::new(&path(data)).join("queue.sqlite").is_file());
        let address: SocketAddr = line["listen"].as_str().unwrap().parse().unwrap();
        let render = |frames: u64| Request::post("/render", format!(r#"{{"from":1,"to":{frames}}}"#)).send(address);
        assert_eq!((render(max_frames).status, render(max_frames + 1).status), (202, 400), "{data}");
        let _ = program.child.kill();
    };
    let by_file = || {
        let mut command = program(&folder);
        command.env("HAYWAIN_CONFIG", &settings);
        command
    };
    ready(&mut by_file(), "by-file", 7);
    let by_variable = |command: &mut Command| {
        command.env("HAYWAIN_DATA_DIR", path("by-variable")).env("HAYWAIN_MAX_FRAMES", "8");
    };
    let mut command = by_file();
    by_variable(&mut command);
    ready(&mut command, "by-variable", 8);
    let mut command = by_file();
    by_variable(&mut command);
    ready(command.args(["--data-dir", &path("by-flag"), "--max-frames", "9"]), "by-flag", 9);
}

#[test]
fn bad_input_is_no_error_of_the_program_s() {
    let folder = Folder::new();
    let mut command = program(&folder);
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(folder.data());
    command.arg("--scene").arg(folder.scene()).env("RUST_BACKTRACE", "1");
    let mut program = Running::start(&mut command);
    let address: SocketAddr = program.logged("orchestrator ready")["listen"].as_str().unwrap().parse().unwrap();
    for (body, _) in BAD_BODIES {
        assert_eq!(Request::post("/render", body).send(address).status, 400, "{body}");
    }
    assert_eq!(Request::post("/render", vec![b' '; 100_000]).send(address).status, 413);
    // What comes last is sure to come after all the rest.
    assert_eq!(Request::post("/render", r#"{"from":1,"to":20}"#).send(address).status, 202);
    loop {
        let line = program.lines.recv_timeout(DEADLINE).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(line["level"], "INFO", "{line}");
        if line["message"] == "job accepted" {
            break;
        }
    }
    let _ = program.child.kill();
}

#[test]
fn no_token_comes_into_the_log() {
    let folder = Folder::new();
    let token = new_token(&folder, &["--name", "ann", "--role", "operate"]);
    let mut command = program(&folder);
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(folder.data());
    command.env("HAYWAIN_LOG", "trace");
    let mut program = Running::start(&mut command);
    let address: SocketAddr = program.logged("orchestrator ready")["listen"].as_str().unwrap().parse().unwrap();
    let unknown = token.replacen("operate_", "submit_", 1);
    for (token, status) in [(&token, 200), (&unknown, 401)] {
        assert_eq!(Request::get("/api/v1/jobs").bearer(token).send(address).status, status);
        let login = Request::post("/api/v1/session", json!({ "token": token }).to_string()).send(address);
        assert_eq!(login.status, if status == 200 { 204 } else { 401 });
    }
    program.kill();
    let secret = token.strip_prefix("haywain_operate_").unwrap();
    let lines: Vec<_> = program.lines.iter().collect();
    assert!(lines.iter().any(|line| line.contains("/api/v1/session")), "it logs that much");
    let found: Vec<_> = lines.iter().filter(|line| line.contains(secret)).collect();
    assert_eq!(found, Vec::<&String>::new());
}

#[test]
#[cfg(unix)]
fn a_signal_ends_it_well_even_while_calls_are_open() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let mut command = program(&folder);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(folder.data());
        // So that it says when it has taken up a request.
        command.env("HAYWAIN_LOG", "info,tower_http=debug");
        let mut program = Running::start(&mut command);
        let address: SocketAddr = program.logged("orchestrator ready")["listen"].as_str().unwrap().parse().unwrap();
        let agent = agent_id();
        let machine = json!({"os": "", "arch": "", "logicalCores": 1, "memoryBytes": 1});
        let register =
            json!({"agentId": agent, "incarnation": 1, "name": "barn", "slots": 1, "machine": machine, "blenders": []});
        assert_eq!(post("/register", &register).send(address).status, 200);
        program.logged("finished processing request");
        let mut idle = Wire::connect(address);
        idle.send(&Request::get("/status/nobody").bytes());
        assert_eq!(idle.answer().status, 404);
        program.logged("finished processing request");
        let mut poll = Wire::connect(address);
        let lease = json!({"agentId": agent, "incarnation": 1, "requestId": request_id(), "memoryAvailableBytes": 0});
        poll.send(&post("/lease", &lease).bytes());
        program.logged("started processing request");

        let pid = program.child.id().to_string();
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().unwrap().success());
        // The poll ends as one that found nothing, not by a cut.
        assert_eq!(poll.answer().status, 204);
        program.logged("stopped");
        assert_eq!(program.end().code(), Some(0), "{signal}");
        assert_eq!((idle.rest(), poll.rest()), (vec![], vec![]));
    }
}
