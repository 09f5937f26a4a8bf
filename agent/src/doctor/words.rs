//! What to say of what was seen: rules without any looking, each with its table.

use std::io;
use std::path::Path;

use haywain_shared::token::Role;
use jiff::SignedDuration;
use url::Url;

use super::Finding;

/// Below this an agent has no room for frames, let alone for scenes.
const TOO_LITTLE_BYTES: u64 = 1_000_000_000;
/// Below this large scenes have none.
const LITTLE_BYTES: u64 = 10_000_000_000;
/// By how much a clock may be off without anybody's noticing.
const RIGHT: SignedDuration = SignedDuration::from_secs(30);
/// By how much it may be off before certificates seem to be expired, or not yet good.
const WRONG: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn unwritable(folder: &Path, error: &io::Error) -> Finding {
    let seen = format!("{} cannot be written: {error}", folder.display());
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "run this as the agent's user (sudo -u haywain-agent …), or give the folder to the user that runs the agent"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
        io::ErrorKind::ReadOnlyFilesystem => "name a folder on a disk that can be written with --data-dir",
        _ => "name another folder with --data-dir",
    };
    Finding::bad("data folder", seen, advice)
}

pub(super) fn another_user(folder: &Path, owner: u32, own: u32) -> Finding {
    let seen = format!("{} belongs to user {owner}, and this is user {own}", folder.display());
    let advice = "run this as the user that the agent runs as: what holds for one does not hold for the other";
    Finding::doubtful("data folder", seen, advice)
}

pub(super) fn disk(free_bytes: u64) -> Finding {
    let seen = format!("{} MB free for scenes and frames", free_bytes / 1_000_000);
    if free_bytes < TOO_LITTLE_BYTES {
        Finding::bad("disk", seen, "free some space, or name a folder on another disk with --data-dir")
    } else if free_bytes < LITTLE_BYTES {
        Finding::doubtful(
            "disk",
            seen,
            "large scenes may not fit: bound the cache with --cache-size, or free some space",
        )
    } else {
        Finding::good("disk", seen)
    }
}

/// `ahead` is by how much this machine's clock is ahead of the orchestrator's; `None` if that does not tell the time.
pub(super) fn clock(ahead: Option<SignedDuration>) -> Finding {
    let Some(ahead) = ahead else {
        return Finding::doubtful(
            "clock",
            "the orchestrator's answer does not tell the time",
            "compare the clocks yourself",
        );
    };
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    let off = ahead.abs();
    let seen = format!("{} s {way} the orchestrator's", off.as_secs());
    let advice = "set this machine's clock, and keep it right by NTP (timedatectl set-ntp true): certificates seem expired \
        on a wrong one";
    if off <= RIGHT {
        Finding::good("clock", format!("within {} s of the orchestrator's", RIGHT.as_secs()))
    } else if off <= WRONG {
        Finding::doubtful("clock", seen, advice)
    } else {
        Finding::bad("clock", seen, advice)
    }
}

/// Which proxy calls go through: the variable that says so, and its value. What it says of a password is not repeated.
pub(super) fn proxy(set: Option<(&'static str, &str)>) -> Finding {
    let Some((variable, value)) = set else { return Finding::good("proxy", "none is set") };
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&with_scheme).ok();
    let Some((host, url)) = url.as_ref().and_then(|url| Some((url.host_str()?, url))) else {
        let advice = format!("set {variable} to a URL such as http://proxy.example:3128, or leave it out");
        return Finding::bad("proxy", format!("{variable} is no URL"), advice);
    };
    let port = url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
    Finding::good("proxy", format!("calls go through {host}{port} ({variable})"))
}

/// What to do about a call that got no answer, by what the network said.
pub(super) fn no_answer(url: &Url, reason: &str, has_proxy: bool) -> Finding {
    let has = |signs: &[&str]| signs.iter().any(|sign| reason.contains(sign));
    let advice = if has(&["UnknownIssuer", "unknown issuer", "CaUsedAsEndEntity"]) {
        "its certificate is from an authority that this machine does not trust: name your own with --ca FILE".to_owned()
    } else if has(&["NotValidForName", "not valid for name"]) {
        format!(
            "its certificate is not for the name {}: use the one that it is for",
            url.host_str().unwrap_or_default()
        )
    } else if has(&["Expired", "expired"]) {
        "its certificate has expired, or this machine's clock is wrong: look at the clock first, then renew the certificate"
            .to_owned()
    } else if has(&["NotValidYet", "not valid yet"]) {
        "its certificate is not good yet: set this machine's clock".to_owned()
    } else if has(&["InvalidContentType", "invalid HTTP version", "invalid HTTP status-line", "InvalidMessage"]) {
        if url.scheme() == "https" {
            "what answers there does not speak TLS: use http://, or give the orchestrator --tls-cert and --tls-key"
                .to_owned()
        } else {
            "what answers there does not speak HTTP: use https:// if it has a certificate".to_owned()
        }
    } else if has(&["dns error", "failed to lookup", "Name or service not known"]) {
        "there is no such name: look at --orchestrator, and at this machine's name servers".to_owned()
    } else if has(&["Connection refused"]) {
        "nothing listens there: start the orchestrator, and have it listen on an address that this machine reaches (--listen)"
            .to_owned()
    } else if has_proxy && has(&["tunnel", "proxy", "Proxy"]) {
        "the proxy refuses: look at its address and password, or name the orchestrator in NO_PROXY".to_owned()
    } else {
        "look at the way there: address, port, router and firewall".to_owned()
    };
    let advice = if has_proxy { format!("{advice}. Calls go through a proxy: try without it") } else { advice };
    Finding::bad("orchestrator", format!("{url} does not answer: {reason}"), advice)
}

/// Whether the way to the orchestrator can be listened to.
pub(super) fn tls(url: &Url, own_authority: Option<&Path>) -> Finding {
    if url.scheme() == "https" {
        let by = own_authority
            .map_or_else(|| "one that this system trusts".to_owned(), |file| format!("that in {}", file.display()));
        return Finding::good("TLS", format!("the certificate is good; its authority is {by}"));
    }
    let is_here = url.host_str().is_some_and(|host| {
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|at: std::net::IpAddr| at.is_loopback())
    });
    if is_here {
        Finding::good("TLS", "none, and none is needed on one machine")
    } else {
        let advice = "whoever is on the way can read scenes and this agent's token: give the orchestrator a certificate \
            (docs/going-public.md)";
        Finding::doubtful("TLS", "the line is not encrypted", advice)
    }
}

/// How a token stands with the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none.
    Absent,
    /// It is known.
    Known(String, Role),
    /// It is refused, and why.
    Refused(String),
    /// It can't be read, and why.
    Unreadable(String),
}

/// What the agent's own token and its enrolment token are good for.
pub(super) fn token(asks_for_tokens: bool, own: &Standing, enrolment: &Standing) -> Finding {
    const MAKE_ONE: &str = "have one made where the orchestrator is (haywain-orchestrator token create --name NAME --role enrol), \
        and put it into a file that --token-file names";
    let bad = |seen: String, advice: &str| Finding::bad("token", seen, advice);
    if !asks_for_tokens {
        return Finding::good("token", "the orchestrator asks for none");
    }
    match (own, enrolment) {
        (Standing::Known(name, Role::Agent), _) => Finding::good("token", format!("this agent is known as {name:?}")),
        (Standing::Known(_, role), _) => bad(
            format!("the file \"token\" in the data folder has one with the role {role}"),
            "delete that file: the agent draws its own",
        ),
        (Standing::Unreadable(why), _) => {
            bad(why.clone(), "run this as the agent's user; if nobody can read that file, delete it and enrol anew")
        }
        (_, Standing::Unreadable(why)) => bad(
            why.clone(),
            "see that --token-file (or HAYWAIN_TOKEN) has a whole token, and that the agent's user can read it",
        ),
        (Standing::Absent, Standing::Absent) => {
            bad("there is none, and the orchestrator asks for one".to_owned(), MAKE_ONE)
        }
        (Standing::Refused(why), Standing::Absent) => bad(format!("this agent's own is refused: {why}"), MAKE_ONE),
        (_, Standing::Refused(why)) => bad(format!("the enrolment token is refused: {why}"), MAKE_ONE),
        (Standing::Absent, Standing::Known(name, Role::Enrol)) => {
            Finding::good("token", format!("the enrolment token {name:?} lets this machine in"))
        }
        (Standing::Refused(why), Standing::Known(name, Role::Enrol)) => Finding::doubtful(
            "token",
            format!("this agent's own is not known yet, or no more ({why}); the enrolment token {name:?} is good"),
            "start the agent, and it enrols. If it was shut out, delete the file \"token\" in its data folder before",
        ),
        (_, Standing::Known(_, role)) => bad(format!("the enrolment token has the role {role}"), MAKE_ONE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[track_caller]
    fn assert_told(finding: &Finding, verdict: Verdict, words: &str) {
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.to_string().contains(words), "{words:?} is not in {finding}");
        assert_eq!(
            finding.advice.is_none(),
            verdict == Verdict::Good,
            "whoever hears of a fault hears what to do: {finding}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_put_right_by_its_reason() {
        for (kind, words) in [
            (io::ErrorKind::PermissionDenied, "run this as the agent's user"),
            (io::ErrorKind::StorageFull, "free some space"),
            (io::ErrorKind::ReadOnlyFilesystem, "--data-dir"),
            (io::ErrorKind::NotADirectory, "--data-dir"),
        ] {
            assert_told(&unwritable(Path::new("/data"), &kind.into()), Verdict::Bad, words);
        }
        assert_told(
            &another_user(Path::new("/data"), 998, 0),
            Verdict::Doubtful,
            "belongs to user 998, and this is user 0",
        );
    }

    #[test]
    fn a_disk_has_room_or_not() {
        assert_told(&disk(50_000_000_000), Verdict::Good, "50000 MB free");
        assert_told(&disk(5_000_000_000), Verdict::Doubtful, "--cache-size");
        assert_told(&disk(999_999_999), Verdict::Bad, "free some space");
    }

    #[test]
    fn a_clock_may_be_off_by_little() {
        let seconds = SignedDuration::from_secs;
        assert_told(&clock(Some(seconds(0))), Verdict::Good, "within 30 s");
        assert_told(&clock(Some(seconds(-30))), Verdict::Good, "within 30 s");
        assert_told(&clock(Some(seconds(31))), Verdict::Doubtful, "31 s ahead of");
        assert_told(&clock(Some(seconds(-301))), Verdict::Bad, "301 s behind");
        assert_told(&clock(Some(seconds(86_400))), Verdict::Bad, "timedatectl");
        assert_told(&clock(None), Verdict::Doubtful, "does not tell the time");
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        assert_told(&proxy(None), Verdict::Good, "none");
        let secret = proxy(Some(("HTTPS_PROXY", "http://ann:secret@proxy.example:3128")));
        assert_told(&secret, Verdict::Good, "proxy.example:3128 (HTTPS_PROXY)");
        assert!(!secret.to_string().contains("secret"));
        assert_told(&proxy(Some(("https_proxy", "proxy.example:3128"))), Verdict::Good, "proxy.example:3128");
        assert_told(&proxy(Some(("ALL_PROXY", "http://"))), Verdict::Bad, "set ALL_PROXY");
    }

    #[test]
    fn what_the_network_says_leads_to_what_to_do() {
        // As reqwest, hyper and rustls say it.
        let cases = [
            ("https", "invalid peer certificate: UnknownIssuer", "--ca FILE"),
            (
                "https",
                "invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for b",
                "not for the name",
            ),
            (
                "https",
                "invalid peer certificate: certificate expired: verification time 1764020000",
                "look at the clock first",
            ),
            ("https", "invalid peer certificate: certificate not valid yet", "set this machine's clock"),
            ("https", "received corrupt message of type InvalidContentType", "does not speak TLS"),
            ("http", "error sending request: invalid HTTP version parsed", "use https://"),
            ("http", "dns error: failed to lookup address information: Name or service not known", "no such name"),
            ("http", "tcp connect error: Connection refused (os error 111)", "nothing listens there"),
            ("http", "operation timed out", "firewall"),
        ];
        for (scheme, reason, words) in cases {
            let url = Url::parse(&format!("{scheme}://render.example:4000")).unwrap();
            assert_told(&no_answer(&url, reason, false), Verdict::Bad, words);
            assert_told(&no_answer(&url, reason, true), Verdict::Bad, "try without it");
        }
        let url = Url::parse("https://render.example").unwrap();
        assert_told(&no_answer(&url, "tunnel error: unsuccessful", true), Verdict::Bad, "the proxy refuses");
    }

    #[test]
    fn a_line_is_sealed_or_need_not_be() {
        let of = |url: &str, ca| tls(&Url::parse(url).unwrap(), ca);
        assert_told(&of("https://render.example", None), Verdict::Good, "that this system trusts");
        assert_told(&of("https://render.example", Some(Path::new("/etc/ca.pem"))), Verdict::Good, "/etc/ca.pem");
        for here in ["http://127.0.0.1:4000", "http://localhost:4000", "http://[::1]:4000"] {
            assert_told(&of(here, None), Verdict::Good, "none is needed");
        }
        assert_told(&of("http://192.168.1.5:4000", None), Verdict::Doubtful, "not encrypted");
    }

    #[test]
    fn a_token_is_good_or_another_is_needed() {
        use Standing::*;
        let known = |name: &str, role| Known(name.to_owned(), role);
        let refused = || Refused("the token was revoked".to_owned());
        let unreadable = || Unreadable("permission denied".to_owned());
        let enrol = || known("rack", Role::Enrol);
        for (own, enrolment, verdict, words) in [
            (known("barn", Role::Agent), Absent, Verdict::Good, "known as \"barn\""),
            (known("barn", Role::Agent), refused(), Verdict::Good, "known as"),
            (known("ann", Role::Submit), enrol(), Verdict::Bad, "delete that file"),
            (Absent, enrol(), Verdict::Good, "lets this machine in"),
            (Absent, Absent, Verdict::Bad, "token create"),
            (Absent, refused(), Verdict::Bad, "was revoked"),
            (Absent, known("ann", Role::Operate), Verdict::Bad, "has the role operate"),
            (refused(), Absent, Verdict::Bad, "was revoked"),
            (refused(), refused(), Verdict::Bad, "the enrolment token is refused"),
            (refused(), enrol(), Verdict::Doubtful, "start the agent, and it enrols"),
            (unreadable(), enrol(), Verdict::Bad, "run this as the agent's user"),
            (Absent, unreadable(), Verdict::Bad, "--token-file"),
        ] {
            assert_told(&token(true, &own, &enrolment), verdict, words);
            assert_told(&token(false, &own, &enrolment), Verdict::Good, "asks for none");
        }
    }
}
