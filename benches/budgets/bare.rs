//! What waking is compared with: 200 bytes written to each of N idle sockets, and nothing else.
//!
//! As many threads write as the gateway has lots, and the other ends are with one process that reads, as the devices are.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use pushgate::gateway::open_files;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;

use super::child::{Child, lines, say};
use super::process::{now_us, thread_ran};

/// About what a Ping answer takes: head, body, TLS record.
const BYTES: [u8; 200] = [b'x'; 200];

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    target: SocketAddr,
    sockets: usize,
}

/// What has arrived at the other ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Arrived {
    bytes: u64,
    last_us: u64,
}

/// Something written to everybody once.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Until the last write.
    pub written_s: f64,
    /// Until the last read at the other end.
    pub read_s: f64,
    /// Processor time of who wrote.
    pub ran_s: f64,
}

/// Sockets and the process behind them.
pub struct Bare {
    sockets: Vec<TcpStream>,
    sink: Child,
    arrived: u64,
}

impl Bare {
    /// Connects them.
    pub fn connect(sockets: usize) -> anyhow::Result<Bare> {
        open_files::ensure_sockets(sockets)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sink = Child::start("sink", &Order { target: listener.local_addr()?, sockets })?;
        let accept = || -> anyhow::Result<TcpStream> {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let sockets = (0..sockets).map(|_| accept()).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Bare { sockets, sink, arrived: 0 })
    }

    /// Writes once to each.
    pub fn write_all(&mut self, threads: usize) -> anyhow::Result<Pass> {
        let (began, began_us) = (Instant::now(), now_us());
        let share = self.sockets.len().div_ceil(threads);
        let ran = std::thread::scope(|scope| -> anyhow::Result<Duration> {
            let write = |part: &mut [TcpStream]| -> std::io::Result<Duration> {
                part.iter_mut().try_for_each(|socket| socket.write_all(&BYTES))?;
                Ok(thread_ran())
            };
            let writers: Vec<_> = self.sockets.chunks_mut(share).map(|part| scope.spawn(move || write(part))).collect();
            let mut ran = Duration::ZERO;
            for writer in writers {
                ran += writer.join().expect("writing does not panic")?;
            }
            Ok(ran)
        })?;
        let written_s = began.elapsed().as_secs_f64();
        self.arrived += (self.sockets.len() * BYTES.len()) as u64;
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let arrived: Arrived = self.sink.ask(&())?;
            if arrived.bytes >= self.arrived {
                let read_s = arrived.last_us.saturating_sub(began_us) as f64 / 1e6;
                return Ok(Pass { written_s, read_s, ran_s: ran.as_secs_f64() });
            }
            ensure!(Instant::now() < deadline, "bare writes do not arrive");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The other ends: connects, reads, and says how much for each line.
pub fn run_sink() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut lines = lines();
        let order: Order = serde_json::from_str(&lines.recv().await.context("no order came")?)?;
        open_files::ensure_sockets(order.sockets)?;
        let (bytes, last_us) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for number in 0..order.sockets {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + (number % 254) as u8)), 0))?;
            let mut stream = socket.connect(order.target).await?;
            let (bytes, last_us) = (bytes.clone(), last_us.clone());
            tokio::spawn(async move {
                let mut buffer = [0; 1_024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    last_us.fetch_max(now_us(), Relaxed);
                    bytes.fetch_add(count as u64, Relaxed);
                }
            });
        }
        while lines.recv().await.is_some() {
            say(&Arrived { bytes: bytes.load(Relaxed), last_us: last_us.load(Relaxed) })?;
        }
        Ok(())
    })
}
