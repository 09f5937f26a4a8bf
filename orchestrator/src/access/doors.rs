//! Whether tokens are asked for, and what the owner of a farm is warned of when it starts.

use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

/// How far the orchestrator can be reached, and who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Doors {
    /// On this machine alone: open until the first token is made, and from then on for tokens.
    Loopback,
    /// For others, with a token.
    Locked,
    /// For whoever reaches it, without a token: `--insecure`.
    Insecure,
}

/// From where it can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From this machine alone.
    Here,
    /// From other machines.
    Away,
}

/// Whether people without a token may submit jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// They may do nothing.
    Refused,
    /// They may submit jobs and ask how these are: `--anonymous-submit`.
    MaySubmit,
}

/// Whether what is said can be read on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// By everybody between.
    Plain,
    /// By nobody: TLS.
    Sealed,
}

/// What decides about the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Where it listens.
    pub listen: IpAddr,
    /// Whether `--insecure` was given.
    pub insecure: bool,
    /// Whether `--anonymous-submit` was given.
    pub strangers: Strangers,
    /// Whether TLS is on.
    pub line: Line,
    /// Whether a token was ever made.
    pub has_tokens: bool,
}

/// Others could reach it and nobody has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "listening on {0} lets other machines in, and there is no token yet by which to know them. Make one, with \
     `haywain-orchestrator token create --name me --role operate` and the same --data-dir, or listen on 127.0.0.1. \
     --insecure lets everybody in who reaches it: they can then run programs on every agent"
)]
pub struct NoTokens(IpAddr);

impl Setup {
    /// Who is let in.
    pub fn doors(self) -> Result<Doors, NoTokens> {
        match (self.insecure, self.reach(), self.has_tokens) {
            (true, ..) => Ok(Doors::Insecure),
            (false, Reach::Here, _) => Ok(Doors::Loopback),
            (false, Reach::Away, true) => Ok(Doors::Locked),
            (false, Reach::Away, false) => Err(NoTokens(self.listen)),
        }
    }

    /// How far it can be reached.
    #[must_use]
    pub fn reach(self) -> Reach {
        if is_loopback(self.listen) { Reach::Here } else { Reach::Away }
    }

    /// What the owner should know of this setup.
    #[must_use]
    pub fn warnings(self) -> Vec<&'static str> {
        let away = self.reach() == Reach::Away;
        let warnings = [
            (
                self.insecure && away,
                "INSECURE: everybody who can reach this address may do everything, without a token: read all scenes and \
                 frames, and through jobs with scripts run programs on agents that allow them. Leave out --insecure",
            ),
            (
                self.insecure && !away && !self.has_tokens,
                "--insecure: nobody on this machine is asked for a token, also when there is one some day. It takes --insecure only \
                 to listen on other addresses: leave it out",
            ),
            (
                self.insecure && self.has_tokens,
                "--insecure: there are tokens, and nobody is asked for one. Whoever came by a token sees everybody's jobs",
            ),
            (
                !self.insecure && away && self.line == Line::Plain,
                "tokens, scenes and frames can be read by everybody between this machine and the others: give --tls-cert and \
                 --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS",
            ),
            (
                self.strangers == Strangers::MaySubmit && away,
                "--anonymous-submit: everybody who can reach this address may submit jobs with the default scene, and fill the \
                 queue with them",
            ),
            (
                self.strangers == Strangers::MaySubmit && (self.insecure || !away && !self.has_tokens),
                "--anonymous-submit changes nothing here: no token is asked for anyway",
            ),
        ];
        warnings.into_iter().filter_map(|(is_so, warning)| is_so.then_some(warning)).collect()
    }
}

/// Whether an address is this machine's own, and of nobody else's reach.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a browser that asks for this `Host` can mean only this machine. A name of somebody else's that leads here is how a
/// page from elsewhere gets at what is open on loopback (DNS rebinding), and how a proxy makes it public by mistake.
#[must_use]
pub fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    fn setup(listen: IpAddr) -> Setup {
        Setup { listen, insecure: false, strangers: Strangers::Refused, line: Line::Sealed, has_tokens: true }
    }

    #[test]
    fn nobody_is_let_in_from_elsewhere_without_tokens() {
        let cases = [
            (HERE, false, false, Some(Doors::Loopback)),
            (HERE, false, true, Some(Doors::Loopback)),
            (HERE, true, false, Some(Doors::Insecure)),
            (THERE, false, false, None),
            (THERE, false, true, Some(Doors::Locked)),
            (THERE, true, false, Some(Doors::Insecure)),
            (THERE, true, true, Some(Doors::Insecure)),
            ("::1".parse().unwrap(), false, false, Some(Doors::Loopback)),
            ("::ffff:127.0.0.1".parse().unwrap(), false, false, Some(Doors::Loopback)),
            ("127.9.9.9".parse().unwrap(), false, false, Some(Doors::Loopback)),
            ("::".parse().unwrap(), false, false, None),
            ("192.168.1.7".parse().unwrap(), false, false, None),
        ];
        for (listen, insecure, has_tokens, expected) in cases {
            let doors = Setup { insecure, has_tokens, ..setup(listen) }.doors().ok();
            assert_eq!(doors, expected, "{listen} insecure: {insecure}, tokens: {has_tokens}");
        }
    }

    #[test]
    fn each_risk_is_warned_of() {
        let safe = [setup(HERE), Setup { has_tokens: false, line: Line::Plain, ..setup(HERE) }, setup(THERE)];
        for setup in safe {
            assert_eq!(setup.warnings(), Vec::<&str>::new(), "{setup:?}");
        }
        let risky = [
            (Setup { insecure: true, has_tokens: false, ..setup(THERE) }, vec!["INSECURE"]),
            (Setup { insecure: true, ..setup(THERE) }, vec!["INSECURE", "there are tokens"]),
            (Setup { insecure: true, ..setup(HERE) }, vec!["there are tokens"]),
            (Setup { insecure: true, has_tokens: false, ..setup(HERE) }, vec!["leave it out"]),
            (Setup { line: Line::Plain, ..setup(THERE) }, vec!["can be read"]),
            (Setup { strangers: Strangers::MaySubmit, ..setup(THERE) }, vec!["fill the queue"]),
            (Setup { strangers: Strangers::MaySubmit, has_tokens: false, ..setup(HERE) }, vec!["changes nothing"]),
        ];
        for (setup, words) in risky {
            let warnings = setup.warnings();
            assert_eq!(warnings.len(), words.len(), "{setup:?}: {warnings:?}");
            assert!(warnings.iter().zip(words).all(|(warning, words)| warning.contains(words)), "{warnings:?}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, is_own) in [
            ("localhost", true),
            ("LocalHost:4000", true),
            ("localhost.:4000", true),
            ("haywain.localhost:4000", true),
            ("127.0.0.1:4000", true),
            ("127.9.9.9", true),
            ("[::1]:4000", true),
            ("[::1]", true),
            ("evil.example", false),
            ("evil.example:4000", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("192.168.1.7:4000", false),
            ("[fe80::1]:4000", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(host), is_own, "{host}");
        }
    }
}
