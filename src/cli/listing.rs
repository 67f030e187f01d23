//! Lists that come a page at a time, whole.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::arguments::administration::Reach;
use super::client::{Gateway, with_query};
use super::{Failure, Outcome, block_on, say};
use crate::admin::api::page::Page;

/// Entries asked for at once.
const AT_ONCE: &str = "1000";

/// Fetches all pages of a path that may have a query, and shows them: one JSON array, or what `text` makes of them.
pub(super) fn list_all<T: DeserializeOwned>(reach: &Reach, path: &str, text: impl Fn(&[T]) -> String) -> Outcome {
    let gateway = Gateway::of(&reach.target)?;
    block_on(async {
        let items = fetch_all(&gateway, path).await?;
        if reach.json {
            return say(&format!("{}\n", json!(items)));
        }
        let of_another_version = |error| Failure::Failed(format!("the gateway is of another version: {error}"));
        let items: Vec<T> = serde_json::from_value(items.into()).map_err(of_another_version)?;
        say(&text(&items))
    })
}

/// All pages.
pub(super) async fn fetch_all(gateway: &Gateway, path: &str) -> Result<Vec<Value>, Failure> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let query = with_query("", &[("limit", Some(AT_ONCE.to_owned())), ("after", after)]);
        // The path may have a query of its own.
        let query = if path.contains('?') { query.replacen('?', "&", 1) } else { query };
        let page: Page<Value> = gateway.fetch(&format!("{path}{query}")).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(items),
        }
    }
}
