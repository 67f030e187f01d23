//! One message over LMTP (RFC 2033), or SMTP (RFC 5321), to one recipient: a client with bounds, because the other side may be anything.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::LmtpAddress;
use crate::config::limits::{LMTP_LINE_BYTES_MAX, LMTP_LINES_MAX};

/// Why a message was not delivered; one clause for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LmtpError {
    /// The server could not be reached.
    Unreachable(String),
    /// It answered a step (`greeting`, `LHLO`, …) with something else than yes; its words, shortened and made harmless.
    Refused(&'static str, String),
    /// What it answered is none of the protocol's.
    Garbage(&'static str),
    /// It hung up.
    Ended(&'static str),
    /// It took too long.
    Slow(&'static str),
}

impl LmtpError {
    /// It would be answered so again: a code that begins with 5.
    pub fn is_final(&self) -> bool {
        matches!(self, LmtpError::Refused(_, words) if words.starts_with('5'))
    }
}

impl fmt::Display for LmtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LmtpError::Unreachable(error) => write!(f, "it cannot be reached: {error}"),
            LmtpError::Refused(step, words) => write!(f, "{step} was answered \"{words}\""),
            LmtpError::Garbage(step) => write!(f, "{step} was answered with something that is not LMTP or SMTP"),
            LmtpError::Ended(step) => write!(f, "it hung up at {step}"),
            LmtpError::Slow(step) => write!(f, "it did not answer in time at {step}"),
        }
    }
}

/// What a server speaks: the two differ in the first word, for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// To a mailbox.
    Lmtp,
    /// To whoever sends it on.
    Smtp,
}

/// Delivers over LMTP; as [`hand_over`].
pub async fn deliver(
    address: &LmtpAddress,
    recipient: &str,
    message: &str,
    patience: Duration,
    handed_over: impl FnOnce(),
) -> Result<(), LmtpError> {
    hand_over(Protocol::Lmtp, address, recipient, message, patience, handed_over).await
}

/// Delivers `message` (lines that end with CR LF, none beginning with a dot) from the empty sender to `recipient`, within
/// `patience` in all. `handed_over` is called when the last byte is about to be written: a notification may come before the answer.
pub async fn hand_over(
    protocol: Protocol,
    address: &LmtpAddress,
    recipient: &str,
    message: &str,
    patience: Duration,
    handed_over: impl FnOnce(),
) -> Result<(), LmtpError> {
    let mut step = "connecting";
    let conversation = async {
        match address {
            LmtpAddress::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
                // Only costs latency if it fails.
                let _ = stream.set_nodelay(true);
                converse(stream, protocol, recipient, message, handed_over, &mut step).await
            }
            LmtpAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                converse(stream, protocol, recipient, message, handed_over, &mut step).await
            }
        }
    };
    let result = timeout(patience, conversation).await;
    result.unwrap_or(Err(LmtpError::Slow(step)))
}

fn unreachable(error: std::io::Error) -> LmtpError {
    LmtpError::Unreachable(error.to_string())
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    protocol: Protocol,
    recipient: &str,
    message: &str,
    handed_over: impl FnOnce(),
    step: &mut &'static str,
) -> Result<(), LmtpError> {
    let mut link = Link { stream: BufReader::new(stream), step };
    link.step("greeting", "", 2).await?;
    match protocol {
        Protocol::Lmtp => link.step("LHLO", "LHLO localhost\r\n", 2).await?,
        Protocol::Smtp => link.step("EHLO", "EHLO localhost\r\n", 2).await?,
    }
    link.step("MAIL FROM", "MAIL FROM:<>\r\n", 2).await?;
    link.step("RCPT TO", &format!("RCPT TO:<{recipient}>\r\n"), 2).await?;
    link.step("DATA", "DATA\r\n", 3).await?;
    handed_over();
    // One recipient was accepted, so one answer comes.
    link.step("the message", &format!("{message}.\r\n"), 2).await?;
    // A courtesy; the message is delivered.
    let _ = link.stream.get_mut().write_all(b"QUIT\r\n").await;
    Ok(())
}

struct Link<'a, S> {
    stream: BufReader<S>,
    step: &'a mut &'static str,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<'_, S> {
    /// Sends a command and reads its reply, whose code must begin with `digit`.
    async fn step(&mut self, step: &'static str, command: &str, digit: u8) -> Result<(), LmtpError> {
        *self.step = step;
        let written = self.stream.get_mut().write_all(command.as_bytes()).await;
        written.map_err(|_| LmtpError::Ended(step))?;
        for _ in 0..LMTP_LINES_MAX {
            let line = self.line(step).await?;
            let code = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)).ok_or(LmtpError::Garbage(step))?;
            match line.get(3) {
                Some(b'-') => {}
                Some(b' ') | None if code[0] == b'0' + digit => return Ok(()),
                Some(b' ') | None => return Err(LmtpError::Refused(step, harmless(&line))),
                Some(_) => return Err(LmtpError::Garbage(step)),
            }
        }
        Err(LmtpError::Garbage(step))
    }

    /// One line without its end.
    async fn line(&mut self, step: &'static str) -> Result<Vec<u8>, LmtpError> {
        let mut line = Vec::new();
        loop {
            let available = self.stream.fill_buf().await.map_err(|_| LmtpError::Ended(step))?;
            if available.is_empty() {
                return Err(LmtpError::Ended(step));
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let count = end.unwrap_or(available.len());
            if line.len() + count > LMTP_LINE_BYTES_MAX {
                return Err(LmtpError::Garbage(step));
            }
            line.extend_from_slice(&available[..count]);
            self.stream.consume(count + usize::from(end.is_some()));
            if end.is_some() {
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
        }
    }
}

/// The beginning of what a server said, fit for a log line.
fn harmless(line: &[u8]) -> String {
    line.iter().take(200).map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, UnixListener};

    use super::super::standin_lmtp::{Manner, StandinLmtp};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn deliver_to(manner: Manner) -> (Result<(), LmtpError>, bool, Vec<String>) {
        let server = StandinLmtp::start(manner, |_| {}).await;
        let handed_over = Cell::new(false);
        let patience = if manner == Manner::Hangs { Duration::from_millis(200) } else { PATIENCE };
        let result = deliver(&server.address(), "canary@example.org", "Subject: x\r\n\r\nhi\r\n", patience, || handed_over.set(true)).await;
        (result, handed_over.get(), server.messages())
    }

    #[tokio::test]
    async fn a_message_is_delivered_over_tcp() {
        let (result, handed_over, messages) = deliver_to(Manner::Good).await;
        assert_eq!((result, handed_over), (Ok(()), true));
        assert_eq!(messages, ["MAIL FROM:<>\r\nRCPT TO:<canary@example.org>\r\nSubject: x\r\n\r\nhi\r\n"]);
    }

    #[tokio::test]
    async fn a_message_is_delivered_over_a_unix_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lmtp");
        let listener = UnixListener::bind(&path).expect("bound");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("connected");
            stream.write_all(b"220 a\r\n250-b\r\n250 PIPELINING\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n").await.expect("sent");
            let mut said = String::new();
            stream.read_to_string(&mut said).await.expect("text");
            said
        });
        assert_eq!(deliver(&LmtpAddress::Unix(path), "c", "x\r\n", PATIENCE, || {}).await, Ok(()));
        assert_eq!(server.await.expect("ended"), "LHLO localhost\r\nMAIL FROM:<>\r\nRCPT TO:<c>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n");
    }

    #[tokio::test]
    async fn every_way_to_fail_is_named_with_its_step() {
        let refused = LmtpError::Refused("RCPT TO", "550 5.1.1 no such ? user".into());
        assert_eq!(deliver_to(Manner::RefusesRecipient).await.0, Err(refused.clone()));
        assert_eq!(refused.to_string(), "RCPT TO was answered \"550 5.1.1 no such ? user\"");
        let full = LmtpError::Refused("the message", "452 4.2.2 full".into());
        assert_eq!(deliver_to(Manner::RefusesMessage).await.0, Err(full));
        assert_eq!(deliver_to(Manner::Garbage).await.0, Err(LmtpError::Garbage("greeting")));
        assert_eq!(deliver_to(Manner::Endless).await.0, Err(LmtpError::Garbage("LHLO")));
        assert_eq!(deliver_to(Manner::Chatty).await.0, Err(LmtpError::Garbage("LHLO")));
        assert_eq!(deliver_to(Manner::HangsUp).await.0, Err(LmtpError::Ended("MAIL FROM")));
        let (result, handed_over, _) = deliver_to(Manner::Hangs).await;
        assert_eq!((result, handed_over), (Err(LmtpError::Slow("the message")), true), "whether it was delivered nobody knows");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let result = deliver(&LmtpAddress::Tcp("127.0.0.1".into(), port), "c", "", PATIENCE, || {}).await;
        assert!(matches!(result, Err(LmtpError::Unreachable(_))), "{result:?}");
    }
}
