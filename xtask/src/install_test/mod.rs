//! `cargo xtask install-test`: from nothing to a registered agent by one pasted line, on a bare Debian with systemd in namespaces, and
//! back to nothing. The service is the real one, in its hardened unit, with real Blender, and reaches the orchestrator by TLS under an
//! authority that the line brings along.

mod authority;
mod machine;
mod root;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use self::authority::Authority;
use self::machine::Machine;
use crate::farm::{Start, await_ready, free_address, orchestrator_arguments};
use crate::service::{Service, without_settings};
use crate::workspace::{FarmPrograms, Profile, Workspace};
use crate::{foreground, interrupt};

/// How long a frame of the demo scene may take.
const FRAME: Duration = Duration::from_mins(5);
/// How often it is looked whether it is done.
const GLANCE: Duration = Duration::from_millis(200);
/// All files of the machine that stay when it is switched off, with what can be told of them, and what is in those that are settings.
/// systemd's own notes are left out, which it writes whenever it likes, and what useradd and userdel keep of the accounts as they were before
/// their last change (`/etc/passwd-`).
const FILES: &str = "find / -xdev '(' -path /tmp -o -path /var/lib/systemd ')' -prune -o -printf '%p %y %m %u %g %l\\n' | sort; \
    find /etc -type f ! -name 'passwd-' ! -name 'shadow-' ! -name 'group-' ! -name 'gshadow-' -exec sha256sum {} + | sort";

/// What the test can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Keep the folder of the machine and the orchestrator
    #[arg(long)]
    keep: bool,
}

/// Runs the test.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") || foreground::output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("this makes a machine out of namespaces, which takes root on Linux");
    }
    let workspace = Workspace::find()?;
    let bare = root::ensure(&workspace)?;
    let programs = workspace.build_farm(Profile::Debug)?;
    let folder = workspace.target.join("install-test").join(format!("run-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let outcome = from_nothing_to_nothing(&programs, &workspace.demo_scene(), &bare, &folder);
    if !flags.keep {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    outcome
}

fn from_nothing_to_nothing(programs: &FarmPrograms, scene: &Path, bare: &Path, folder: &Path) -> anyhow::Result<()> {
    println!("==> A bare machine boots");
    let machine = Machine::boot(bare, &folder.join("machine"))?;
    let authority = Authority::make(&machine, folder)?;
    let data = folder.join("orchestrator");
    let token = |arguments: &[&str]| {
        let mut command = Command::new(&programs.orchestrator);
        command.args(arguments).arg("--data-dir").arg(&data);
        without_settings(&mut command);
        foreground::output(&mut command).map(|said| said.trim_end().to_owned())
    };
    let operate = token(&["token", "create", "--name", "me", "--role", "operate"])?;
    let address = free_address()?;
    let mut arguments = orchestrator_arguments(address, &data, scene).to_vec();
    arguments.extend(["--tls-cert".into(), authority.cert.into(), "--tls-key".into(), authority.key.into()]);
    let log = folder.join("orchestrator.log");
    let mut orchestrator = Service::start("the orchestrator", &programs.orchestrator, &arguments, log)?;
    if await_ready(&mut orchestrator, address)? != Start::Ready {
        bail!("another program took the port that was free before: try again");
    }
    let url = format!("https://{address}");
    let ca = authority.ca.to_string_lossy();
    let line = token(&["enrol", "--name", "bare", "--url", &url, "--ca", &ca])?;
    let caller = Caller::on(&machine, &url, &operate)?;

    let before = machine.output(FILES)?;
    println!("==> The line is pasted: one to {url}, whose authority nobody knows");
    let pasted = Instant::now();
    // Careful administrators' root makes files that nobody else can read.
    machine.paste(&format!("umask 077; {line}"), &secret_of(&line)?)?;
    println!("==> registered {:.1} s after that", pasted.elapsed().as_secs_f64());
    let agents = caller.ask("/api/v1/agents")?;
    println!("    {} agent", agents["agents"].as_array().map_or(0, Vec::len));
    // It goes by its own token from now on.
    machine.run("test ! -e /etc/haywain/enrolment && test -s /var/lib/haywain-agent/token")?;
    render(&caller)?;
    let process = "systemctl show --property MainPID haywain-agent";
    let first = machine.output(process)?;
    println!("==> The line is pasted again");
    machine.paste(&line, &secret_of(&line)?)?;
    if machine.output(process)? != first {
        bail!("the agent was started anew though nothing had changed");
    }
    machine.run("systemctl --no-pager status haywain-agent; haywain-agent --config /etc/haywain/agent.toml status")?;
    println!("==> It is removed");
    let installer = format!("curl -fsS --cacert /etc/haywain/ca.pem {url}/install");
    machine.paste(&format!("{installer} | sh -s -- --uninstall --yes"), &operate)?;
    must_be_the_same(&before, &machine.output(FILES)?)
}

/// Calls the orchestrator from the machine, by its curl.
struct Caller<'a> {
    machine: &'a Machine,
    url: &'a str,
}

impl<'a> Caller<'a> {
    /// The file with the token, in a folder that is in the machine's memory only.
    const HEADER: &'static str = "/tmp/authorization";

    fn on(machine: &'a Machine, url: &'a str, token: &str) -> anyhow::Result<Self> {
        machine.paste(&format!("printf 'Authorization: Bearer %s' '{token}' >{}", Self::HEADER), token)?;
        Ok(Self { machine, url })
    }

    fn call(&self, path: &str, flags: &str) -> anyhow::Result<Value> {
        let Self { machine, url } = self;
        let (ca, header) = (Authority::ON_MACHINE, Self::HEADER);
        let said = machine.output(&format!("curl -fsS --cacert {ca} -H @{header} {flags} '{url}{path}'"))?;
        serde_json::from_str(&said).with_context(|| format!("{path} has answered no JSON: {said}"))
    }

    fn ask(&self, path: &str) -> anyhow::Result<Value> {
        self.call(path, "-H 'Accept: application/json'")
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(path, &format!("-H 'Content-Type: application/json' -d '{body}'"))
    }
}

/// The token in a line to paste.
fn secret_of(line: &str) -> anyhow::Result<String> {
    let token = line.split_once("HAYWAIN_TOKEN=").and_then(|(_, rest)| rest.split_once('\''));
    Ok(token.context("there is no token in the line")?.0.to_owned())
}

/// Has the agent render a frame.
fn render(caller: &Caller<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let answer = caller.post("/render", &json!({ "from": 1, "to": 1, "samples": 1, "resolutionPercent": 10 }))?;
    let job = answer["jobId"].as_str().context("the orchestrator has named no job")?;
    loop {
        let report = caller.ask(&format!("/status/{job}"))?;
        match report["state"].as_str() {
            Some("completed") => break,
            _ if begun.elapsed() > FRAME => bail!("no frame after {} s: {report}", FRAME.as_secs()),
            // One that has failed is no answer that curl takes.
            _ => interrupt::pause(GLANCE)?,
        }
    }
    println!("==> a frame is rendered by the service, {:.1} s after it was asked for", begun.elapsed().as_secs_f64());
    Ok(())
}

fn must_be_the_same(before: &str, after: &str) -> anyhow::Result<()> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (before, after) = (lines(before), lines(after));
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let left: Vec<_> = gone.chain(after.difference(&before).map(|line| format!("+ {line}"))).collect();
    if !left.is_empty() {
        bail!("the machine is not as it was:\n{}", left.join("\n"));
    }
    println!("==> nothing is left: {} files and settings are as they were", before.len());
    Ok(())
}
