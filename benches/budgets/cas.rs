//! The stand-in CAS, in a process of its own: it says where it listens, then for each line how many requests it has had.

use pushgate::gateway::open_files;
use pushgate::standin::cas::{Cas, CasOptions, Kind};

use super::child::{lines, say};

/// Connections it expects at most.
const CONNECTIONS_MAX: usize = 4_096;

/// Runs until whoever started it is gone.
pub fn run() -> anyhow::Result<()> {
    open_files::ensure_sockets(CONNECTIONS_MAX)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut lines = lines();
        let _order = lines.recv().await;
        // Folder ids like SOGo's: "mail%2F" and 32 hexadecimal digits.
        let cas = Cas::start(CasOptions { kind: Kind::Sogo, ..CasOptions::default() }).await?;
        say(&cas.address())?;
        while lines.recv().await.is_some() {
            say(&cas.requests())?;
        }
        Ok(())
    })
}
