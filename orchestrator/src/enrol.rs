//! `haywain-orchestrator enrol`: a token for a new machine, and the line to paste there, which makes an agent of it.
//!
//! The token goes into the line as an assignment that the shell's own `echo` writes before the script: so it is never a program's
//! argument or variable, which others on the machine could read (`sudo HAYWAIN_TOKEN=… sh` would show it to everybody). What a shell's
//! history keeps of it is good for one machine and one day unless somebody says otherwise.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use haywain_shared::ids::TokenId;
use haywain_shared::span::Span;
use haywain_shared::token::{Role, Token};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::access::doors::Line;
use crate::config::Settings;
use crate::store::Admissions as _;
use crate::tokens::{Wanted, make, must_be_there, open_queue};

/// What is to be known of a new machine.
#[derive(Debug, Args)]
pub struct NewMachine {
    /// What people call the token: the machine, or the room [default: one that is drawn]
    #[arg(long)]
    name: Option<String>,
    /// For how long the line is good, for example 30d
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    expires: Span,
    /// On how many machines it is
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// How machines reach this orchestrator, for example <https://render.example> [default: by the address that it listens on, or
    /// this machine's name]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The authority of the orchestrator's certificate, as a PEM file, if it is your own: it goes into the line
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Does it.
pub async fn run(machine: NewMachine, settings: &Settings, data_dir: &Path) -> anyhow::Result<()> {
    let NewMachine { name, expires, uses, url, ca } = machine;
    let line = if settings.tls_cert.is_some() { Line::Sealed } else { Line::Plain };
    let url = match url {
        Some(url) => as_others_write_it(&url)?,
        None => url_of(settings.listen, line, &gethostname::gethostname().to_string_lossy()),
    };
    let authority = ca.as_deref().map(read_authority).transpose()?;
    must_be_there(data_dir)?;
    let tasks = TaskTracker::new();
    let store = open_queue(data_dir, &tasks).await?;
    if store.token_changes().await? == 0 {
        bail!(
            "there is no token yet, and from the first one on everybody is asked for one, you too: make yours first, with \
             `haywain-orchestrator token create --name me --role operate`"
        );
    }
    let name = name.unwrap_or_else(|| format!("enrol-{}", &TokenId::generate().to_string()[28..]));
    let wanted = Wanted { name: name.clone(), role: Role::Enrol, expires: Some(expires), uses: Some(uses) };
    let (id, token) = make(&store, wanted).await?;
    drop(store);
    tasks.close();
    tasks.wait().await;
    let machines = if uses == 1 { "one machine".to_owned() } else { format!("{uses} machines") };
    eprintln!(
        "Paste this line on the new machine. Its token ({name:?}, {id}) is good for {machines}, and is shown this once:"
    );
    println!("{}", to_paste(&url, &token, authority.as_deref()));
    if is_here_only(&url) {
        eprintln!("No other machine reaches {url}: say --url with the address that machines reach it by.");
    }
    Ok(())
}

/// By what address this orchestrator is likely to be reached: the one it listens on or, where that is all of them, this machine's name.
fn url_of(listen: SocketAddr, line: Line, machine: &str) -> String {
    let scheme = if line == Line::Sealed { "https" } else { "http" };
    let host = match listen.ip() {
        ip if ip.is_unspecified() => machine.to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("{scheme}://{host}:{}", listen.port())
}

/// A URL that can stand between quotation marks, and to which a path can be added.
fn as_others_write_it(url: &Url) -> anyhow::Result<String> {
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let text = url.as_str().trim_end_matches('/');
    let has_quotes = text.contains(|c: char| !c.is_ascii_alphanumeric() && !"-._:/[]".contains(c));
    if !is_plain || has_quotes {
        bail!("--url is an http or https address with nothing behind it, such as https://render.example:4000");
    }
    Ok(text.to_owned())
}

/// Whether only this machine reaches it.
fn is_here_only(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    crate::access::doors::names_this_machine(&host)
}

/// An authority's certificates, which are no secret, line by line: what is around them is left out.
fn read_authority(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("--ca {}", file.display()))?;
    certificates(&text).with_context(|| format!("--ca {} has no certificate in PEM", file.display()))
}

fn certificates(text: &str) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        if inside {
            // Nothing that would end a quotation.
            let is_plain = line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=- ".contains(&byte));
            is_plain.then(|| lines.push(line.to_owned()))?;
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    (!lines.is_empty() && !inside).then_some(lines)
}

/// The line. Who is root already need not have sudo.
fn to_paste(url: &str, token: &Token, authority: Option<&[String]>) -> String {
    let assignment = format!("echo 'HAYWAIN_TOKEN={}'", token.reveal());
    // By which of many names and protocols machines reach it, the orchestrator may not see: a proxy need not tell.
    let arguments = format!("--orchestrator '{url}'");
    let Some(authority) = authority else {
        let script = format!("curl -fsS '{url}/install' || wget -qO- '{url}/install'");
        return format!("{{ {assignment}; {script}; }} | $(command -v sudo) sh -s -- {arguments}");
    };
    let certificates: Vec<_> = authority.iter().map(|line| format!("'{line}'")).collect();
    // In a shell of its own, which removes the file and ends as the script does.
    format!(
        "(ca=$(mktemp) && trap 'rm -f \"$ca\"' EXIT && printf '%s\\n' {} >\"$ca\" && {{ {assignment}; \
         curl -fsS --cacert \"$ca\" '{url}/install' || wget -qO- --ca-certificate=\"$ca\" '{url}/install'; }} \
         | $(command -v sudo) sh -s -- {arguments} --ca \"$ca\")",
        certificates.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_guessed_from_where_it_listens() {
        for (listen, line, url) in [
            ("127.0.0.1:4000", Line::Plain, "http://127.0.0.1:4000"),
            ("0.0.0.0:4000", Line::Sealed, "https://rack:4000"),
            ("[::]:443", Line::Sealed, "https://rack:443"),
            ("192.168.1.7:4000", Line::Plain, "http://192.168.1.7:4000"),
            ("[2001:db8::7]:4000", Line::Plain, "http://[2001:db8::7]:4000"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap(), line, "rack"), url);
        }
        assert!(
            is_here_only("http://127.0.0.1:4000")
                && is_here_only("https://localhost")
                && !is_here_only("http://rack:4000")
        );
    }

    #[test]
    fn a_url_that_would_end_a_quotation_is_refused() {
        for (given, taken) in [
            ("https://render.example", Some("https://render.example")),
            ("https://render.example:4000/", Some("https://render.example:4000")),
            ("http://[::1]:4000", Some("http://[::1]:4000")),
            ("ftp://render.example", None),
            ("https://render.example/farm", None),
            ("https://ann:secret@render.example", None),
            ("https://render.example/?a=b", None),
            ("https://render.example/#a", None),
            ("https://a'b.example", None),
        ] {
            let url = Url::parse(given);
            let written = url.ok().and_then(|url| as_others_write_it(&url).ok());
            assert_eq!(written.as_deref(), taken, "{given}");
        }
    }

    #[test]
    fn certificates_are_told_from_what_is_around_them() {
        let one = "-----BEGIN CERTIFICATE-----\nMIIB+/8=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
        let lines: Vec<_> = one.lines().map(str::to_owned).collect();
        assert_eq!(certificates(&format!("subject: it's me\n{one}{key}")), Some(lines.clone()));
        assert_eq!(certificates(&format!("{one}{one}")), Some([&lines[..], &lines].concat()));
        for text in ["", key, "-----BEGIN CERTIFICATE-----\nMIIB\n", &one.replace("MIIB", "MI';reboot;'")] {
            assert_eq!(certificates(text), None, "{text}");
        }
    }
}
