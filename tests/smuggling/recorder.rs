//! A backend that records every byte of every connection, and answers when a request looks complete.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct State {
    /// What came on all connections, in the order of its coming.
    bytes: Vec<u8>,
    connections: usize,
    /// Said instead of a plain 200 to requests for /x.
    answer: Option<Vec<u8>>,
}

pub struct Recorder {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Recorder {
    pub async fn start() -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Recorder { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = recorder.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                state.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, state.clone()));
            }
        });
        recorder
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on /x is answered so.
    pub fn answer_with(&self, answer: &[u8]) {
        self.state.lock().unwrap().answer = Some(answer.to_vec());
    }

    /// What came since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().unwrap().bytes)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let (mut input, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => {
                state.lock().unwrap().bytes.extend_from_slice(&piece[..count]);
                input.extend_from_slice(&piece[..count]);
            }
            _ => return,
        }
        while let Some(bytes) = complete(&input) {
            let request: Vec<u8> = input.drain(..bytes).collect();
            let is_to_head = request.starts_with(b"HEAD ");
            let scripted = state.lock().unwrap().answer.clone().filter(|_| request.split(|byte| *byte == b' ').nth(1) == Some(b"/x"));
            let plain: &[u8] = if is_to_head {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            };
            let closes = scripted.as_ref().is_some_and(|answer| answer.ends_with(b"CLOSE"));
            let answer = scripted.unwrap_or_else(|| plain.to_vec());
            if stream.write_all(answer.strip_suffix(b"CLOSE").unwrap_or(&answer)).await.is_err() || closes {
                return;
            }
        }
    }
}

/// Bytes of the request at the beginning, when all of it is there: by the rules for requests that are in order.
fn complete(input: &[u8]) -> Option<usize> {
    let find = |from: usize, what: &[u8]| input[from..].windows(what.len()).position(|window| window == what).map(|at| from + at);
    let head = find(0, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]).to_lowercase();
    if text.contains("transfer-encoding:") {
        return if input[head..].starts_with(b"0\r\n\r\n") { Some(head + 5) } else { find(head, b"\r\n0\r\n\r\n").map(|at| at + 7) };
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |length| length.trim().parse().unwrap());
    (input.len() >= head + length).then_some(head + length)
}
