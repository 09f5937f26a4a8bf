//! The system's package manager. What is going to be run is said first; where it can't be run, it is said exactly what to
//! run instead.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::foreground;
use crate::programs;

/// What a package is called by each manager; none where the manager has no such thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    /// Debian, Ubuntu.
    pub(crate) apt: Option<&'static str>,
    /// Fedora.
    pub(crate) dnf: Option<&'static str>,
    /// Arch.
    pub(crate) pacman: Option<&'static str>,
    /// openSUSE.
    pub(crate) zypper: Option<&'static str>,
    /// macOS.
    pub(crate) brew: Option<&'static str>,
    /// Windows.
    pub(crate) winget: Option<&'static str>,
}

impl Package {
    /// A package that only Debian's family splits off.
    pub(crate) const fn debian(name: &'static str) -> Self {
        Self { apt: Some(name), dnf: None, pacman: None, zypper: None, brew: None, winget: None }
    }
}

/// A package manager: its commands, to which the names of packages are added.
#[derive(Debug)]
struct Manager {
    /// The program by which it is known to be there.
    program: &'static str,
    /// Brings its lists up to date, where it must be told to.
    refresh: Option<&'static str>,
    /// Installs without asking.
    install: &'static str,
    /// Who may run it.
    by: Right,
    /// What it calls a package.
    name: fn(&Package) -> Option<&'static str>,
}

/// Who may install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// The administrator.
    Root,
    /// Every user, for themselves.
    Anyone,
}

/// How a command gets the right that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// It has it.
    Directly,
    /// By sudo, which asks for no password here.
    Sudo,
    /// Not at all: a person has to type it.
    ByHand,
}

const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        refresh: Some("apt-get update"),
        install: "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends",
        by: Right::Root,
        name: |package| package.apt,
    },
    Manager { program: "dnf", refresh: None, install: "dnf install -y", by: Right::Root, name: |package| package.dnf },
    Manager {
        program: "pacman",
        refresh: None,
        install: "pacman -Sy --noconfirm --needed",
        by: Right::Root,
        name: |package| package.pacman,
    },
    Manager {
        program: "zypper",
        refresh: None,
        install: "zypper --non-interactive install",
        by: Right::Root,
        name: |package| package.zypper,
    },
    Manager {
        program: "brew",
        refresh: None,
        install: "brew install",
        by: Right::Anyone,
        name: |package| package.brew,
    },
    Manager {
        program: "winget",
        refresh: None,
        install: "winget install --accept-package-agreements --accept-source-agreements --exact --id",
        by: Right::Anyone,
        name: |package| package.winget,
    },
];

/// Installs packages, or says what a person has to run.
pub(crate) fn install(packages: &[Package]) -> anyhow::Result<()> {
    let Some(manager) = MANAGERS.iter().find(|manager| programs::on_path(manager.program).is_some()) else {
        let known: Vec<_> = MANAGERS.iter().map(|manager| manager.program).collect();
        bail!("there is no package manager here that is known ({})", known.join(", "));
    };
    let means = match manager.by {
        Right::Anyone => Means::Directly,
        Right::Root => means_of_root()?,
    };
    let commands = commands(manager, packages, means)?;
    let listed = commands.iter().map(|words| format!("    {}", words.join(" "))).collect::<Vec<_>>().join("\n");
    if means == Means::ByHand {
        bail!("only root may install packages, and `sudo -n` does not work here. Run this, then try again:\n{listed}");
    }
    println!("    It will be installed by\n{listed}");
    for words in &commands {
        let (program, arguments) = words.split_first().context("an empty command")?;
        foreground::run_on_the_terminal(Command::new(program).args(arguments))
            .with_context(|| format!("installing by {}; what it says is above", manager.program))?;
    }
    Ok(())
}

/// The commands that install `packages`, word by word.
fn commands(manager: &Manager, packages: &[Package], means: Means) -> anyhow::Result<Vec<Vec<String>>> {
    let mut names = Vec::new();
    for package in packages {
        names.push((manager.name)(package).with_context(|| {
            format!("{} has no package that is known for it: {package:?}. Install it by hand", manager.program)
        })?);
    }
    let install = format!("{} {}", manager.install, names.join(" "));
    let prefix = match means {
        Means::Directly => "",
        Means::Sudo => "sudo -n ",
        Means::ByHand => "sudo ",
    };
    let all = manager.refresh.map(str::to_owned).into_iter().chain([install]);
    Ok(all.map(|command| format!("{prefix}{command}").split(' ').map(str::to_owned).collect()).collect())
}

fn means_of_root() -> anyhow::Result<Means> {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output().context("running `id -u`")?;
    if id.stdout.trim_ascii() == b"0" {
        return Ok(Means::Directly);
    }
    let sudo = foreground::succeeds(Command::new("sudo").args(["-n", "true"]))?;
    Ok(if sudo { Means::Sudo } else { Means::ByHand })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYWHERE: Package = Package {
        apt: Some("b"),
        dnf: Some("b"),
        pacman: Some("b"),
        zypper: Some("b"),
        brew: Some("--cask b"),
        winget: Some("A.B"),
    };

    fn typed(program: &str, packages: &[Package], means: Means) -> Vec<String> {
        let manager = MANAGERS.iter().find(|manager| manager.program == program).unwrap();
        commands(manager, packages, means).unwrap().into_iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn each_manager_is_told_in_its_own_words() {
        let both = [EVERYWHERE, Package::debian("c")];
        assert_eq!(
            typed("apt-get", &both, Means::Directly),
            ["apt-get update", "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends b c"]
        );
        assert_eq!(typed("apt-get", &[EVERYWHERE], Means::Sudo)[0], "sudo -n apt-get update");
        assert_eq!(typed("dnf", &[EVERYWHERE], Means::ByHand), ["sudo dnf install -y b"]);
        assert_eq!(typed("brew", &[EVERYWHERE], Means::Directly), ["brew install --cask b"]);
        assert!(typed("winget", &[EVERYWHERE], Means::Directly)[0].ends_with(" --exact --id A.B"));
    }

    #[test]
    fn a_package_that_a_manager_does_not_have_is_an_error() {
        assert!(commands(&MANAGERS[1], &[Package::debian("python3-venv")], Means::Directly).is_err());
    }
}
