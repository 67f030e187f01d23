//! Requests that wait: Ping and hanging Sync look again and again until there is something to say.

use tokio::time::Instant;

use super::mailbox::Mailbox;
use super::shared::{Shared, Who};

/// How waiting ended.
#[derive(Debug)]
pub(super) enum Held<T> {
    /// There is something to say.
    Found(T),
    /// The time is over.
    Over,
    /// A newer request of the same device took its place.
    Replaced,
}

/// Looks at once, then at every poll (or when told, for event-driven backends), until `for_s` are over.
pub(super) async fn hold<T>(shared: &Shared, who: &Who, for_s: u32, mut look: impl FnMut(&mut Mailbox) -> Option<T>) -> Held<T> {
    let deadline = Instant::now() + shared.seconds(for_s);
    let (generation, mut changed) = shared.with_mailbox(&who.mailbox, |mailbox| {
        let partnership = mailbox.partnerships.entry(who.device.clone()).or_default();
        partnership.held += 1;
        let generation = partnership.held;
        // Event-driven backends notice at once that a newer request is there.
        mailbox.tell();
        (generation, mailbox.changed.subscribe())
    });
    loop {
        changed.mark_unchanged();
        let looked = shared.with_mailbox(&who.mailbox, |mailbox| {
            let is_newest = mailbox.partnerships.get(&who.device).is_some_and(|partnership| partnership.held == generation);
            if is_newest { look(mailbox).map(Held::Found) } else { Some(Held::Replaced) }
        });
        if let Some(end) = looked {
            return end;
        }
        let now = Instant::now();
        if now >= deadline {
            return Held::Over;
        }
        match shared.manners.poll_s {
            Some(poll_s) => tokio::time::sleep_until(deadline.min(now + shared.seconds(poll_s))).await,
            None => {
                // Either the deadline or a change: both are looked at above.
                let _ = tokio::time::timeout_at(deadline, changed.changed()).await;
            }
        }
    }
}
