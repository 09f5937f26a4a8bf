//! What a slot renders with: its share of the machine's GPUs, and of that what a scene gets. A GPU belongs to one slot alone: two
//! frames on one would fight for its memory.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use haywain_shared::cause::Cause;
use haywain_shared::devices::{DeviceFacts, DeviceKind, DeviceWish, Painter, choose, choose_again};
use haywain_shared::protocol::{BlenderBuild, BlenderFacts};

use crate::blender::protocol::DeviceOrder;
use crate::blender::session::Failure;

/// What Blender adds to the id of a GPU that it uses through `OptiX`: without it, the id is the one for CUDA.
const OPTIX_SUFFIX: &str = "_OptiX";

/// What a slot renders with.
#[derive(Debug, Clone)]
pub struct Equipment {
    blenders: Arc<[BlenderFacts]>,
    free: Option<Vec<String>>,
}

impl Equipment {
    /// What slot `number` has of the devices of these Blenders, where the first `sharers` slots share the GPUs.
    #[must_use]
    pub fn of(blenders: Arc<[BlenderFacts]>, number: u32, sharers: u32) -> Self {
        let free = share(&blenders, number, sharers);
        Self { blenders, free }
    }

    /// The ids of the devices that are the slot's; `None` is all.
    #[must_use]
    pub const fn free(&self) -> Option<&Vec<String>> {
        self.free.as_ref()
    }

    /// What a scene that is open is to be rendered with; `None` leaves it to the engine. `granted` is what the orchestrator
    /// says, which does not know a scene before somebody has opened it.
    pub(super) fn order(
        &self,
        blender: &BlenderBuild,
        granted: Option<DeviceKind>,
        wish: Option<DeviceWish>,
        painter: Painter,
    ) -> Result<Option<DeviceOrder>, Failure> {
        let facts = self.blenders.iter().find(|facts| facts.build == *blender);
        let devices = facts.map(|facts| facts.devices.as_slice()).unwrap_or_default();
        if devices.is_empty() && granted.is_none() && wish.is_none() {
            // It could not be found out what there is. On processors nothing is to be chosen; a scene that is for a GPU would be rendered by
            // them, or by software, without a word.
            return match painter {
                Painter::CyclesOnCpu | Painter::Foreign | Painter::Unknown => Ok(None),
                Painter::CyclesOnGpu | Painter::Rasterizer => {
                    let message = "the scene is for a GPU, and it could not be found out what devices Blender has here: the agent's log \
                                   and `haywain-agent doctor` say why";
                    Err(Failure::new(Cause::DeviceUnavailable, message))
                }
            };
        }
        let is_free = |device: &&DeviceFacts| self.free.as_ref().is_none_or(|free| free.contains(&device.id));
        let free: Vec<_> = devices.iter().filter(is_free).collect();
        let kinds: Vec<_> = free.iter().map(|device| device.kind).collect();
        let chosen = match granted {
            Some(granted) => choose_again(granted, wish, painter, &kinds),
            None => choose(wish, painter, &kinds),
        };
        let kind = chosen.map_err(|lacking| {
            let mut message = format!("this slot has no {lacking}: it has ");
            for (place, device) in free.iter().enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                let _ = write!(message, "{comma}{} ({})", device.kind, device.name);
            }
            Failure::new(Cause::DeviceUnavailable, if free.is_empty() { message + "none" } else { message })
        })?;
        let ids = |kind| free.iter().filter(|device| device.kind == kind).map(|device| device.id.clone()).collect();
        Ok(kind.map(|kind| DeviceOrder { kind, ids: if kind.is_compute_gpu() { ids(kind) } else { Vec::new() } }))
    }
}

/// How many GPUs there are that these Blenders compute on.
#[must_use]
pub fn gpus(blenders: &[BlenderFacts]) -> u32 {
    u32::try_from(gpus_of(blenders).len()).unwrap_or(u32::MAX)
}

fn gpus_of(blenders: &[BlenderFacts]) -> BTreeSet<&str> {
    let devices = blenders.iter().flat_map(|facts| &facts.devices);
    devices.filter(|device| device.kind.is_compute_gpu()).map(gpu).collect()
}

/// The ids of all devices that are the slot's: of the GPUs every `sharers`th, so that each is with one slot and none lies idle, and
/// all that are no GPUs. `None` where there is nothing to share.
fn share(blenders: &[BlenderFacts], number: u32, sharers: u32) -> Option<Vec<String>> {
    let gpus = gpus_of(blenders);
    if gpus.is_empty() {
        return None;
    }
    let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let own: Vec<_> = if number < sharers {
        gpus.into_iter().skip(index(number)).step_by(index(sharers)).collect()
    } else {
        Vec::new()
    };
    let is_own = |device: &&DeviceFacts| !device.kind.is_compute_gpu() || own.contains(&gpu(device));
    let mut ids: Vec<_> =
        blenders.iter().flat_map(|facts| &facts.devices).filter(is_own).map(|device| device.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

/// The GPU that a device is, however it is used.
fn gpu(device: &DeviceFacts) -> &str {
    device.id.strip_suffix(OPTIX_SUFFIX).unwrap_or(&device.id)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Facts of a machine with two GPUs of NVIDIA's, made up after Blender's sources: nobody has run it on one.
    fn two_gpus() -> Arc<[BlenderFacts]> {
        let device = |kind: &str, id: &str| json!({"kind": kind, "name": id.split('_').next_back(), "id": id});
        let facts = |version: &str, devices: Vec<Value>| {
            let facts = json!({"version": version, "kind": "program", "devices": devices});
            serde_json::from_value::<BlenderFacts>(facts).unwrap()
        };
        let (a, b) = ("CUDA_NVIDIA RTX A4000_0000:01:00", "CUDA_NVIDIA RTX A4000_0000:41:00");
        let optix = |id: &str| device("optix", &format!("{id}{OPTIX_SUFFIX}"));
        let new = vec![device("cpu", "CPU"), optix(a), optix(b), device("cuda", a), device("cuda", b)];
        let old = vec![device("cpu", "CPU"), device("cuda", a), device("cuda", b)];
        [facts("5.0.1", new), facts("3.4.1", old)].into()
    }

    #[test]
    fn each_gpu_is_with_one_slot() {
        let (a, b) = ("0000:01:00", "0000:41:00");
        let cases: [(u32, &[&[&str]]); 4] =
            [(1, &[&[a, b], &[]]), (2, &[&[a], &[b], &[]]), (3, &[&[a], &[b], &[]]), (4, &[&[a], &[b], &[], &[]])];
        for (sharers, expected) in cases {
            for (number, own) in (0..).zip(expected) {
                let equipment = Equipment::of(two_gpus(), number, sharers);
                let free = equipment.free().unwrap();
                assert!(free.contains(&"CPU".to_owned()));
                for gpu in [a, b] {
                    let ways = free.iter().filter(|id| id.contains(gpu)).count();
                    assert_eq!(ways, if own.contains(&gpu) { 2 } else { 0 }, "slot {number} of {sharers}: {free:?}");
                }
            }
        }
        assert_eq!(gpus(&two_gpus()), 2);
        let none: Arc<[BlenderFacts]> = [].into();
        assert_eq!(Equipment::of(none, 0, 4).free(), None);
    }

    #[test]
    fn a_scene_gets_what_it_asks_for_or_the_slot_says_what_it_has() {
        let build = |version: &str| serde_json::from_value(json!({"version": version, "kind": "program"})).unwrap();
        let first = Equipment::of(two_gpus(), 0, 3);
        let last = Equipment::of(two_gpus(), 2, 3);
        let order = |equipment: &Equipment, version: &str, granted, painter| {
            equipment.order(&build(version), granted, None, painter)
        };
        let optix = order(&first, "5.0.1", None, Painter::CyclesOnGpu).unwrap().unwrap();
        let ids = vec!["CUDA_NVIDIA RTX A4000_0000:01:00_OptiX".to_owned()];
        assert_eq!(optix, DeviceOrder { kind: DeviceKind::Optix, ids });
        let cuda = order(&first, "3.4.1", Some(DeviceKind::Cuda), Painter::CyclesOnGpu).unwrap().unwrap();
        assert_eq!((cuda.kind, cuda.ids.len()), (DeviceKind::Cuda, 1));
        let cpu = order(&last, "5.0.1", None, Painter::CyclesOnCpu).unwrap();
        assert_eq!(cpu, Some(DeviceOrder { kind: DeviceKind::Cpu, ids: Vec::new() }));
        let none = order(&last, "5.0.1", None, Painter::CyclesOnGpu).unwrap_err();
        assert_eq!(none.cause, Cause::DeviceUnavailable);
        assert!(none.message.starts_with("this slot has no GPU, which the scene asks for"), "{none}");
        assert!(none.message.ends_with("it has CPU (CPU)"), "{none}");
        let begun = order(&first, "3.4.1", Some(DeviceKind::Optix), Painter::CyclesOnGpu).unwrap_err();
        assert!(begun.message.contains("no OptiX, which the job was begun with"), "{begun}");
        // Of this Blender nothing is known.
        for (painter, is_rendered) in [
            (Painter::CyclesOnCpu, true),
            (Painter::Foreign, true),
            (Painter::CyclesOnGpu, false),
            (Painter::Rasterizer, false),
        ] {
            let ordered = order(&first, "4.2.0", None, painter).map_err(|failure| failure.cause);
            assert_eq!(ordered, if is_rendered { Ok(None) } else { Err(Cause::DeviceUnavailable) }, "{painter:?}");
        }
    }
}
