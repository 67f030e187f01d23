//! The data plane: device connections in, backend requests out, held Pings in between.

pub mod backend;
pub mod tls;
