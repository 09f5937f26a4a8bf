//! Where settings come from, the same for every program: built-in defaults, then a TOML file, then `HAYWAIN_…` variables,
//! then flags. What is in the file under a name that no setting has is an error: a typo must not go unnoticed.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named is not there.
    #[error("the settings file {} is not there", .0.display())]
    NoFile(PathBuf),
    /// A setting has a value that it can't have, or a name that none has.
    #[error("settings: {}", in_words(.0))]
    Invalid(Box<figment::Error>),
    /// The platform does not say where programs keep their data.
    #[error("this system does not say where programs keep their data: name a folder with --data-dir")]
    NoDataFolder,
}

/// Reads the settings of `program` ("orchestrator", "agent"): `flags` holds what was given by flag or variable and leaves
/// out the rest, `file` is the file that was named, if one was; else the platform's usual place is looked at.
pub fn load<T: DeserializeOwned>(program: &str, flags: &impl Serialize, file: Option<&Path>) -> Result<T, ConfigError> {
    let file = match file {
        Some(file) if !file.is_file() => return Err(ConfigError::NoFile(file.to_owned())),
        Some(file) => Some(file.to_owned()),
        None => config_dir().map(|folder| folder.join(format!("{program}.toml"))).filter(|file| file.is_file()),
    };
    let mut figment = Figment::new();
    if let Some(file) = file {
        figment = figment.merge(Toml::file_exact(file));
    }
    figment.merge(Serialized::defaults(flags)).extract().map_err(|error| ConfigError::Invalid(Box::new(error)))
}

/// The platform's folder for what a user has set.
#[must_use]
pub fn config_dir() -> Option<PathBuf> {
    project_dirs().map(|dirs| dirs.config_dir().to_owned())
}

/// The platform's folder for the data of `program`.
pub fn default_data_dir(program: &str) -> Result<PathBuf, ConfigError> {
    project_dirs().map(|dirs| dirs.data_dir().join(program)).ok_or(ConfigError::NoDataFolder)
}

fn project_dirs() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "haywain")
}

/// What is wrong with the settings, by the names that they have in the file.
fn in_words(error: &figment::Error) -> String {
    let one = |figment::Error { kind, path, metadata, .. }: figment::Error| {
        let key = if path.is_empty() { String::new() } else { format!(" for {}", path.join(".")) };
        let file = metadata.and_then(|found| Some(format!(", in {}", found.source?))).unwrap_or_default();
        format!("{kind}{key}{file}")
    };
    error.clone().into_iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[expect(dead_code, reason = "what is in it is not looked at")]
        slots: Option<u32>,
    }

    #[test]
    fn what_is_wrong_is_told_by_the_names_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        for (text, told) in [
            ("solts = 1\n", "settings: unknown field: found `solts`, expected ``slots`` for solts, in "),
            ("slots = \"many\"\n", "settings: invalid type: found string \"many\", expected u32 for slots, in "),
        ] {
            std::fs::write(&file, text).unwrap();
            let error =
                load::<Settings>("agent", &BTreeMap::<String, String>::new(), Some(&file)).unwrap_err().to_string();
            assert!(error.starts_with(told) && error.ends_with("agent.toml"), "{error}");
        }
    }
}
