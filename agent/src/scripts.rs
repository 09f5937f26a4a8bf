//! Whose scripts may run, as an owner writes it in settings: `--allow-scripts`, or with names of tokens.

use std::str::FromStr;

use haywain_shared::scripts::ScriptRule;
use serde::{Deserialize, Serialize};

/// The word for everybody's, which `--allow-scripts` without names stands for.
pub const EVERYBODY: &str = "true";
const NOBODY: &str = "false";

/// Whose scripts may run: `true`, `false`, or names of tokens with commas between them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct AllowScripts(pub ScriptRule);

/// A file of settings has lists, too: a name may have a comma in it there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Flag(bool),
    Text(String),
    List(Vec<String>),
}

impl FromStr for AllowScripts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            EVERYBODY => Ok(Self(ScriptRule::Allowed)),
            NOBODY => Ok(Self(ScriptRule::Blocked)),
            names => Self::named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

impl AllowScripts {
    fn named(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(
                "names of tokens are wanted, with a comma between them, or nothing at all for everybody's".to_owned()
            );
        }
        Ok(Self(ScriptRule::AllowedFor(names.into_iter().collect())))
    }
}

impl TryFrom<Written> for AllowScripts {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Flag(flag) => Ok(Self(if flag { ScriptRule::Allowed } else { ScriptRule::Blocked })),
            Written::Text(text) => text.parse(),
            Written::List(names) => Self::named(names),
        }
    }
}

impl From<AllowScripts> for String {
    fn from(AllowScripts(rule): AllowScripts) -> Self {
        match rule {
            ScriptRule::Allowed => EVERYBODY.to_owned(),
            ScriptRule::Blocked => NOBODY.to_owned(),
            ScriptRule::AllowedFor(names) => names.into_iter().collect::<Vec<_>>().join(","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> AllowScripts {
        AllowScripts(ScriptRule::AllowedFor(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    #[test]
    fn an_owner_names_tokens_or_nobody_or_says_everybody() {
        let cases = [
            ("true", AllowScripts(ScriptRule::Allowed)),
            ("false", AllowScripts(ScriptRule::Blocked)),
            ("anna", named(&["anna"])),
            ("anna,lighting", named(&["anna", "lighting"])),
            ("second floor", named(&["second floor"])),
        ];
        for (text, allowed) in cases {
            assert_eq!(text.parse(), Ok(allowed.clone()), "{text}");
            assert_eq!(String::from(allowed), text);
        }
        assert_eq!("anna , lighting".parse(), Ok(named(&["anna", "lighting"])));
        // Nothing is never everybody.
        for text in ["", " ", ",", "anna,", ",anna"] {
            assert!(text.parse::<AllowScripts>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_has_them_as_a_switch_a_text_or_a_list() {
        let cases = [
            ("true", AllowScripts(ScriptRule::Allowed)),
            ("false", AllowScripts(ScriptRule::Blocked)),
            (r#""anna,lighting""#, named(&["anna", "lighting"])),
            (r#"["anna", "light, key"]"#, named(&["anna", "light, key"])),
        ];
        for (json, allowed) in cases {
            assert_eq!(serde_json::from_str::<AllowScripts>(json).unwrap(), allowed, "{json}");
        }
        for json in ["[]", r#"[""]"#, "1", r#""""#] {
            assert!(serde_json::from_str::<AllowScripts>(json).is_err(), "{json}");
        }
    }
}
