//! What a client may ask for: from the bytes of `POST /render` to a [`Submission`] that can be queued as it is, or to the
//! words that say what is wrong with it.

use std::fmt;
use std::time::Duration;

use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::limits::{
    MAX_ATTEMPTS, MAX_BATCH_SIZE, MAX_NAME_BYTES, MAX_PRIORITY, MAX_STEP, MAX_TIMEOUT_SECONDS,
};
use haywain_shared::options::RenderOptions;
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::SceneId;
use serde_json::Value;

pub use super::members::InvalidInput;
use super::members::{Members, bounded, given, kind_of, text, whole_number};
use super::retry::DEFAULT_MAX_ATTEMPTS;
use super::{options, requirements};

/// The upper bound on a batch when the job does not set one.
pub const DEFAULT_BATCH_SIZE: u32 = 5;
/// How long Blender may do nothing at a frame unless the job says otherwise.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_mins(10);

/// A request that has been looked at and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The frames to render.
    pub frames: FrameList,
    /// The scene, unless the default one is meant.
    pub scene: Option<SceneId>,
    /// The most frames in a batch.
    pub batch_size: u32,
    /// What people call the job.
    pub name: Option<String>,
    /// Jobs of a higher one are served first.
    pub priority: i32,
    /// What its frames are allowed.
    pub limits: Limits,
    /// What it asks of Blender.
    pub options: RenderOptions,
    /// What it asks of agents.
    pub requirements: Requirements,
}

/// What the frames of a job are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failed attempts after which a frame is given up.
    pub max_attempts: u32,
    /// How long one frame may take; `None` means as long as it takes.
    pub frame_timeout: Option<Duration>,
    /// How long Blender may do nothing; `None` means for ever.
    pub stall_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_attempts: DEFAULT_MAX_ATTEMPTS, frame_timeout: None, stall_timeout: Some(DEFAULT_STALL_TIMEOUT) }
    }
}

/// The members beside those of [`options::MEMBERS`] and [`requirements::MEMBERS`].
const MEMBERS: [&str; 11] = [
    "from",
    "to",
    "frames",
    "step",
    "scene",
    "batchSize",
    "name",
    "priority",
    "maxAttempts",
    "frameTimeout",
    "stallTimeout",
];

/// Every member that there is.
#[must_use]
pub fn members() -> Vec<&'static str> {
    MEMBERS.into_iter().chain(options::MEMBERS).chain(requirements::MEMBERS).collect()
}

/// Reads the body of `POST /render`. No job may have more than `max_frames` frames.
pub fn read(body: &[u8], max_frames: u64) -> Result<Submission, InvalidInput> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(InvalidInput::because(r#"the body is empty; send JSON such as {"from":1,"to":20}"#));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| InvalidInput::Because(format!("the body is not JSON ({error})")))?;
    let Value::Object(members) = value else {
        return Err(InvalidInput::Because(format!("the body is {}, not a JSON object", kind_of(&value))));
    };
    let wanted = wanted_frames(&members)?;
    let known = self::members();
    if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(InvalidInput::Because(format!(
            "there is no member {unknown:?}; the members are {}",
            known.join(", ")
        )));
    }
    let frames = listed(&wanted, bounded(&members, "step", 1..=MAX_STEP)?)?;
    if frames.len() > max_frames {
        return Err(InvalidInput::Because(format!(
            "{} frames are more than the {max_frames} that a job may have here",
            frames.len()
        )));
    }
    Ok(Submission {
        frames,
        scene: scene(&members)?,
        batch_size: bounded(&members, "batchSize", 1..=MAX_BATCH_SIZE)?.unwrap_or(DEFAULT_BATCH_SIZE),
        name: text(&members, "name", MAX_NAME_BYTES)?,
        priority: bounded(&members, "priority", -MAX_PRIORITY..=MAX_PRIORITY)?.unwrap_or(0),
        limits: limits(&members)?,
        options: options::read(&members)?,
        requirements: requirements::read(&members)?,
    })
}

/// How a submission says which frames it wants.
enum Wanted<'a> {
    Ends(&'a Value, &'a Value),
    List(&'a Value),
}

fn wanted_frames(members: &Members) -> Result<Wanted<'_>, InvalidInput> {
    match (given(members, "from"), given(members, "to"), given(members, "frames")) {
        (Some(from), Some(to), None) => Ok(Wanted::Ends(from, to)),
        (None, None, Some(list)) => Ok(Wanted::List(list)),
        (_, _, Some(_)) => Err(InvalidInput::because("give from and to, or frames, not both")),
        _ => Err(InvalidInput::Missing),
    }
}

fn listed(wanted: &Wanted<'_>, step: Option<u32>) -> Result<FrameList, InvalidInput> {
    let because = |error: &dyn fmt::Display| InvalidInput::Because(error.to_string());
    let list = match wanted {
        Wanted::Ends(from, to) => FrameRange::new(frame("from", from)?, frame("to", to)?)
            .map(FrameList::of_range)
            .map_err(|error| because(&error))?,
        Wanted::List(Value::String(text)) => {
            text.parse().map_err(|error| InvalidInput::Because(format!("frames: {error}")))?
        }
        Wanted::List(other) => {
            return Err(InvalidInput::Because(format!(
                "frames must be a string such as \"300,310-320x2\", not {}",
                kind_of(other)
            )));
        }
    };
    list.by_step(step.unwrap_or(1)).map_err(|error| because(&error))
}

fn frame(name: &str, value: &Value) -> Result<FrameNumber, InvalidInput> {
    let number = whole_number(name, value)?;
    FrameNumber::try_from(number).map_err(|_| {
        let (min, max) = (FrameNumber::MIN, FrameNumber::MAX);
        InvalidInput::Because(format!("{name}: frame {value} is outside Blender's range, {min} to {max}"))
    })
}

fn scene(members: &Members) -> Result<Option<SceneId>, InvalidInput> {
    match given(members, "scene") {
        None => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|_| InvalidInput::Because(format!("scene: {text:?} is no scene id (64 hexadecimal digits)"))),
        Some(other) => Err(InvalidInput::Because(format!("scene must be a scene id, not {}", kind_of(other)))),
    }
}

fn limits(members: &Members) -> Result<Limits, InvalidInput> {
    let seconds = |name, least| {
        let seconds = bounded(members, name, least..=MAX_TIMEOUT_SECONDS)?;
        Ok::<_, InvalidInput>(seconds.map(Duration::from_secs))
    };
    let default = Limits::default();
    Ok(Limits {
        max_attempts: bounded(members, "maxAttempts", 1..=MAX_ATTEMPTS)?.unwrap_or(default.max_attempts),
        frame_timeout: seconds("frameTimeout", 1)?.or(default.frame_timeout),
        stall_timeout: match seconds("stallTimeout", 0)? {
            Some(Duration::ZERO) => None,
            given => given.or(default.stall_timeout),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        read(body.as_bytes(), 1_000_000).unwrap_err().to_string()
    }

    #[test]
    fn missing_or_null_is_told_in_bare_words() {
        for body in [
            "{}",
            r#"{"from": 1}"#,
            r#"{"to": 1}"#,
            r#"{"from": null, "to": 1}"#,
            r#"{"from": 1, "to": null}"#,
            r#"{"from": "1"}"#,
            r#"{"frm": 1, "to": 2}"#,
        ] {
            assert_eq!(refusal(body), "Invalid input", "{body}");
        }
    }

    #[test]
    fn anything_else_says_what_is_wrong() {
        let cases = [
            ("", "the body is empty"),
            (" \n", "the body is empty"),
            ("from=1&to=6", "the body is not JSON"),
            (r#"{"from": 1, "to": NaN}"#, "the body is not JSON"),
            (r#"{"from": 1, "to": 2"#, "the body is not JSON"),
            ("[1, 20]", "the body is a list, not a JSON object"),
            ("7", "the body is a number"),
            (r#"{"from": "1", "to": "6"}"#, "from must be a number, not a string"),
            (r#"{"from": 1, "to": "NaN"}"#, "to must be a number, not a string"),
            (r#"{"from": true, "to": 6}"#, "from must be a number, not a boolean"),
            (r#"{"from": [1], "to": 6}"#, "from must be a number, not a list"),
            (r#"{"from": 1.5, "to": 6}"#, "from must be a whole number, not 1.5"),
            (r#"{"from": 1, "to": 1e400}"#, "the body is not JSON"),
            (r#"{"from": 5, "to": 1}"#, "from (5) is after to (1)"),
            (r#"{"from": -1048575, "to": 1}"#, "from: frame -1048575 is outside Blender's range"),
            (r#"{"from": 1, "to": 1048575}"#, "to: frame 1048575 is outside Blender's range"),
            (r#"{"from": 1, "to": 1e300}"#, "to: frame 1e+300 is outside"),
            (r#"{"from": 1, "to": 18446744073709551615}"#, "to: frame 18446744073709551615 is outside"),
            (r#"{"from": 0, "to": 1000000}"#, "1000001 frames are more than the 1000000"),
            (r#"{"from": 1, "to": 2, "frames": "1-2"}"#, "give from and to, or frames, not both"),
            (r#"{"from": 1, "frames": "1-2"}"#, "give from and to, or frames, not both"),
            (r#"{"frames": 7}"#, "frames must be a string such as \"300,310-320x2\", not a number"),
            (r#"{"frames": "1-"}"#, "frames: \"1-\" is no frame"),
            (r#"{"frames": "1-20,9-5"}"#, "frames: in \"9-5\" the last frame is before the first"),
            (r#"{"frames": "0-1000000"}"#, "1000001 frames are more than the 1000000"),
            (r#"{"from": 1, "to": 9, "step": 0}"#, "step must be from 1 to 1000000, not 0"),
            (r#"{"from": 1, "to": 1000000, "step": 2}"#, "the list has more than 100000 separate runs"),
            (r#"{"from": 1, "to": 2, "allowMissing": 1}"#, "allowMissing must be true or false, not a number"),
            (r#"{"from": 1, "to": 2, "memory": 16}"#, "memory must be a string such as \"16GiB\", not a number"),
            (r#"{"from": 1, "to": 2, "form": 1}"#, "there is no member \"form\"; the members are from, to"),
            (r#"{"from": 1, "to": 2, "batchSize": 0}"#, "batchSize must be from 1 to 1000, not 0"),
            (r#"{"from": 1, "to": 2, "priority": 1001}"#, "priority must be from -1000 to 1000, not 1001"),
            (r#"{"from": 1, "to": 2, "maxAttempts": 0}"#, "maxAttempts must be from 1 to 100, not 0"),
            (r#"{"from": 1, "to": 2, "frameTimeout": 0}"#, "frameTimeout must be from 1 to 2592000, not 0"),
            (r#"{"from": 1, "to": 2, "stallTimeout": -1}"#, "stallTimeout must be from 0 to 2592000, not -1"),
            (r#"{"from": 1, "to": 2, "batchSize": "5"}"#, "batchSize must be a number, not a string"),
            (r#"{"from": 1, "to": 2, "scene": "abc"}"#, "scene: \"abc\" is no scene id"),
            (r#"{"from": 1, "to": 2, "scene": 7}"#, "scene must be a scene id, not a number"),
            (r#"{"from": 1, "to": 2, "name": ""}"#, "name must have from 1 to 200 bytes"),
            (r#"{"from": 1, "to": 2, "name": "a\nb"}"#, "name must not contain control characters"),
        ];
        for (body, reason) in cases {
            let refusal = refusal(body);
            assert!(refusal.starts_with(&format!("Invalid input: {reason}")), "{body}: {refusal}");
            assert!(!refusal.contains('\n'), "{body}: {refusal}");
        }
    }

    #[test]
    fn good_input_is_read_as_it_is_meant() {
        let bare = read(br#"{"from": -3, "to": 20.0}"#, 100).unwrap();
        assert_eq!(bare.frames.to_string(), "-3..20");
        assert_eq!((bare.options, bare.requirements), (RenderOptions::default(), Requirements::default()));
        let listed = read(br#"{"frames": "300,310-320x5", "step": 1}"#, 99).unwrap();
        assert_eq!(listed.frames.to_string(), "300,310,315,320");
        let stepped = read(br#"{"from": 1, "to": 10, "step": 4}"#, 99).unwrap();
        assert_eq!(stepped.frames.to_string(), "1,5,9");
        assert_eq!((bare.batch_size, bare.scene, bare.name), (DEFAULT_BATCH_SIZE, None, None));
        assert_eq!((bare.priority, bare.limits), (0, Limits::default()));

        let limited =
            br#"{"from": 1, "to": 1, "priority": -5, "maxAttempts": 1, "frameTimeout": 90, "stallTimeout": 0}"#;
        let limited = read(limited, 1).unwrap();
        let limits = Limits { max_attempts: 1, frame_timeout: Some(Duration::from_secs(90)), stall_timeout: None };
        assert_eq!((limited.priority, limited.limits), (-5, limits));

        let id = "ab".repeat(32);
        let full = format!(r#"{{"from": 1, "to": 1, "scene": "{id}", "batchSize": 7, "name": "shot 4"}}"#);
        let full = read(full.as_bytes(), 1).unwrap();
        assert_eq!(full.scene.unwrap().to_string(), id);
        assert_eq!((full.batch_size, full.name.as_deref()), (7, Some("shot 4")));
    }
}
