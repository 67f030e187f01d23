//! Provision (MS-ASPROV 3.2.5): a policy is handed over in two steps, and orders to erase go the same way.
//!
//! A request, the partnership as it is, the policy, the time and a random number → the answer, the partnership as it is then, and what
//! happened. The partnership must be stored before the answer is sent: a key that was given out is never forgotten.

mod exchange;
mod state;

pub use exchange::{Context, Fact, Outcome, Reply, answer, answer_wipe};
pub use state::{Application, Applied, Due, Offer, Provisioning, Sent};
