//! The life of the process, as far as administrators have a say in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::BoxFuture;
use crate::config;

/// The process, told to change or to leave.
pub trait Life: Send + Sync + 'static {
    /// Begins to leave; returns at once. Asked again, it says the same.
    fn drain(&self) -> Leaving;

    /// Reads configuration, certificates and the token file again and puts them in force; what is held stays. All of it, or nothing.
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, Vec<config::Problem>>>;
}

/// `POST /v1/drain`: 202.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leaving {
    /// Pings held now, hanging Syncs included.
    pub held: usize,
    /// For so many seconds devices are still taken in, while balancers are told that the gateway is not ready.
    pub unready_s: u64,
    /// Over so many seconds after that, held Pings are answered.
    pub drain_s: u64,
}

/// `POST /v1/reload`: 200.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Keys that changed and are in force.
    pub changed: Vec<String>,
    /// Keys that changed and need a restart; their old values are in force.
    pub needs_restart: Vec<String>,
    /// Certificates changed.
    pub certificates: bool,
    /// The token of the token file changed.
    pub token: bool,
    /// Pings held meanwhile.
    pub held: usize,
}
