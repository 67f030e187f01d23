//! Everything that is not a held Ping: through to the backend and back, unchanged.

mod bytes;
mod credentials;
mod failing;
mod large;
