//! Tells servers whom to wake: the same plain HTTP client for every server's own way of being told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::crew::{Answer, complete};

/// How long a server may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// One connection, kept.
pub struct Publisher {
    stream: TcpStream,
    address: SocketAddr,
    input: Vec<u8>,
}

impl Publisher {
    /// Connects.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Publisher> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        Ok(Publisher { stream, address, input: Vec::new() })
    }

    /// One request and its answer. A connection that the server has closed meanwhile is made anew.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        if let Ok(answer) = self.write(request).and_then(|()| self.answer()) {
            return Ok(answer);
        }
        *self = Publisher::connect(self.address)?;
        self.write(request)?;
        self.answer()
    }

    /// Sends all, `ahead` at a time before reading their answers, which must be of the kind 2xx.
    pub fn send_all(&mut self, requests: &[Vec<u8>], ahead: usize) -> anyhow::Result<()> {
        for some in requests.chunks(ahead) {
            self.write(&some.concat())?;
            for _ in some {
                let answer = self.answer()?;
                ensure!(answer.status / 100 == 2, "publishing was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).context("publishing")
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut room = [0; 16 << 10];
        loop {
            if let Some(answer) = complete(&self.input)? {
                self.input.drain(..answer.bytes);
                if answer.closes {
                    // At once: the next request is not to wait for it.
                    *self = Publisher::connect(self.address)?;
                }
                return Ok(answer);
            }
            let count = self.stream.read(&mut room).context("an answer to publishing")?;
            ensure!(count > 0, "the server closed the connection to publish on");
            self.input.extend_from_slice(&room[..count]);
        }
    }
}

/// A request with a body.
pub fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A request without.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}
