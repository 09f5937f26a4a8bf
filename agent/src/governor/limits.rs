//! What the governor may use: the machine as far as it is this agent's, and what its owner has said. And what it reads of the
//! machine while it works.

use super::processors::Processors;
use super::setting::WantedSlots;
use crate::memory::limits::Limits as MemoryLimits;

/// The bounds, which stay while the agent lives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What the owner wants, if it is not the governor's to choose.
    pub slots: Option<WantedSlots>,
    /// The slots that GPUs are dealt out to: one for each that Blenders compute on, as far as the owner's bound on processors goes.
    pub gpus: u32,
    /// All processors of the machine, whoever may use them.
    pub machine_cores: u32,
    /// Those that this agent may use: fewer in a container, or where its owner has said so.
    pub cores: u32,
    /// Whether there may be more threads than processors.
    pub overbooking: Overbooking,
    /// The memory that all sessions together may have.
    pub memory: MemoryLimits,
}

impl Limits {
    /// What an agent may use that may use `cores` of a machine's processors, unless its owner has bounded that further. Each slot
    /// renders with a thread at least.
    pub fn new(
        slots: Option<WantedSlots>,
        gpus: u32,
        machine_cores: u32,
        cores: u32,
        max_cpu: Option<Processors>,
        memory: MemoryLimits,
    ) -> Result<Self, TooManyThreads> {
        let whole = Self { slots, gpus, machine_cores, cores, overbooking: Overbooking::Mild, memory };
        let Some(most) = max_cpu else { return Ok(whole) };
        let cores = most.whole_of(cores);
        match slots {
            Some(slots) if slots.least_threads() > cores => Err(TooManyThreads { slots, most, cores }),
            _ => Ok(Self { gpus: gpus.min(cores), cores, overbooking: Overbooking::Never, ..whole }),
        }
    }
}

/// The owner wants more threads than he allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--slots {} takes {} render threads at least, and --max-cpu {} allows {cores} on this machine: want fewer slots or threads, allow \
     more processors, or leave one of the two out",
    String::from(*slots),
    slots.least_threads(),
    String::from(*most)
)]
pub struct TooManyThreads {
    slots: WantedSlots,
    most: Processors,
    cores: u32,
}

#[cfg(test)]
impl Limits {
    /// All of a machine with so many processors.
    pub(crate) const fn of_machine(cores: u32) -> Self {
        let memory = MemoryLimits { max_bytes: None, reserve_bytes: 0, machine_bytes: u64::MAX };
        Self { slots: None, gpus: 0, machine_cores: cores, cores, overbooking: Overbooking::Mild, memory }
    }
}

/// Whether more threads than processors may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overbooking {
    /// A few, so that processors have something to do while a frame waits.
    Mild,
    /// None: the owner has set a bound.
    Never,
}

/// The machine at one moment, as far as the governor looks at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Processors that programs use which are not this agent's.
    pub foreign_cores: f32,
    /// Memory that a program could still get; limits of a container count.
    pub memory_available_bytes: u64,
    /// Memory that the agent's Blenders have.
    pub own_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_processors_bounds_slots_threads_and_gpus() {
        #[rustfmt::skip]
        let cases = [
            // slots, bound, GPUs of eight processors; slots for GPUs and processors, or what is wrong
            (None,        None,        2,  Ok((2, 8))),
            (Some("4x4"), None,        0,  Ok((0, 8))),
            (None,        Some("6"),   2,  Ok((2, 6))),
            (None,        Some("50%"), 8,  Ok((4, 4))),
            (Some("4"),   Some("4"),   0,  Ok((0, 4))),
            (Some("2x2"), Some("50%"), 0,  Ok((0, 4))),
            (Some("2x1"), Some("16"),  0,  Ok((0, 8))),
            (Some("5"),   Some("4"),   0,  Err("--slots 5 takes 5 render threads at least, and --max-cpu 4 allows 4 on this machine")),
            (Some("2x3"), Some("5"),   0,  Err("--slots 2x3 takes 6 render threads at least, and --max-cpu 5 allows 5 on this machine")),
            (Some("2x3"), Some("60%"), 0,  Err("--slots 2x3 takes 6 render threads at least, and --max-cpu 60% allows 4 on this machine")),
        ];
        for (slots, max_cpu, gpus, expected) in cases {
            let read = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let memory = MemoryLimits { max_bytes: None, reserve_bytes: 0, machine_bytes: u64::MAX };
            let max_cpu: Option<Processors> = max_cpu.map(|text| text.parse().unwrap());
            let limits = Limits::new(read(slots), gpus, 8, 8, max_cpu, memory);
            let found = limits.map(|limits| (limits.gpus, limits.cores)).map_err(|error| error.to_string());
            match (found, expected) {
                (Err(error), Err(begins)) => assert!(error.starts_with(begins), "{error}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{slots:?} {max_cpu:?} {gpus}"),
            }
        }
    }
}
