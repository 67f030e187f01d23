//! Lists, a page at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::problem::Problem;
use crate::config::limits::LISTED_MAX;
use crate::logic::policy::Timestamp;

/// Entries of a page when nobody says how many.
const USUAL: usize = 100;
/// Characters of a search.
const SEARCH_CHARS_MAX: usize = 255;

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Page<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// What to give as `after` for the next page; null: this was the last one.
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

/// What to search for: every row is compared with it, so it is short.
pub(super) fn search(given: Option<String>) -> Result<Option<String>, Problem> {
    let is_long = given.as_deref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX);
    if is_long { Err(Problem::bad_request(format!("Search for at most {SEARCH_CHARS_MAX} characters."))) } else { Ok(given) }
}

/// A time of a query.
pub(super) fn time(given: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let bad = |()| Problem::bad_request("A time is UTC, such as 2026-11-22T20:23:13Z or 2026-11-22.");
    let read = |text: &str| text.parse().or_else(|()| format!("{text}T00:00:00Z").parse());
    given.map(|text| read(text).map_err(bad)).transpose()
}

/// The first page of what comes in order; the cursor is the last entry's key.
pub(super) fn of_sorted<T>(entries: impl Iterator<Item = T>, limit: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let mut items: Vec<T> = entries.take(limit + 1).collect();
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(key);
    Page { items, next }
}
