//! What the governor may use: the machine as far as it is this agent's, and what its owner has said. And what it reads of the
//! machine while it works.

use super::setting::WantedSlots;

/// The bounds, which stay while the agent lives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What the owner wants, if it is not the governor's to choose.
    pub slots: Option<WantedSlots>,
    /// All processors of the machine, whoever may use them.
    pub machine_cores: u32,
    /// Those that this agent may use: fewer in a container, or where its owner has said so.
    pub cores: u32,
    /// Whether there may be more threads than processors.
    pub overbooking: Overbooking,
    /// The most memory that all sessions together may have.
    pub max_memory_bytes: u64,
    /// The memory that stays free.
    pub reserve_bytes: u64,
    /// How many processors others may use before the agent stands back; it never does unless set.
    pub stands_back_above: Option<f32>,
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
