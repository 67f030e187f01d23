//! Connections: one request after the other, parked in between, over whatever leads to us.

mod idle;
mod proxies;
mod tls;
mod turns;
