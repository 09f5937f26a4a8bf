//! How errors are told to people: in one line, with what is behind them, and without a backtrace, which is for those who write programs.

use std::error::Error;
use std::process::ExitCode;

/// What failed and all its causes, in a row; what a cause repeats of those before it is said once.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        source = cause.source();
    }
    told
}

/// Says on standard error why the program cannot go on; the code that it ends with is 1.
#[must_use]
pub fn last_words(error: &dyn Error) -> ExitCode {
    eprintln!("error: {}", in_full(error));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn what_is_behind_an_error_is_said_once() {
        let cases: [(&[&str], &str); 4] = [
            (&["no light"], "no light"),
            (&["the scene a.blend", "no such file"], "the scene a.blend: no such file"),
            (&["the folder x: no room. Name another", "no room"], "the folder x: no room. Name another"),
            (&["calling", "no line: cut", "no line: cut", "cut"], "calling: no line: cut"),
        ];
        for (links, told) in cases {
            let chain = links.iter().rev().fold(None, |behind, text| Some(Box::new(Link(text, behind))));
            assert_eq!(in_full(&*chain.unwrap()), told);
        }
    }
}
