//! What tests share that start `pushgate` as a program.

use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::sync::atomic::{AtomicU16, Ordering};

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Of a program that ended by itself, and wrote text.
    pub fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it said, after checking that it succeeded.
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// What it said on standard error, after checking how it ended.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "", "errors go to standard error");
        self.err
    }
}

/// Where a program may listen, and again after it was killed: no other test of this process is given it, and the system gives it to nobody
/// who asks for any port (it takes those above).
pub fn free_address() -> SocketAddr {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Another process that does the same begins elsewhere.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.1.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
    panic!("no port is free");
}
