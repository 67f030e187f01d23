//! Devices and what they are held to: policies, partnerships, access, provisioning, remote wipe (MS-ASPROV; Exchange 2007's
//! management, for any backend). Values in, values out; time is a [`Timestamp`], randomness an argument.
//!
//! * [`Setting`]: every setting as data: name, type, range, default, how it is written. [`Policy`]: a name and its settings.
//! * [`document`]: a policy as a device of each version gets it, and its hash. [`provisioning`]: the two-step exchange.
//! * [`gate`]: what becomes of a request before anything is forwarded. [`signal`]: a refusal → HTTP and EAS status.
//! * [`enforce`]: attachments and file servers, which no device is trusted with. [`recovery`]: the recovery password.
//! * [`Partnership`]: what is known of a mailbox's device. [`access`]: may it sync at all. [`wipe`]: orders to erase.
//! * [`assign`]: which policy a mailbox has, and why. [`loops`]: devices that never get anywhere.

pub mod access;
pub mod assign;
mod change;
pub mod document;
pub mod enforce;
pub mod gate;
pub mod loops;
mod name;
mod parse;
mod partnership;
mod policies;
pub mod provisioning;
mod record;
pub mod recovery;
mod reference;
mod serial;
mod setting;
mod settings;
pub mod signal;
#[cfg(test)]
mod tests;
mod timestamp;
mod value;
pub mod wipe;

pub use change::{Changes, Problem, Problems};
pub use name::{NameError, PolicyName};
pub use partnership::{Attempt, Partnership};
pub use policies::{Policies, PoliciesError, Prepared};
pub use record::Policy;
pub use reference::settings_reference;
pub use setting::{Definition, Element, Kind, Unit};
pub use settings::Setting;
pub use timestamp::Timestamp;
pub use value::Value;
