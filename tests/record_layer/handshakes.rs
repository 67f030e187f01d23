//! handshakes
