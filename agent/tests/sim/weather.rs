//! How bad the network is, and who can't reach whom.

use std::collections::BTreeSet;

/// What may happen to a call, each in so many of a thousand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather {
    /// The request never arrives.
    pub(crate) loses_requests: u64,
    /// It arrives, and the answer does not.
    pub(crate) loses_answers: u64,
    /// It arrives a second time, later.
    pub(crate) doubles: u64,
    /// An upload is cut off, or damaged.
    pub(crate) spoils_uploads: u64,
    /// The longest delay of a message, in milliseconds.
    pub(crate) delay_ms: u64,
    /// Now and then, the longest delay of a message.
    pub(crate) long_delay_ms: u64,
    /// Agents that are cut off.
    pub(crate) cut_off: BTreeSet<usize>,
}

impl Weather {
    /// A good day.
    pub(crate) fn calm() -> Self {
        Self { delay_ms: 20, long_delay_ms: 20, ..Self::default() }
    }
}
