//! pushgate: a Direct Push gateway for Exchange ActiveSync.
//!
//! `logic` decides and touches nothing; everything else acts. Reading order:
//!
//! * [`config`]: what the operator wrote → what is true; every limit with its reason.
//! * [`logic`]: WBXML, ActiveSync vocabulary, held Pings, decisions. No socket, clock, thread, file or log.
//! * [`gateway`]: the data plane: listeners, TLS, connections, lot threads, the backend.
//! * [`notify`]: notification sources: what arrives → a change for a lot.
//! * [`mail`]: mail to people about devices.
//! * [`admin`]: the internal HTTP address: notifications, status, metrics.
//! * [`store`]: policies, partnerships, audit: SQLite or PostgreSQL, and what the data plane reads of it in memory.
//! * [`directory`]: groups read from LDAP, on a thread of its own → the store.
//! * [`telemetry`]: metric names, logs, request ids.
//! * [`standin`]: a stand-in CAS and simulated devices, for the demo, the tests and the load tool.
//! * [`cli`]: one file per command group; `serve` is the wiring.

pub mod admin;
pub mod cli;
pub mod config;
pub mod directory;
pub mod doctor;
pub mod gateway;
pub mod logic;
pub mod mail;
pub mod notify;
pub mod standin;
pub mod store;
pub mod telemetry;
