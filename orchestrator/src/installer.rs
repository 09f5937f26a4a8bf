//! What makes an agent of a new machine: the script and the unit, which are parts of this program, and the agent's program, which
//! lies in a folder. There is no secret in any of it.

use std::path::PathBuf;

use axum::http::uri::Authority;

use crate::access::doors::Line;

/// The script, which does not know yet where it is served.
const SCRIPT: &str = include_str!("../../deploy/install.sh");
/// The line in which it is told.
const SERVED_BY: &str = "\nSERVED_BY=''\n";
/// The unit of the service.
const UNIT: &str = include_str!("../../deploy/systemd/haywain-agent.service");
/// What the unit is called.
const UNIT_FILE: &str = "haywain-agent.service";
/// How the programs are called: with what `uname -m` says at the end. One without is for this machine's own kind.
const PROGRAM: &str = "haywain-agent";
/// The processors that there may be programs for.
const PROCESSORS: [&str; 2] = ["x86_64", "aarch64"];

/// A file that the script asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// It is at hand.
    Text(&'static str),
    /// It is one of these, the first that there is.
    OneOf(Vec<PathBuf>),
}

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Installer {
    folders: Vec<PathBuf>,
    line: Line,
}

impl Installer {
    /// One that takes programs from `folder`, else from where packages and builds put them: beside this program, or in its
    /// `../share/haywain`. `line` is how it is reached.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, line: Line) -> Self {
        let beside = || {
            let program = std::env::current_exe().ok();
            let own = program.as_deref().and_then(|program| program.parent()).map(PathBuf::from);
            let shared = own.as_deref().and_then(|own| own.parent()).map(|prefix| prefix.join("share").join("haywain"));
            own.into_iter().chain(shared).collect()
        };
        Self { folders: folder.map_or_else(beside, |folder| vec![folder]), line }
    }

    /// The script, for somebody who has reached this orchestrator by that `Host`, and through a proxy by that protocol; `None` if no
    /// host is called so.
    #[must_use]
    pub fn script(&self, host: &str, forwarded: Option<&str>) -> Option<String> {
        let sealed = self.line == Line::Sealed || forwarded.is_some_and(|protocol| protocol == "https");
        let scheme = if sealed { "https" } else { "http" };
        let host = plain_host(host)?;
        Some(SCRIPT.replacen(SERVED_BY, &format!("\nSERVED_BY='{scheme}://{host}'\n"), 1))
    }

    /// The file of that name, if it is one that the script may ask for.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<File> {
        if name == UNIT_FILE {
            return Some(File::Text(UNIT));
        }
        let processor = name.strip_prefix(PROGRAM)?.strip_prefix('-')?;
        let processor = PROCESSORS.into_iter().find(|known| *known == processor)?;
        let own = (processor == std::env::consts::ARCH).then_some(PROGRAM);
        let names: Vec<_> = std::iter::once(name).chain(own).collect();
        let places = self.folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        Some(File::OneOf(places.collect()))
    }
}

/// A `Host` that can stand in a script between quotation marks: what every name and address is made of, and nothing else.
fn plain_host(host: &str) -> Option<Authority> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if !host.bytes().all(is_plain) {
        return None;
    }
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installer(line: Line) -> Installer {
        Installer::new(Some("/programs".into()), line)
    }

    fn served_by(script: &str) -> Vec<&str> {
        script.lines().filter(|line| line.starts_with("SERVED_BY=")).collect()
    }

    #[test]
    fn the_script_knows_where_it_comes_from() {
        for (line, host, forwarded, url) in [
            (Line::Plain, "render.example:4000", None, "http://render.example:4000"),
            (Line::Sealed, "render.example", None, "https://render.example"),
            (Line::Sealed, "[2001:db8::1]:4000", Some("http"), "https://[2001:db8::1]:4000"),
            (Line::Plain, "render.example", Some("https"), "https://render.example"),
            (Line::Plain, "render.example", Some("'; reboot; '"), "http://render.example"),
        ] {
            let script = installer(line).script(host, forwarded).unwrap();
            assert_eq!(served_by(&script), [format!("SERVED_BY='{url}'")], "{host} {forwarded:?}");
        }
        assert_eq!(served_by(SCRIPT), ["SERVED_BY=''"], "there is one place for it");
    }

    #[test]
    fn nobody_writes_into_the_script() {
        for host in ["", "a'b", "a b", "a\nb", "$(reboot)", "`reboot`", "a;b", "ann@b", "a/b", "\"", "\\", "é"] {
            assert_eq!(installer(Line::Plain).script(host, None), None, "{host:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_one_of_few_things() {
        let installer = installer(Line::Plain);
        assert_eq!(installer.file("haywain-agent.service"), Some(File::Text(UNIT)));
        for processor in PROCESSORS {
            let name = format!("haywain-agent-{processor}");
            let Some(File::OneOf(places)) = installer.file(&name) else { panic!("{name}") };
            let mut expected = vec![PathBuf::from("/programs").join(&name)];
            if processor == std::env::consts::ARCH {
                expected.push("/programs/haywain-agent".into());
            }
            assert_eq!(places, expected);
        }
        for name in ["", "haywain-agent", "haywain-agent-", "haywain-agent-mips", "haywain-agent-../x86_64", "token"] {
            assert_eq!(installer.file(name), None, "{name}");
        }
    }
}
