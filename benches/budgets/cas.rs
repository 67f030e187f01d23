//! The stand-in CAS, in a process of its own. It says where it listens, and then, for each order, how many requests it has had.

use std::ops::Range;

use pushgate::gateway::open_files;
use pushgate::standin::cas::{Cas, CasOptions, Kind};
use serde::{Deserialize, Serialize};

use super::child::{lines, say};
use super::crew::user;

/// Connections it expects at most.
const CONNECTIONS_MAX: usize = 4_096;

/// What it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Only to answer.
    Count,
    /// A message comes to the Inbox of each of these users.
    Deliver(Range<usize>),
}

/// Runs until whoever started it is gone.
pub fn run() -> anyhow::Result<()> {
    open_files::ensure_sockets(CONNECTIONS_MAX)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut lines = lines();
        // Nothing to be told before it starts.
        lines.recv().await;
        // Folder ids like SOGo's: "mail%2F" and 32 hexadecimal digits.
        let cas = Cas::start(CasOptions { kind: Kind::Sogo, ..CasOptions::default() }).await?;
        say(&cas.address())?;
        while let Some(line) = lines.recv().await {
            if let Order::Deliver(numbers) = serde_json::from_str(&line)? {
                for number in numbers {
                    cas.deliver(&user(number), "Inbox");
                }
            }
            say(&cas.requests())?;
        }
        Ok(())
    })
}
