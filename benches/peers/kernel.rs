//! What the kernel keeps for sockets, of the whole machine: there is no such figure by process.

use anyhow::Context as _;

/// What a socket is made of: itself, its inode, its open file, its place in pollers, its buffers' heads. Growth in what
/// other programs use as well (such as kmalloc) is not counted: their files would be, too.
const CACHES: &[&str] = &["TCP", "TCPv6", "sock_inode_cache", "filp", "eventpoll_epi", "skbuff_head_cache", "skbuff_small_head"];
/// A socket's directory entry: its cache is shared with all files, so it is counted by inodes.
const DENTRY_BYTES: f64 = 192.0;
/// The queue entry that a poller has for each socket; its cache is merged with others of the size.
const POLL_ENTRY_BYTES: f64 = 72.0;
const PAGE_BYTES: f64 = 4_096.0;

/// Bytes now. Needs root.
pub fn socket_bytes() -> anyhow::Result<f64> {
    let slabs = std::fs::read_to_string("/proc/slabinfo").context("/proc/slabinfo (root may read it)")?;
    let mut bytes = 0.0;
    for line in slabs.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next().filter(|name| CACHES.contains(name)) else { continue };
        let (objects, size) = (number(words.next())?, number(words.nth(1))?);
        bytes += objects * size;
        match name {
            "sock_inode_cache" => bytes += objects * DENTRY_BYTES,
            "eventpoll_epi" => bytes += objects * POLL_ENTRY_BYTES,
            _ => {}
        }
    }
    let sockets = std::fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).context("sockstat has no TCP")?;
    Ok(bytes + number(tcp.split_whitespace().last())? * PAGE_BYTES)
}

fn number(word: Option<&str>) -> anyhow::Result<f64> {
    word.and_then(|word| word.parse().ok()).context("not a number")
}
