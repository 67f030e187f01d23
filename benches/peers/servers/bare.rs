//! What the kernel keeps for one end of an idle connection, with nothing else on either side.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::sleep;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use crate::child::Child;
use crate::crew::{Language, Order, Question};
use crate::kernel;

/// Connections before the slope is taken, and at its end.
const SMALL: usize = 500;
const LARGE: usize = 4_500;

/// Bytes of one end: half of what a connection between a crew and a poller that only reads takes.
pub fn half_a_pair() -> anyhow::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let language = Language::Get { path: "/hold/{}".into() };
    let order = Order { target: listener.local_addr()?, is_tls: false, language, first: 0, devices: LARGE, busy_max: 64 };
    let mut crew = Child::start("crew", &order)?;
    let poll = Poll::new()?;
    let mut sockets = Vec::new();
    let mut bytes = Vec::new();
    for range in [0..SMALL, SMALL..LARGE] {
        crew.tell(&Question::Open(range.clone()))?;
        for number in range {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            read_request(&mut stream)?;
            sockets.push(stream);
        }
        sleep(Duration::from_millis(500));
        bytes.push(kernel::socket_bytes()?);
    }
    Ok((bytes[1] - bytes[0]) / (LARGE - SMALL) as f64 / 2.0)
}

/// As the servers do: nothing stays in the socket's buffers.
fn read_request(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut room = [0; 1_024];
    loop {
        match stream.read(&mut room) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_micros(50)),
            Err(error) => return Err(error.into()),
        }
    }
}
