//! What a request asks of Blender: the members of `POST /render` that say how the frames are rendered, not which.

use std::collections::BTreeSet;

use haywain_shared::devices::DeviceWish;
use haywain_shared::limits::{MAX_ADDONS, MAX_DATABLOCK_NAME_BYTES, MAX_RESOLUTION_PERCENT, MAX_SAMPLES};
use haywain_shared::options::{Allowance, FrameOrder, ImageFormat, RenderOptions, Scripts};
use serde_json::{Value, json};

use super::members::{InvalidInput, Members, bounded, flag, given, kind_of, text};

/// The members.
pub(super) const MEMBERS: [&str; 16] = [
    "sceneName",
    "viewLayer",
    "camera",
    "engine",
    "samples",
    "device",
    "resolutionPercent",
    "format",
    "persistentData",
    "scripts",
    "addons",
    "order",
    "allowMissing",
    "allowBrokenDrivers",
    "allowUnbaked",
    "allowUnknown",
];

/// Reads them.
pub(super) fn read(members: &Members) -> Result<RenderOptions, InvalidInput> {
    let name = |member| text(members, member, MAX_DATABLOCK_NAME_BYTES);
    Ok(RenderOptions {
        scene_name: name("sceneName")?,
        view_layer: name("viewLayer")?,
        camera: name("camera")?,
        engine: name("engine")?,
        samples: bounded(members, "samples", 1..=MAX_SAMPLES)?,
        device: device(members)?,
        resolution_percent: bounded(members, "resolutionPercent", 1..=MAX_RESOLUTION_PERCENT)?,
        format: format(members)?,
        persistent_data: flag(members, "persistentData")?,
        scripts: if flag(members, "scripts")? == Some(true) { Scripts::Allowed } else { Scripts::Blocked },
        addons: addons(members)?,
        order: order(members)?,
        allow: allowances(members)?,
    })
}

/// A format by its name, or as an object that says more of it.
fn format(members: &Members) -> Result<Option<ImageFormat>, InvalidInput> {
    let Some(given) = given(members, "format") else { return Ok(None) };
    let because = |error: &dyn std::fmt::Display| InvalidInput::Because(format!("format: {error}"));
    let format = match given {
        Value::String(kind) => serde_json::from_value(json!({"type": kind})),
        Value::Object(_) => serde_json::from_value(given.clone()),
        other => {
            return Err(InvalidInput::Because(format!(
                "format must be a string such as \"PNG\", or an object, not {}",
                kind_of(other)
            )));
        }
    };
    let format: ImageFormat = format.map_err(|error| because(&error))?;
    format.check().map_err(|fault| because(&fault))?;
    Ok(Some(format))
}

fn device(members: &Members) -> Result<Option<DeviceWish>, InvalidInput> {
    let Some(word) = text(members, "device", MAX_DATABLOCK_NAME_BYTES)? else { return Ok(None) };
    word.parse().map(Some).map_err(|error| InvalidInput::Because(format!("device: {error}")))
}

fn order(members: &Members) -> Result<FrameOrder, InvalidInput> {
    match given(members, "order") {
        None => Ok(FrameOrder::Any),
        Some(Value::String(order)) if order == "any" => Ok(FrameOrder::Any),
        Some(Value::String(order)) if order == "sequential" => Ok(FrameOrder::Sequential),
        Some(other) => Err(InvalidInput::Because(format!("order must be \"any\" or \"sequential\", not {other}"))),
    }
}

fn addons(members: &Members) -> Result<BTreeSet<String>, InvalidInput> {
    let because = || {
        let words = format!("addons must be a list of at most {MAX_ADDONS} names of Python modules");
        InvalidInput::Because(words)
    };
    match given(members, "addons") {
        None => Ok(BTreeSet::new()),
        Some(Value::Array(names)) if names.len() <= MAX_ADDONS => {
            let module = |name: &Value| name.as_str().filter(|name| is_module(name)).map(ToOwned::to_owned);
            names.iter().map(module).collect::<Option<_>>().ok_or_else(because)
        }
        Some(_) => Err(because()),
    }
}

/// Whether a text can name a Python module: parts of letters, digits and underscores, with dots between them.
fn is_module(name: &str) -> bool {
    name.len() <= MAX_DATABLOCK_NAME_BYTES
        && name.split('.').all(|part| {
            part.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && part.chars().all(|char| char.is_alphanumeric() || char == '_')
        })
}

fn allowances(members: &Members) -> Result<BTreeSet<Allowance>, InvalidInput> {
    let mut allowed = BTreeSet::new();
    for (allowance, member) in Allowance::ALL {
        if flag(members, member)? == Some(true) {
            allowed.insert(allowance);
        }
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use haywain_shared::devices::DeviceKind;
    use haywain_shared::options::ImageKind;

    use super::*;

    fn read_json(value: Value) -> Result<RenderOptions, InvalidInput> {
        let Value::Object(members) = value else { panic!("{value} is no object") };
        read(&members)
    }

    #[test]
    fn every_member_is_read_as_it_is_meant() {
        let all = json!({
            "sceneName": "Shot 4", "viewLayer": "Beauty", "camera": "Left", "engine": "CYCLES", "samples": 64, "device": "optix",
            "resolutionPercent": 50.0, "format": {"type": "EXR", "colorDepth": 16, "codec": "DWAA"},
            "persistentData": false, "scripts": true, "addons": ["rig_tools", "studio.nodes"], "order": "sequential",
            "allowMissing": true, "allowBrokenDrivers": false, "allowUnbaked": true, "allowUnknown": null
        });
        assert_eq!(MEMBERS.len(), all.as_object().unwrap().len());
        let expected = RenderOptions {
            scene_name: Some("Shot 4".to_owned()),
            view_layer: Some("Beauty".to_owned()),
            camera: Some("Left".to_owned()),
            engine: Some("CYCLES".to_owned()),
            samples: Some(64),
            device: Some(DeviceWish::Kind(DeviceKind::Optix)),
            resolution_percent: Some(50),
            format: Some(ImageFormat {
                kind: ImageKind::OpenExr,
                color_depth: Some(16),
                codec: Some("DWAA".to_owned()),
            }),
            persistent_data: Some(false),
            scripts: Scripts::Allowed,
            addons: ["rig_tools".to_owned(), "studio.nodes".to_owned()].into(),
            order: FrameOrder::Sequential,
            allow: [Allowance::MissingFiles, Allowance::UnbakedSimulations].into(),
        };
        assert_eq!(read_json(all).unwrap(), expected);
        assert_eq!(read_json(json!({"camera": null})).unwrap(), RenderOptions::default());
        assert_eq!(read_json(json!({"format": "JPEG"})).unwrap().format.unwrap().kind, ImageKind::Jpeg);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"camera": ""}), "camera must have from 1 to"),
            (json!({"engine": 7}), "engine must be a string, not a number"),
            (
                json!({"device": "gpus"}),
                "device: there is no device \"gpus\": choose one of cpu, gpu, cuda, optix, hip, metal",
            ),
            (json!({"device": 1}), "device must be a string, not a number"),
            (json!({"samples": 0}), "samples must be from 1 to"),
            (json!({"resolutionPercent": 12.5}), "resolutionPercent must be a whole number, not 12.5"),
            (json!({"format": 7}), "format must be a string such as"),
            (json!({"format": "AVI"}), "format: unknown variant `AVI`, expected one of `PNG`"),
            (json!({"format": {"type": "PNG", "depth": 8}}), "format: unknown field `depth`"),
            (json!({"format": {"type": "PNG", "colorDepth": 32}}), "format: PNG has no colour depth of 32 bits"),
            (json!({"persistentData": "yes"}), "persistentData must be true or false, not a string"),
            (json!({"scripts": 1}), "scripts must be true or false, not a number"),
            (json!({"addons": "rig_tools"}), "addons must be a list of at most"),
            (json!({"addons": ["rig tools"]}), "addons must be a list of at most"),
            (json!({"addons": ["../evil"]}), "addons must be a list of at most"),
            (json!({"order": "backwards"}), "order must be \"any\" or \"sequential\", not \"backwards\""),
            (json!({"allowMissing": 1}), "allowMissing must be true or false, not a number"),
        ];
        for (members, reason) in cases {
            let said = read_json(members.clone()).unwrap_err().to_string();
            assert!(said.starts_with(&format!("Invalid input: {reason}")), "{members}: {said}");
        }
    }
}
