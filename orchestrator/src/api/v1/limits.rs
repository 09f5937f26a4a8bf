//! How many items a page has.

use crate::api::problem::Failed;

/// Items on a page unless the caller says how many.
const DEFAULT_LIMIT: u32 = 100;
/// The most items on a page.
const MAX_LIMIT: u32 = 1000;

/// The number that was asked for, if a page can have so many.
pub(super) fn limit(given: Option<u32>) -> Result<u32, Failed> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Failed::invalid(format!("limit must be from 1 to {MAX_LIMIT}, not {limit}")))
    }
}
