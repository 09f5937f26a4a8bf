//! The beginning of a .blend: its bytes, whichever way it is compressed, and its header. No length that a file states is
//! trusted.

mod first_block;
mod header;
mod stream;

pub use header::{BadHeader, Form, Header, PointerWidth, TO_HEADER_BYTES, saved_by};
pub use stream::Stream;
