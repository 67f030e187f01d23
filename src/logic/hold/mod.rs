//! Held requests: what a lot decides, without sockets, clocks or threads.
//!
//! [`lot::Lot`] takes inputs (`offer`, `changed`, `synced`, `checked`, `hung_up`, time) and leaves
//! [`lot::Output`]s; a lot thread performs them, the simulation plays them. One lot owns everything about its
//! mailboxes, so "register, then look" is a sequence of steps on one thread.
//!
//! * [`lot`]: the state machine. * [`slab`]: slots by index and generation. * [`wheel`]: one timer a slot.
//! * [`registry`]: mailboxes and their devices. * [`folders`]: a device's folders and its freshness in each.
//! * [`trials`]: how often a backend that fails is asked again.
//! * [`change`]: what a notification source says. * [`early`]: before its devices are back after a start. * [`losses`]: and what of it got lost. * [`moment`]: time as an argument. * `guards`: for the simulation.

pub mod change;
pub mod early;
pub mod folders;
#[doc(hidden)]
pub mod guards;
pub mod losses;
pub mod lot;
pub mod moment;
pub mod path;
pub mod registry;
pub mod slab;
pub mod trials;
pub mod wheel;

pub use change::{MailboxChange, Scope};
pub use folders::{AsOf, SyncTraits};
pub use lot::{HoldKind, Lot, LotOptions, Offer, Outcome, Output, Resolve, Who};
pub use moment::Moment;
pub use slab::SlotKey;
