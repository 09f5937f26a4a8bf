//! Reads what little of a .blend the client must know without Blender: what kind of file it is, and which frames its
//! scene renders. It never trusts a length that the file states: whatever is read at once is bounded.

mod blocks;
mod kind;
mod sdna;
mod timeline;

pub use kind::kind_of;
pub(crate) use kind::said;
pub use timeline::{BlendError, Timeline, timeline};
