//! How long the audit trail is kept.

use std::time::Duration;

use pushgate::store::{AuditFilter, Deed, Store};

use crate::over_both;
use crate::scene::{Database, anna, eventually};

const DAY_S: u64 = 86_400;

fn insert(count: usize, days_ago: u64) -> String {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - days_ago * DAY_S;
    let values = vec![format!("({at}, 'anna', 'x', 'old act', 'done', '')"); count];
    format!("INSERT INTO audit (at, actor, source, act, outcome, detail) VALUES {}", values.join(", "))
}

async fn entries(store: &Store) -> usize {
    store.audit_trail(AuditFilter::default(), None, 1_000).await.unwrap().len()
}

async fn entries_that_are_too_old_go_and_no_others(database: Database) {
    let forever = database.open().await;
    forever.audit(&anna(), Deed::new("first")).await.unwrap();
    database.by_hand(&insert(2_500, 31)).unwrap();
    database.by_hand(&insert(3, 29)).unwrap();
    forever.audit(&anna(), Deed::new("second")).await.unwrap();
    assert_eq!(entries(&forever).await, 1_000, "a page of what is all still there");
    forever.close().await;

    let mut settings = database.settings();
    settings.audit_keep = Some(Duration::from_secs(30 * DAY_S));
    let store = Store::open(&settings).await.unwrap();
    eventually("the old ones are gone", async || entries(&store).await == 5).await;
    let refused = database.by_hand("DELETE FROM audit WHERE act = 'old act'").unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
    let refused = database.by_hand("UPDATE audit SET actor = 'ben'").unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
    assert_eq!(entries(&store).await, 5);
}

over_both!(entries_that_are_too_old_go_and_no_others);
