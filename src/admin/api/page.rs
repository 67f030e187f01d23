//! Lists, a page at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::problem::Problem;
use crate::config::limits::LISTED_MAX;

/// Entries of a page when nobody says how many.
const USUAL: usize = 100;

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Page<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// What to give as `after` for the next page; null: this was the last one.
    #[schemars(required)]
    pub(crate) next: Option<String>,
}

/// How many to list.
pub(super) fn limit(given: Option<usize>) -> Result<usize, Problem> {
    let limit = given.unwrap_or(USUAL);
    if (1..=LISTED_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::bad_request(format!("The limit is a number from 1 to {LISTED_MAX}.")))
    }
}

/// A cursor that is a number.
pub(super) fn number(after: Option<&str>) -> Result<Option<u64>, Problem> {
    let number = |text: &str| {
        text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).filter(|number| *number <= i64::MAX as u64)
    };
    after.map(|text| number(text).ok_or_else(bad_cursor)).transpose()
}

pub(super) fn bad_cursor() -> Problem {
    Problem::bad_request("Give as after what the page before gave as next, or leave it out to begin at the first.")
}
