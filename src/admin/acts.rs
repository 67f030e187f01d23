//! Where administrators' acts meet the data plane. The store already has the act, and every later request is decided by it; what is
//! left is the device that is waiting: a held Ping would keep it from hearing anything for as long as its heartbeat lasts.

use super::view::BoxFuture;
use crate::logic::eas::{DeviceId, Mailbox};

/// Whom an act concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// One device of one mailbox: a wipe, a block, a removal.
    Device(Mailbox, DeviceId),
    /// Every device of a mailbox: its policy, its switches.
    Mailbox(Mailbox),
    /// Any device: a policy, a list, a domain, the access rules.
    Everybody,
}

/// The data plane, told that something was said of devices.
pub trait Acts: Send + Sync + 'static {
    /// Asks the gate again about the held Pings (and hanging Syncs) of those concerned, and answers those that it would no longer let
    /// through: a Ping with Status 7, upon which the device syncs its folders and is told what is wanted of it. Pings that may stay are
    /// left alone. Called after the act is on the disk and in the snapshot. [`Concern::Everybody`] may be most of them: answer those
    /// paced, as a drain does, and return once the work is queued, not when it is done.
    ///
    /// Gives how many are answered, as far as that is known at once.
    fn look_again(&self, concern: Concern) -> BoxFuture<'_, usize>;
}
