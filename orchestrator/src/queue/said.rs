//! How much is kept of what an agent says in words: of a reason its beginning, of a log its end.

/// The longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 4 * 1024;
/// The longest end of a log that is kept, in bytes.
const MAX_LOG_BYTES: usize = 64 * 1024;

/// Why something failed, as much of it as is kept.
#[must_use]
pub fn reason(mut said: String) -> String {
    if said.len() > MAX_REASON_BYTES {
        said.truncate(said.floor_char_boundary(MAX_REASON_BYTES));
    }
    said
}

/// The end of a log, as much of it as is kept.
#[must_use]
pub fn log(mut said: String) -> String {
    if let Some(surplus) = said.len().checked_sub(MAX_LOG_BYTES) {
        said.drain(..said.ceil_char_boundary(surplus));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_reason_the_beginning_is_kept_and_of_a_log_the_end() {
        let text = |length: usize, unit: &str| format!("a{}z", unit.repeat(length));
        let cases = [
            (text(10, "x"), text(10, "x"), text(10, "x")),
            (text(MAX_REASON_BYTES - 2, "x"), text(MAX_REASON_BYTES - 2, "x"), text(MAX_REASON_BYTES - 2, "x")),
            (
                text(MAX_LOG_BYTES, "x"),
                format!("a{}", "x".repeat(MAX_REASON_BYTES - 1)),
                format!("{}z", "x".repeat(MAX_LOG_BYTES - 1)),
            ),
            // A letter of two bytes is kept whole or not at all.
            (
                text(MAX_LOG_BYTES, "ä"),
                format!("a{}", "ä".repeat(MAX_REASON_BYTES / 2 - 1)),
                format!("{}z", "ä".repeat(MAX_LOG_BYTES / 2 - 1)),
            ),
        ];
        for (said, as_reason, as_log) in cases {
            assert!(reason(said.clone()) == as_reason && log(said.clone()) == as_log, "{} bytes", said.len());
        }
    }
}
