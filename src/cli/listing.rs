//! What the gateway answers, shown: one thing, or a list that comes a page at a time, whole.

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
        let items: Vec<T> = understand(items.into())?;
        say(&text(&items))
    })
}

/// Shows one thing: as JSON, or what `text` makes of it.
pub(super) fn show<T: DeserializeOwned>(reach: &Reach, thing: Value, text: impl FnOnce(&T) -> String) -> Outcome {
    if reach.json {
        return say(&format!("{thing}\n"));
    }
    say(&text(&understand(thing)?))
}

/// Says that something without an answer is done.
pub(super) fn done(reach: &Reach, text: &str) -> Outcome {
    say(if reach.json { "{}\n" } else { text })
}

fn understand<T: DeserializeOwned>(thing: Value) -> Result<T, Failure> {
    serde_json::from_value(thing).map_err(|error| Failure::Failed(format!("the gateway is of another version: {error}")))
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
