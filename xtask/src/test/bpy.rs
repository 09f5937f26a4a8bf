//! Blender 5.0 as a Python module, in a virtual environment of its own below the target folder: made once, used by every
//! later run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::tools;
use crate::foreground;
use crate::interrupt;
use crate::packages::{self, Package};
use crate::programs;
use crate::workspace::Workspace;

/// The version of the module.
const BPY: &str = "5.0.1";
/// The only Python that this version is made for.
const PYTHON: &str = "3.11";
/// Debian's package of that Python's `venv`; it brings the Python with it.
const VENV_PACKAGE: Package = Package::debian("python3.11-venv");
/// The libraries that the module is linked to and does not bring.
const LIBRARIES: [Package; 9] = [
    Package::debian("libgl1"),
    Package::debian("libice6"),
    Package::debian("libsm6"),
    Package::debian("libx11-6"),
    Package::debian("libxext6"),
    Package::debian("libxfixes3"),
    Package::debian("libxi6"),
    Package::debian("libxkbcommon0"),
    Package::debian("libxrender1"),
];

/// The Python that has the module, if it is there.
pub(super) fn python(workspace: &Workspace) -> Option<PathBuf> {
    let folder = folder(workspace);
    // pip writes this file last: what it was interrupted at does not count.
    let is_whole = site_packages(&folder).join(format!("bpy-{BPY}.dist-info")).join("INSTALLER").is_file();
    is_whole.then(|| python_of(&folder))
}

/// The Python that has the module. It is installed if it is not there.
pub(super) fn ensure(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if python(workspace).is_none() {
        create(&folder(workspace))?;
    }
    let python = python(workspace).context("pip has installed bpy, and it is not where it should be")?;
    if let Err(reason) = import(&python)? {
        if !reason.contains(".so") {
            bail!("`import bpy` fails in {}: {reason}", python.display());
        }
        println!("    bpy lacks a library of the system: {reason}");
        packages::install(&LIBRARIES)?;
        import(&python)?.map_err(anyhow::Error::msg).context("`import bpy` still fails")?;
    }
    Ok(python)
}

/// A Python to check files with: the module's, else any.
pub(super) fn interpreter(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let found = python(workspace).or_else(|| programs::on_path("python3")).or_else(|| programs::on_path("python"));
    found.context("there is no Python here: run the step setup first")
}

/// Fails where the tests with the module are part of the promise.
pub(super) fn must_it_be_there() -> anyhow::Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the tests with bpy {BPY} are not left out on this platform");
    }
    Ok(())
}

fn folder(workspace: &Workspace) -> PathBuf {
    tools::folder(workspace).join("bpy-5.0")
}

fn python_of(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts").join("python.exe") } else { venv.join("bin").join("python") }
}

fn site_packages(venv: &Path) -> PathBuf {
    if cfg!(windows) {
        venv.join("Lib").join("site-packages")
    } else {
        venv.join("lib").join(format!("python{PYTHON}")).join("site-packages")
    }
}

fn create(venv: &Path) -> anyhow::Result<()> {
    if venv.exists() {
        std::fs::remove_dir_all(venv).with_context(|| format!("removing {}, which is not whole", venv.display()))?;
    }
    let base = base_python()?;
    let mut make = Command::new(&base);
    make.args(["-m", "venv"]).arg(venv);
    let mut install = Command::new(python_of(venv));
    install.args(["-m", "pip", "install", "--disable-pip-version-check", &format!("bpy=={BPY}")]);
    println!("    There is no bpy {BPY}; it will be installed by");
    for command in [&mut make, &mut install] {
        println!("    {}", foreground::shown(command));
        foreground::run(command).with_context(|| {
            format!(
                "bpy {BPY} takes about 1 GB in {} and comes from PyPI: is there space, and a network?",
                venv.display()
            )
        })?;
    }
    Ok(())
}

/// A Python of the right version that can make virtual environments.
fn base_python() -> anyhow::Result<PathBuf> {
    if let Some(python) = find_base_python()? {
        return Ok(python);
    }
    println!("    There is no Python {PYTHON} with the modules venv and ensurepip.");
    let advice = format!(
        "bpy {BPY} needs Python {PYTHON}: install it with its venv module (Debian 12: apt-get install python3.11-venv; \
         elsewhere: uv python install {PYTHON}, or pyenv install {PYTHON}), so that `python{PYTHON}` is on PATH"
    );
    packages::install(&[VENV_PACKAGE]).with_context(|| advice.clone())?;
    find_base_python()?.context(advice)
}

fn find_base_python() -> anyhow::Result<Option<PathBuf>> {
    let suits = format!("import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{PYTHON}')");
    let on_path = ["python3.11", "python3", "python"].into_iter().filter_map(programs::on_path);
    // The system's own, behind one that somebody has put before it.
    let systems = ["/usr/bin/python3.11", "/usr/bin/python3"].map(PathBuf::from);
    for python in on_path.chain(systems).filter(|python| python.is_file()) {
        if foreground::succeeds(Command::new(&python).args(["-c", &suits]))? {
            return Ok(Some(python));
        }
    }
    Ok(None)
}

/// Imports the module: the inner error is what Python said.
fn import(python: &Path) -> anyhow::Result<Result<(), String>> {
    interrupt::check()?;
    let output = Command::new(python)
        .args(["-c", "import bpy"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", python.display()))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(Err(format!("{last} ({})", output.status)))
}
