//! The internal address: notifications in, status and metrics out. Control plane only: nothing here runs on a lot thread.
//!
//! In: HTTP requests with the token. Out: changes for the lots (through [`crate::notify::Intake`]) and views of the
//! gateway (through [`GatewayView`]). What a route answers is decided in `routes`; every error is a `Problem`.
//!
//! * [`router`]: what is counted and logged. * `api`: every operation with its role; what administrators do. * [`serve()`]: sockets →
//!   router. * [`token`]: the token of the token file. * [`view`]: what the gateway shows of itself. * [`life`]: reload and drain.
//!
//! Nobody here tells the data plane what administrators did: the store does (`crate::store::Alarm`), whichever process they ask.

pub(crate) mod api;
pub mod life;
mod problem;
mod router;
mod routes;
mod serve;
#[cfg(test)]
pub(crate) mod tests;
pub mod token;
pub mod view;

pub use life::{Leaving, Life, Reloaded};
pub use router::{Internal, router};
pub use serve::{Acceptor, Plain, serve};
pub use token::Token;
pub use view::{
    BoxFuture, ClassStatus, DirectoryStatus, GatewayView, HeldPing, LoopView, LotStatus, PingFilter, Readiness, ShieldView, SourceStatus,
    Status, Trouble, TurnedAwayView,
};
