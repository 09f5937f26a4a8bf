//! The members of a request: each is read as what it has to be, or refused in words that name it.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

pub(super) type Members = Map<String, Value>;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// `from` or `to` is missing or null. Clients know this one by its bare words.
    #[error("Invalid input")]
    Missing,
    /// Anything else.
    #[error("Invalid input: {0}")]
    Because(String),
}

impl InvalidInput {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

/// A member, unless it is missing or null, which mean the same.
pub(super) fn given<'a>(members: &'a Members, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// A member that is true or false, if it is given.
pub(super) fn flag(members: &Members, name: &str) -> Result<Option<bool>, InvalidInput> {
    match given(members, name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(InvalidInput::Because(format!("{name} must be true or false, not {}", kind_of(other)))),
    }
}

/// A name or the like, if it is given: from 1 to `most_bytes` bytes, without control characters.
pub(super) fn text(members: &Members, name: &str, most_bytes: usize) -> Result<Option<String>, InvalidInput> {
    match given(members, name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() || text.len() > most_bytes => {
            Err(InvalidInput::Because(format!("{name} must have from 1 to {most_bytes} bytes")))
        }
        Some(Value::String(text)) if text.chars().any(char::is_control) => {
            Err(InvalidInput::Because(format!("{name} must not contain control characters")))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(InvalidInput::Because(format!("{name} must be a string, not {}", kind_of(other)))),
    }
}

/// A number without a fraction. `20.0` is one: some languages write whole numbers so.
pub(super) fn whole_number(name: &str, value: &Value) -> Result<i64, InvalidInput> {
    let Value::Number(number) = value else {
        return Err(InvalidInput::Because(format!("{name} must be a number, not {}", kind_of(value))));
    };
    if let Some(whole) = number.as_i64() {
        return Ok(whole);
    }
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        Some(float) if float.fract() == 0.0 => Ok(float as i64),
        _ => Err(InvalidInput::Because(format!("{name} must be a whole number, not {number}"))),
    }
}

/// A whole number within bounds, if it is given.
pub(super) fn bounded<N>(members: &Members, name: &str, bounds: RangeInclusive<N>) -> Result<Option<N>, InvalidInput>
where
    N: TryFrom<i64> + PartialOrd + fmt::Display + Copy,
{
    let Some(value) = given(members, name) else { return Ok(None) };
    let number = whole_number(name, value)?;
    let within = N::try_from(number).ok().filter(|number| bounds.contains(number));
    within.map(Some).ok_or_else(|| {
        InvalidInput::Because(format!("{name} must be from {} to {}, not {value}", bounds.start(), bounds.end()))
    })
}

pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
