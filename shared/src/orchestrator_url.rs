//! Where an orchestrator is, as people write it: `http://HOST:4000`, or `https://HOST`. What is no such address is refused where it is
//! read, as calling it would only ever fail.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

/// A text that is no orchestrator's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an orchestrator's address is written http://HOST:4000, or https://HOST")]
pub struct NoOrchestrator;

/// The address of an orchestrator.
pub fn parse(text: &str) -> Result<Url, NoOrchestrator> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(NoOrchestrator)
}

/// One that runs on this machine, and listens where it does by default.
#[must_use]
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a constant that a test parses")]
pub fn on_this_machine() -> Url {
    Url::parse("http://127.0.0.1:4000").expect("a constant URL")
}

/// An address out of a settings file, for serde's `deserialize_with`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, url) in [
            ("http://127.0.0.1:4000", Ok("http://127.0.0.1:4000/")),
            ("https://farm.example/", Ok("https://farm.example/")),
            ("HTTP://rack", Ok("http://rack/")),
            ("rack:4000", Err(NoOrchestrator)),
            ("rack", Err(NoOrchestrator)),
            ("http://", Err(NoOrchestrator)),
            ("ftp://rack", Err(NoOrchestrator)),
            ("", Err(NoOrchestrator)),
        ] {
            assert_eq!(parse(text).as_ref().map(Url::as_str), url.as_ref().copied(), "{text}");
        }
        assert_eq!(parse(on_this_machine().as_str()), Ok(on_this_machine()));
    }
}
