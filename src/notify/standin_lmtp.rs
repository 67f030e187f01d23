//! An LMTP server for tests: good, or wrong in one of the ways servers are.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::config::LmtpAddress;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Good,
    RefusesRecipient,
    RefusesMessage,
    /// An HTTP server, say.
    Garbage,
    /// A line without an end.
    Endless,
    /// A reply of lines without an end.
    Chatty,
    HangsUp,
    /// Takes the message and says nothing.
    Hangs,
}

/// Runs until dropped.
pub(crate) struct StandinLmtp {
    port: u16,
    messages: Arc<Mutex<Vec<String>>>,
    manner: Arc<Mutex<Manner>>,
    task: AbortHandle,
}

impl StandinLmtp {
    /// `taken` is called with each message before it is confirmed, as Dovecot notifies.
    pub(crate) async fn start(manner: Manner, taken: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (messages, manner) = (Arc::default(), Arc::new(Mutex::new(manner)));
        let (kept, mannered) = (Arc::clone(&messages), manner.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manner = *mannered.lock().expect("sound");
                // A client that leaves early is what some tests are about.
                let _ = converse(stream, manner, &kept, &taken).await;
            }
        });
        StandinLmtp { port, messages, manner, task: task.abort_handle() }
    }

    pub(crate) fn address(&self) -> LmtpAddress {
        LmtpAddress::Tcp("127.0.0.1".into(), self.port)
    }

    pub(crate) fn set(&self, manner: Manner) {
        *self.manner.lock().expect("sound") = manner;
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().expect("sound").clone()
    }
}

impl Drop for StandinLmtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, manner: Manner, kept: &Mutex<Vec<String>>, taken: &impl Fn(&str)) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let greeting: &[u8] = if manner == Manner::Garbage { b"HTTP/1.1 400 Bad Request\r\n\r\n" } else { b"220 here\r\n" };
    stream.get_mut().write_all(greeting).await?;
    let (mut message, mut is_data) = (String::new(), false);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let said = std::mem::take(&mut line);
        let is_end = is_data && said == ".\r\n";
        let command = said.split([' ', ':']).next().unwrap_or_default().trim_end().to_owned();
        let answer: &[u8] = match command.as_str() {
            _ if is_end => {
                taken(&message);
                kept.lock().expect("sound").push(std::mem::take(&mut message));
                is_data = false;
                match manner {
                    Manner::Hangs => std::future::pending().await,
                    Manner::RefusesMessage => b"452 4.2.2 full\r\n",
                    _ => b"250 2.0.0 saved\r\n",
                }
            }
            _ if is_data => {
                message += &said;
                b""
            }
            "LHLO" if manner == Manner::Endless => &[b'2'; 100_000],
            "LHLO" if manner == Manner::Chatty => &b"250-x\r\n".repeat(10_000),
            "LHLO" | "EHLO" => b"250-here\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
            "MAIL" if manner == Manner::HangsUp => return Ok(()),
            "RCPT" if manner == Manner::RefusesRecipient => b"550 5.1.1 no such \x07 user\r\n",
            "MAIL" | "RCPT" => {
                message += &said;
                b"250 ok\r\n"
            }
            "DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            _ => return Ok(()),
        };
        stream.get_mut().write_all(answer).await?;
    }
    Ok(())
}
