//! What a request asks of agents: the members of `POST /render` that say who may render the job.

use haywain_shared::limits::MAX_LISTED;
use haywain_shared::requirements::{AgentRule, Requirements, TagRule};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::members::{InvalidInput, Members, flag, given, kind_of};

/// The members.
pub(super) const MEMBERS: [&str; 5] = ["blender", "mixed", "memory", "tags", "agents"];

/// Reads them.
pub(super) fn read(members: &Members) -> Result<Requirements, InvalidInput> {
    let tags: TagRule = rule(members, "tags", "allOf")?;
    let agents: AgentRule = rule(members, "agents", "only")?;
    bounded("tags", [tags.any_of.len(), tags.all_of.len(), tags.none_of.len()].iter().sum())?;
    bounded("agents", agents.only.len() + agents.except.len())?;
    Ok(Requirements {
        blender: worded(members, "blender", "\">=4.2, <5\"")?,
        mixed: flag(members, "mixed")? == Some(true),
        memory: worded(members, "memory", "\"16GiB\"")?,
        tags,
        agents,
    })
}

/// A string that says something by rules of its own.
fn worded<T: DeserializeOwned>(members: &Members, name: &str, example: &str) -> Result<Option<T>, InvalidInput> {
    match given(members, name) {
        None => Ok(None),
        Some(text @ Value::String(_)) => {
            T::deserialize(text).map(Some).map_err(|error| InvalidInput::Because(format!("{name}: {error}")))
        }
        Some(other) => {
            Err(InvalidInput::Because(format!("{name} must be a string such as {example}, not {}", kind_of(other))))
        }
    }
}

/// A rule of several lists; a list alone is the one called `alone`.
fn rule<T: DeserializeOwned + Default>(members: &Members, name: &str, alone: &str) -> Result<T, InvalidInput> {
    let rule = match given(members, name) {
        None => return Ok(T::default()),
        Some(list @ Value::Array(_)) => json!({ alone: list }),
        Some(rule @ Value::Object(_)) => rule.clone(),
        Some(other) => {
            let kind = kind_of(other);
            return Err(InvalidInput::Because(format!("{name} must be a list, or an object of lists, not {kind}")));
        }
    };
    T::deserialize(rule).map_err(|error| InvalidInput::Because(format!("{name}: {error}")))
}

fn bounded(name: &str, count: usize) -> Result<(), InvalidInput> {
    if count > MAX_LISTED {
        return Err(InvalidInput::Because(format!("{name} may list at most {MAX_LISTED}, not {count}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn read_json(value: Value) -> Result<Requirements, InvalidInput> {
        let Value::Object(members) = value else { panic!("{value} is no object") };
        read(&members)
    }

    #[test]
    fn every_member_is_read_as_it_is_meant() {
        let all = json!({
            "blender": ">=4.2, <5", "mixed": true, "memory": "16GiB",
            "tags": {"anyOf": ["a", "b"], "allOf": ["c"], "noneOf": ["d"]}, "agents": {"only": ["barn"], "except": ["mill"]}
        });
        assert_eq!(MEMBERS.len(), all.as_object().unwrap().len());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let tags = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let expected = Requirements {
            blender: Some(">=4.2, <5".parse().unwrap()),
            mixed: true,
            memory: Some("16GiB".parse().unwrap()),
            tags: TagRule { any_of: tags(&["a", "b"]), all_of: tags(&["c"]), none_of: tags(&["d"]) },
            agents: AgentRule { only: names(&["barn"]), except: names(&["mill"]) },
        };
        assert_eq!(read_json(all).unwrap(), expected);
        let lists = read_json(json!({"tags": ["c"], "agents": ["barn"], "blender": null})).unwrap();
        assert_eq!((lists.tags.all_of, lists.agents.only), (tags(&["c"]), names(&["barn"])));
        assert_eq!(read_json(json!({"tags": {}})).unwrap(), Requirements::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Vec<_> = (0..=MAX_LISTED).map(|number| number.to_string()).collect();
        let cases = [
            (json!({"blender": 4.2}), "blender must be a string such as \">=4.2, <5\", not a number"),
            (json!({"blender": "new"}), "blender: \"new\" is no requirement such as"),
            (json!({"mixed": "yes"}), "mixed must be true or false, not a string"),
            (json!({"memory": 16}), "memory must be a string such as \"16GiB\", not a number"),
            (json!({"memory": "16"}), "memory: \"16\" is no size"),
            (json!({"tags": "big"}), "tags must be a list, or an object of lists, not a string"),
            (json!({"tags": ["two words"]}), "tags: \"two words\" is no tag"),
            (json!({"tags": {"some": ["a"]}}), "tags: unknown field `some`, expected one of `anyOf`"),
            (json!({"tags": many}), "tags may list at most 100, not 101"),
            (json!({"agents": [7]}), "agents: invalid type: integer `7`, expected a string"),
            (json!({"agents": {"not": ["a"]}}), "agents: unknown field `not`, expected `only` or `except`"),
        ];
        for (members, reason) in cases {
            let said = read_json(members.clone()).unwrap_err().to_string();
            assert!(said.starts_with(&format!("Invalid input: {reason}")), "{members}: {said}");
        }
    }
}
