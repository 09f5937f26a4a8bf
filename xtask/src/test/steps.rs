//! The steps: what each is called, and the commands that it consists of.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use super::{bpy, deploy, fuzz, nat, setup, tools};
use crate::foreground;
use crate::service::without_settings;
use crate::workspace::Workspace;
use crate::{blender, interrupt};

/// How long the database of advisories may take to arrive.
const DATABASE: Duration = Duration::from_mins(1);
/// The oldest Python that reads the driver is that of Blender 3.4.
const PARSE: &str = "import ast, sys
for name in sys.argv[1:]:
    with open(name, encoding='utf-8') as file:
        ast.parse(file.read(), name, feature_version=(3, 10))";

/// A step of the test.
pub(super) struct Step {
    /// What it is called.
    pub(super) name: StepName,
    /// What it does, for people.
    pub(super) what: &'static str,
    /// Does it.
    pub(super) run: fn(&Workspace) -> anyhow::Result<Outcome>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is well.
    Passed,
    /// It could not be done here, for this reason.
    Skipped(String),
    /// No step returns it: it is what becomes of an error.
    Failed,
}

impl Outcome {
    /// The outcome in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "SKIPPED",
            Self::Failed => "FAILED",
        }
    }
}

/// What steps are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StepName {
    /// Installs what the other steps call
    Setup,
    /// Formatting
    Fmt,
    /// Lints
    Clippy,
    /// Licences, duplicates and sources of dependencies
    Policy,
    /// Known faults of dependencies
    Advisories,
    /// Documentation
    Doc,
    /// The syntax of Python files, and their rules
    Python,
    /// How exposed the units leave their programs, and the scripts
    Deploy,
    /// Everything compiles
    Build,
    /// Unit, contract and end-to-end tests
    Test,
    /// Calls by the orchestrator's own description
    Fuzz,
    /// A farm across the internet, behind a router that hides its agents
    Nat,
    /// A farm among faults
    Chaos,
}

impl std::fmt::Display for StepName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// All steps, in their order: the quickest to fail first, and those first on which others depend.
pub(super) const STEPS: [Step; 13] = [
    Step { name: StepName::Setup, what: "what the tests need on this machine", run: setup::ensure },
    Step { name: StepName::Fmt, what: "cargo fmt", run: fmt },
    Step { name: StepName::Clippy, what: "cargo clippy, warnings are errors", run: clippy },
    Step { name: StepName::Policy, what: "licences, duplicates and sources of dependencies", run: policy },
    Step { name: StepName::Advisories, what: "known faults of dependencies", run: advisories },
    Step { name: StepName::Doc, what: "cargo doc, warnings are errors", run: doc },
    Step { name: StepName::Python, what: "the syntax of Python files, and their rules", run: python },
    Step { name: StepName::Deploy, what: "units and scripts of deploy/", run: deploy::run },
    Step { name: StepName::Build, what: "cargo build", run: build },
    Step { name: StepName::Test, what: "cargo test, with Blender and bpy", run: test },
    Step { name: StepName::Fuzz, what: "schemathesis, with a token and without", run: fuzz::run },
    Step { name: StepName::Nat, what: "agents behind a NAT, in network namespaces", run: nat::test },
    Step { name: StepName::Chaos, what: "half a minute of faults", run: chaos },
];

fn fmt(workspace: &Workspace) -> anyhow::Result<Outcome> {
    passes(workspace.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> anyhow::Result<Outcome> {
    // `--all-targets` leaves out those that a plain `cargo test` does.
    passes(workspace.cargo().args(["clippy", "--package", "haywain-agent", "--test", "nat", "--", "-D", "warnings"]))?;
    passes(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn policy(workspace: &Workspace) -> anyhow::Result<Outcome> {
    passes(tools::cargo_deny(workspace)?.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

/// An advisory is a failure. A database that cannot be had is none, but is not passed over in silence.
fn advisories(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let fetched = foreground::status_within(tools::cargo_deny(workspace)?.args(["fetch", "db"]), DATABASE)?;
    let reason = match fetched {
        Some(status) if status.success() => {
            return passes(tools::cargo_deny(workspace)?.args(["--offline", "check", "advisories"]));
        }
        Some(status) => format!("no access to the database: `cargo deny fetch db` failed, {status}"),
        None => format!("no access to the database within {} s", DATABASE.as_secs()),
    };
    println!("SKIPPED: advisories ({reason})");
    Ok(Outcome::Skipped(reason))
}

fn doc(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut command = workspace.cargo();
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D warnings");
    passes(&mut command)
}

fn python(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut files = Vec::new();
    for folder in ["agent", "client", "deploy", "shared", "xtask"] {
        tools::files_ending(&workspace.root.join(folder), "py", &mut files)?;
    }
    passes(Command::new(bpy::interpreter(workspace)?).args(["-c", PARSE]).args(files))?;
    // The rules of the driver that need no Blender.
    let tests = workspace.root.join("agent/tests/driver");
    passes(
        Command::new(bpy::interpreter(workspace)?).args(["-m", "unittest", "discover", "--start-directory"]).arg(tests),
    )
}

fn build(workspace: &Workspace) -> anyhow::Result<Outcome> {
    passes(workspace.cargo().args(["build", "--workspace"]))
}

fn test(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace"]);
    with_blenders(workspace, &mut command)?;
    passes(&mut command)
}

/// Has a command test with the Blenders of this machine. A developer's own settings are not those of the tests; where Blender
/// and `bpy` are is told to them by two variables.
pub(super) fn with_blenders(workspace: &Workspace, command: &mut Command) -> anyhow::Result<()> {
    let blender = blender::find().context("there is no Blender here: run the step setup first")?;
    without_settings(command);
    command.env("HAYWAIN_TEST_BLENDER", std::path::absolute(blender)?);
    if let Some(python) = bpy::python(workspace) {
        command.env("HAYWAIN_TEST_BPY", std::path::absolute(python)?);
    } else {
        bpy::must_it_be_there().context("run the step setup first")?;
    }
    Ok(())
}

fn chaos(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !cfg!(unix) {
        return Ok(Outcome::Skipped("this system has no signals".to_owned()));
    }
    crate::chaos::briefly(workspace)?;
    Ok(Outcome::Passed)
}

/// Runs a command that fails if something is amiss.
pub(super) fn passes(command: &mut Command) -> anyhow::Result<Outcome> {
    interrupt::check()?;
    println!("    {}", foreground::shown(command));
    foreground::run(command)?;
    Ok(Outcome::Passed)
}
