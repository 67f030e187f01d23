//! One device's connection: a socket that does not block, TLS over it, and the bytes of answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{self, Answer};

/// A connection.
pub struct Connection {
    pub socket: TcpStream,
    /// `None`: plain.
    tls: Option<ClientConnection>,
    /// Bytes as they came that have not been looked into.
    wire: Vec<u8>,
    /// Text of answers.
    text: Vec<u8>,
    /// What is still to be written of a plain connection.
    out: Vec<u8>,
    is_connected: bool,
    is_ended: bool,
}

impl Connection {
    /// Begins to connect, from one of many addresses: each has its own ports.
    pub fn begin(target: SocketAddr, tls: Option<Arc<ClientConfig>>, number: usize) -> anyhow::Result<Connection> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, 1 + (number % 254) as u8), 0)).into())?;
        socket.set_tcp_nodelay(true)?;
        // Closing resets: no sockets in TIME_WAIT that the next server's kernel memory would be measured with.
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error.into()),
            _ => {}
        }
        let tls = tls.map(|config| ClientConnection::new(config, ServerName::try_from("localhost").expect("a name"))).transpose()?;
        let socket = TcpStream::from_std(socket.into());
        Ok(Connection { socket, tls, wire: Vec::new(), text: Vec::new(), out: Vec::new(), is_connected: false, is_ended: false })
    }

    /// Whether requests can go out.
    pub fn is_open(&self) -> bool {
        self.is_connected && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// The other side has closed it.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes what has come, as it is. False: nothing had.
    pub fn receive(&mut self, room: &mut [u8]) -> anyhow::Result<bool> {
        let before = self.wire.len();
        loop {
            match self.socket.read(room) {
                Ok(0) => self.is_ended = true,
                Ok(count) => {
                    self.wire.extend_from_slice(&room[..count]);
                    // A full read may have left something; after a shorter one the next arrival is an event of its own.
                    if count == room.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::NotConnected => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            }
            return Ok(self.wire.len() > before);
        }
    }

    /// Looks into what has come; a whole answer, if there is one.
    pub fn answer(&mut self) -> anyhow::Result<Option<Answer>> {
        match &mut self.tls {
            None => self.text.append(&mut self.wire),
            Some(tls) => {
                let mut wire = &self.wire[..];
                while !wire.is_empty() {
                    tls.read_tls(&mut wire)?;
                    let state = tls.process_new_packets()?;
                    let start = self.text.len();
                    self.text.resize(start + state.plaintext_bytes_to_read(), 0);
                    tls.reader().read_exact(&mut self.text[start..])?;
                }
                // Not kept: 15,000 devices would keep the room of their greatest answers.
                self.wire = Vec::new();
            }
        }
        let Some(answer) = answer::complete(&self.text)? else { return Ok(None) };
        ensure!(answer.bytes == self.text.len(), "bytes after an answer");
        self.text = Vec::new();
        Ok(Some(answer))
    }

    /// Writes a request, or as much as goes.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(request)?,
            None => self.out.extend_from_slice(request),
        }
        self.flush()
    }

    /// Writes what has not been written.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        if !self.is_connected {
            if let Some(error) = self.socket.take_error()? {
                return Err(error).context("connecting");
            }
            if self.socket.peer_addr().is_err() {
                return Ok(());
            }
            self.is_connected = true;
        }
        loop {
            let written = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.socket),
                None if !self.out.is_empty() => self.socket.write(&self.out).inspect(|&count| drop(self.out.drain(..count))),
                _ => return Ok(()),
            };
            match written {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("writing"),
            }
        }
    }
}
