//! The step that fuzzes: schemathesis calls an orchestrator in ways that its own description allows and forbids, with a token and
//! without one. No answer may be one that is not described.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::steps::Outcome;
use super::{bpy, tools};
use crate::farm::{self, Start};
use crate::foreground;
use crate::http::Client;
use crate::service::{Service, without_settings};
use crate::workspace::{Profile, Workspace};

/// The version that xtask/fuzz/schemathesis.toml is written for.
const VERSION: &str = "4.32.5";
/// The same calls each time.
const SEED: &str = "7";
/// Calls of each kind and route, at most: all of it is to take less than two minutes.
const EXAMPLES: &str = "25";
/// How long it may take, all in all, before something hangs.
const LIMIT: Duration = Duration::from_mins(10);
/// How long one of the calls may take that make the farm what it is.
const CALL: Duration = Duration::from_secs(10);

/// Schemathesis. It is installed if it is not there.
pub(super) fn ensure(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(program) = program(workspace) {
        return Ok(program);
    }
    let venv = folder(workspace);
    if venv.exists() {
        std::fs::remove_dir_all(&venv).with_context(|| format!("removing {}, which is not whole", venv.display()))?;
    }
    let mut make = Command::new(bpy::interpreter(workspace)?);
    make.args(["-m", "venv"]).arg(&venv);
    let mut install = Command::new(venv.join("bin").join("python"));
    install.args(["-m", "pip", "install", "--disable-pip-version-check", &format!("schemathesis=={VERSION}")]);
    println!("    There is no schemathesis {VERSION}; it will be installed by");
    for command in [&mut make, &mut install] {
        println!("    {}", foreground::shown(command));
        foreground::run(command).context("schemathesis comes from PyPI: is there a network?")?;
    }
    program(workspace).context("pip has installed schemathesis, and it is not where it should be")
}

fn folder(workspace: &Workspace) -> PathBuf {
    tools::folder(workspace).join(format!("schemathesis-{VERSION}"))
}

fn program(workspace: &Workspace) -> Option<PathBuf> {
    Some(folder(workspace).join("bin").join("schemathesis")).filter(|program| program.is_file())
}

/// Fuzzes.
pub(super) fn run(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::Skipped("schemathesis is set up where bpy is".to_owned()));
    }
    let schemathesis = program(workspace).context("there is no schemathesis here: run the step setup first")?;
    let orchestrator = workspace.build_farm(Profile::Debug)?.orchestrator;
    let folder = workspace.target.join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let data_dir = folder.join("orchestrator");
    let token = token(&orchestrator, &data_dir)?;
    let address = farm::free_address()?;
    let arguments = farm::orchestrator_arguments(address, &data_dir, &workspace.demo_scene());
    let mut service = Service::start("the orchestrator", &orchestrator, &arguments, folder.join("orchestrator.log"))?;
    if farm::await_ready(&mut service, address)? == Start::PortTaken {
        bail!("another program took the port that was free before: try again");
    }
    let url = format!("http://{address}");
    make_jobs(&Client::new(&url, CALL).with_token(&token))?;
    let call = |flags: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new(&schemathesis);
        command.arg("--config-file").arg(workspace.root.join("xtask/fuzz/schemathesis.toml")).arg("run");
        command.arg(format!("{url}/api/v1/openapi.json")).args(["--seed", SEED, "--no-color"]).args(flags);
        command.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        println!("    {}", foreground::shown(&command).replace(&token, "…"));
        match foreground::status_within(&mut command, LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("an answer is not as described ({status}); the orchestrator's log is in {}", folder.display()),
            None => bail!("schemathesis was not done within {} s", LIMIT.as_secs()),
        }
    };
    call(&["--header", &format!("Authorization: Bearer {token}"), "--max-examples", EXAMPLES])?;
    // Those who show no token are let call ten times a second, and a hundred times before that counts.
    call(&["--phases", "fuzzing", "--max-examples", "3", "--rate-limit", "10/s"])?;
    service.check()?;
    drop(service);
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    Ok(Outcome::Passed)
}

/// A token for everything.
fn token(orchestrator: &Path, data_dir: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(orchestrator);
    without_settings(&mut command);
    command.args(["token", "create", "--name", "fuzz", "--role", "operate", "--data-dir"]).arg(data_dir);
    Ok(foreground::output(&mut command)?.trim().to_owned())
}

/// Jobs in several states, so that there is something to tell of.
fn make_jobs(client: &Client) -> anyhow::Result<()> {
    let job = || -> anyhow::Result<String> {
        let answer = client.post("/render", &json!({"from": 1, "to": 3}))?.expect_status(202)?.json()?;
        answer["jobId"].as_str().map(str::to_owned).context("a job without an id")
    };
    for command in ["pause", "cancel"] {
        client.post(&format!("/api/v1/jobs/{}/{command}", job()?), &Value::Null)?;
    }
    job().map(drop)
}
