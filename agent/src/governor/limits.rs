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
    /// The GPUs that Blenders compute on: there is a slot for each, unless the owner wants a number.
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
    /// What an agent may use that may use `cores` of a machine's processors, unless its owner has bounded that further.
    #[must_use]
    pub fn new(
        slots: Option<WantedSlots>,
        gpus: u32,
        machine_cores: u32,
        cores: u32,
        max_cpu: Option<Processors>,
        memory: MemoryLimits,
    ) -> Self {
        let overbooking = if max_cpu.is_some() { Overbooking::Never } else { Overbooking::Mild };
        let cores = max_cpu.map_or(cores, |most| most.whole_of(cores));
        Self { slots, gpus, machine_cores, cores, overbooking, memory }
    }
}

#[cfg(test)]
impl Limits {
    /// All of a machine with so many processors.
    pub(crate) const fn of_machine(cores: u32) -> Self {
        let memory = MemoryLimits { max_bytes: None, reserve_bytes: 0 };
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
