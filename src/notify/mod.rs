//! Notification sources: what arrives → changes for the lots.
//!
//! In: bytes of a source, already authenticated. Out: [`MailboxChange`]s, handed to a [`ChangeSink`] without waiting
//! for any work. Nothing here knows a device, a Ping or a lot; whether a change wakes anybody is the lots' decision.
//!
//! Which sources are believed, and so which classes are pushed, is the [`supervisor`]'s to say.
//!
//! * [`intake`]: bytes of a calling source → sink, with repeats, bounds and counters. * `webhook`, `dovecot`: one
//!   parser each. * `repeats`: ids seen lately.
//! * [`supervisor`]: what `logic::source` decides, told to others. * `canary`: delivers canaries. * `lmtp`: over LMTP.

mod canary;
#[cfg(test)]
mod canary_tests;
mod dovecot;
mod entry;
#[doc(hidden)]
pub mod fuzzing;
pub mod intake;
pub mod lmtp;
mod repeats;
#[cfg(test)]
pub(crate) mod standin_lmtp;
pub mod supervisor;
mod webhook;

use std::time::Duration;

use tokio::sync::oneshot;

pub(crate) use canary::run as run_command;
pub use intake::{Accepted, Intake, Refused};
pub use supervisor::Supervisor;

use crate::logic::hold::MailboxChange;

/// Who reported a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `POST /v1/notifications`.
    Webhook,
    /// `PUT` or `POST /v1/dovecot`.
    Dovecot,
    /// A person, through a command.
    Manual,
}

impl Source {
    /// The `source` label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Source::Webhook => "webhook",
            Source::Dovecot => "dovecot",
            Source::Manual => "manual",
        }
    }
}

/// Where changes go: the lots.
pub trait ChangeSink: Send + Sync + 'static {
    /// Hands changes to their lots without waiting for any work. `Err(Overloaded)` when an inbox is full: then nothing
    /// of the batch may be assumed applied, and some of it may have been; the sender repeats all of it.
    fn changed(&self, source: Source, changes: Vec<MailboxChange>) -> Result<Woken, Overloaded>;
}

/// A lot's inbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

impl std::fmt::Display for Overloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a lot's inbox is full")
    }
}

impl std::error::Error for Overloaded {}

/// The number of held Pings that a batch of changes wakes, once every lot concerned has decided.
///
/// Dropping it is fine: a lot whose receiver is gone loses nothing but the count.
#[derive(Debug, Default)]
pub struct Woken(Vec<oneshot::Receiver<usize>>);

impl Woken {
    /// One receiver for each lot that got changes; none means that nobody is woken.
    pub fn pending(lots: Vec<oneshot::Receiver<usize>>) -> Woken {
        Woken(lots)
    }

    /// A count known already.
    pub fn known(count: usize) -> Woken {
        let (sender, receiver) = oneshot::channel();
        let delivered = sender.send(count);
        debug_assert!(delivered.is_ok(), "the receiver is right here");
        Woken(vec![receiver])
    }

    /// The sum over all lots, or `None` if one of them did not say within `wait`.
    pub async fn count(self, wait: Duration) -> Option<usize> {
        let sum = async {
            let mut sum = 0;
            for lot in self.0 {
                sum += lot.await.ok()?;
            }
            Some(sum)
        };
        tokio::time::timeout(wait, sum).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_count_is_the_sum_over_the_lots() {
        let (first, first_receiver) = oneshot::channel();
        let (second, second_receiver) = oneshot::channel();
        first.send(2).expect("open");
        second.send(3).expect("open");
        let woken = Woken::pending(vec![first_receiver, second_receiver]);
        assert_eq!(woken.count(Duration::from_secs(5)).await, Some(5));
        assert_eq!(Woken::default().count(Duration::ZERO).await, Some(0));
        assert_eq!(Woken::known(7).count(Duration::from_secs(5)).await, Some(7));
    }

    #[tokio::test]
    async fn a_lot_that_does_not_say_or_is_gone_leaves_the_count_unknown() {
        let (silent, receiver) = oneshot::channel();
        assert_eq!(Woken::pending(vec![receiver]).count(Duration::from_millis(20)).await, None);
        drop(silent);
        let (gone, receiver) = oneshot::channel::<usize>();
        drop(gone);
        assert_eq!(Woken::pending(vec![receiver]).count(Duration::from_secs(5)).await, None);
    }
}
