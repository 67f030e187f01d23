//! A server's processes: started, watched by what the system says of them, ended.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process;

/// How long a server may take until it accepts.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take to leave when asked to.
const LEAVES_WITHIN: Duration = Duration::from_secs(3);

/// A program and the processes it has started. They end when this is dropped.
pub struct Program {
    process: Child,
}

impl Program {
    /// Starts it in `directory`; what it says goes to `NAME.log` there. Returns when it accepts connections at `address`.
    pub fn start(command: &mut Command, directory: &Path, name: &str, address: SocketAddr) -> anyhow::Result<Program> {
        let log_path = directory.join(format!("{name}.log"));
        let log = File::create(&log_path)?;
        let started = command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let mut program = Program { process: started.with_context(|| format!("{name} cannot be started"))? };
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(address).is_err() {
            let is_gone = program.process.try_wait()?.is_some();
            let said = || std::fs::read_to_string(&log_path).unwrap_or_default();
            ensure!(!is_gone && Instant::now() < deadline, "{name} does not accept at {address}; it said:\n{}", said());
            sleep(Duration::from_millis(20));
        }
        Ok(program)
    }

    /// All its processes: itself, and whatever descends from it.
    pub fn pids(&self) -> Vec<u32> {
        family(self.process.id())
    }
}

/// A process and whatever descends from it.
pub fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .map(|entries| entries.filter_map(|entry| parent_of(entry.ok()?.file_name().to_str()?.parse().ok()?)).collect())
        .unwrap_or_default();
    let mut pids = vec![pid];
    let mut at = 0;
    while at < pids.len() {
        let children = parents.iter().filter(|(_, parent)| *parent == pids[at]).map(|(pid, _)| *pid);
        pids.extend(children.collect::<Vec<_>>());
        at += 1;
    }
    pids
}

impl Drop for Program {
    fn drop(&mut self) {
        let pids = self.pids();
        signal(self.process.id(), libc::SIGTERM);
        let deadline = Instant::now() + LEAVES_WITHIN;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(20));
        }
        // Ours and nobody else's: a process keeps its number until its parent has waited for it, or is gone this very moment.
        pids.into_iter().filter(|&pid| parent_of(pid).is_some()).for_each(|pid| signal(pid, libc::SIGKILL));
        // One that has ended already is what we want.
        let _ = self.process.wait();
    }
}

/// A process and its parent; `None`: it is gone.
fn parent_of(pid: u32) -> Option<(u32, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may have anything in it, but what follows its last bracket is numbers.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some((pid, parent))
}

#[expect(unsafe_code, reason = "the standard library can send SIGKILL only, and only to its own children")]
fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: kill takes two numbers and touches no memory of ours.
    let _ = unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// User space of these processes, in bytes (PSS).
pub fn user_bytes(pids: &[u32]) -> anyhow::Result<f64> {
    let each = pids.iter().map(|&pid| Ok(process::memory(pid)?.pss as f64));
    each.sum()
}

/// Processor time of these processes, in seconds.
pub fn ran_s(pids: &[u32]) -> anyhow::Result<f64> {
    let each = pids.iter().map(|&pid| Ok(process::ran_ns(pid)? as f64 / 1e9));
    each.sum()
}

/// An address that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
