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
/// What an agent shows that no system's randomness has made, and its digest.
const AGENT: &str = "haywain_agent_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const AGENT_SHA256: &str = "87ac04c63d015913234fded38dac0ed00e3201863f52b6cd8155476929c33172";
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
    let owner = token(&orchestrator, &data_dir, "operate")?;
    let newcomer = token(&orchestrator, &data_dir, "enrol")?;
    let address = farm::free_address()?;
    let arguments = farm::orchestrator_arguments(address, &data_dir, &workspace.demo_scene());
    let mut service = Service::start("the orchestrator", &orchestrator, &arguments, folder.join("orchestrator.log"))?;
    if farm::await_ready(&mut service, address)? == Start::PortTaken {
        bail!("another program took the port that was free before: try again");
    }
    let url = format!("http://{address}");
    let client = |token: &str| Client::new(&url, CALL).with_token(token);
    let things = make_things(&client(&owner), &client(&newcomer), &client(AGENT))?;

    let settings = std::fs::read_to_string(workspace.root.join("xtask/fuzz/schemathesis.toml"))
        .context("reading xtask/fuzz/schemathesis.toml")?;
    let rows = things.iter().map(|(name, id)| format!("\"path.{name}\" = \"{id}\"")).collect::<Vec<_>>().join("\n");
    let (anything, there) = (folder.join("anything.toml"), folder.join("there.toml"));
    std::fs::write(&anything, &settings)
        .and_then(|()| std::fs::write(&there, format!("{settings}\n[parameters]\n{rows}")))
        .with_context(|| format!("writing to {}", folder.display()))?;
    let call = |settings: &Path, flags: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new(&schemathesis);
        command.arg("--config-file").arg(settings).arg("run").arg(format!("{url}/api/v1/openapi.json"));
        command.args(["--seed", SEED, "--no-color", "--warnings", "off"]).args(flags);
        command.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        println!("    {}", foreground::shown(&command).replace(&owner, "…"));
        match foreground::status_within(&mut command, LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                bail!("an answer is not as described ({status}); the orchestrator's log is in {}", folder.display())
            }
            None => bail!("schemathesis was not done within {} s", LIMIT.as_secs()),
        }
    };
    let header = format!("Authorization: Bearer {owner}");
    call(&anything, &["--header", &header, "--max-examples", EXAMPLES])?;
    // About what is there. Nothing is deleted, or there would soon be nothing.
    call(
        &there,
        &[
            "--header",
            &header,
            "--max-examples",
            EXAMPLES,
            "--phases",
            "coverage,fuzzing",
            "--exclude-method",
            "DELETE",
        ],
    )?;
    // Those who show no token are let call ten times a second, once they have called a hundred times.
    call(&anything, &["--phases", "fuzzing", "--max-examples", "3", "--rate-limit", "10/s"])?;
    service.check()?;
    drop(service);
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    Ok(Outcome::Passed)
}

/// A token with a role.
fn token(orchestrator: &Path, data_dir: &Path, role: &str) -> anyhow::Result<String> {
    let mut command = Command::new(orchestrator);
    without_settings(&mut command);
    command.args(["token", "create", "--name", role, "--role", role, "--data-dir"]).arg(data_dir);
    Ok(foreground::output(&mut command)?.trim().to_owned())
}

/// What is there to be called about: its ids by the names of the parameters.
fn make_things(owner: &Client, newcomer: &Client, agent: &Client) -> anyhow::Result<[(&'static str, String); 4]> {
    let job = |body: &Value| -> anyhow::Result<String> {
        let answer = owner.post("/render", body)?.expect_status(202)?.json()?;
        answer["jobId"].as_str().map(str::to_owned).context("a job without an id")
    };
    // Neither is anybody's: they only have to be of the right form.
    let (agent_id, request_id) = ("0198c0de-0000-7000-8000-00000000000a", "0198c0de-0000-7000-8000-00000000000b");
    let introduction = json!({
        "agentId": agent_id, "incarnation": 1, "name": "fuzz", "slots": 1, "tokenSha256": AGENT_SHA256,
        "machine": {"os": "none", "arch": "none", "logicalCores": 1, "memoryBytes": 1_u64 << 34},
        "blenders": [{"version": "9.9.0", "kind": "program"}],
    });
    newcomer.post("/api/v1/agent/register", &introduction)?.expect_status(200)?;
    // One that has failed: its answer is the 500 that is described.
    let failed = job(&json!({"from": 1, "to": 1, "maxAttempts": 1}))?;
    let ask =
        json!({"agentId": agent_id, "incarnation": 1, "requestId": request_id, "memoryAvailableBytes": 1_u64 << 33});
    let grant = agent.post("/api/v1/agent/lease", &ask)?.expect_status(200)?.json()?;
    let lease = grant["leaseId"].as_str().context("no lease")?;
    let failure = json!({"frame": 1, "cause": "crashed", "message": "it died", "logTail": "", "peakMemoryBytes": null});
    agent.post(&format!("/api/v1/agent/leases/{lease}/failures"), &failure)?.expect_status(204)?;
    owner.get(&format!("/status/{failed}"))?.expect_status(500)?;
    for command in ["pause", "cancel"] {
        let other = job(&json!({"from": 1, "to": 3}))?;
        owner.post(&format!("/api/v1/jobs/{other}/{command}"), &Value::Null)?.expect_status(200)?;
    }
    let scenes = owner.get_json("/api/v1/scenes")?;
    let scene = scenes["scenes"][0]["sceneId"].as_str().context("no scene")?.to_owned();
    let report = owner.get_json(&format!("/api/v1/scenes/{scene}"))?;
    let blob = report["manifest"]["files"][0]["sha256"].as_str().context("a scene without a file")?.to_owned();
    Ok([("job", failed), ("agent", agent_id.to_owned()), ("scene", scene), ("blob", blob)])
}
