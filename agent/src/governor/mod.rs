//! The governor: how many frames are rendered at once, and with how many threads each. It is a rule on values, with no clock and
//! no machine of its own: it is told what the machine has to spare and when frames were finished, and says what the setting is
//! to be. The `crew` carries that out.
//!
//! It begins with one slot, tries what is near its setting, and keeps what is faster by a margin (`trial`). It compares like
//! with like: one job, every slot at work, as many processors to itself (`window`). Invariant: it never wants more slots than
//! fit into memory (`room`), the first and those that the owner has fixed apart.

mod courtesy;
mod findings;
mod ladder;
mod limits;
mod processors;
mod room;
mod rule;
mod setting;
mod share;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod trial;
mod window;

pub use self::courtesy::{Courtesy, Turn};
pub use self::limits::{Limits, Overbooking, Reading};
pub use self::processors::Processors;
pub use self::rule::{Governor, Muster};
pub use self::setting::{Setting, WantedSlots};
pub use self::window::FrameTime;
