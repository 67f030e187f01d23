//! A notification source: what an operator's mail server sends when a mailbox has changed.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::device::http_client::{HttpAnswer, exchange};
use tokio::net::TcpStream;

/// How long the gateway may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// One connection to a gateway's internal address; made when needed and kept.
#[derive(Debug)]
pub struct Webhook {
    address: SocketAddr,
    token: String,
    stream: Option<TcpStream>,
}

/// What the gateway answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// Notifications taken.
    pub accepted: u64,
    /// Devices woken by them; `None`: too many to wait for.
    pub woken: Option<u64>,
}

impl Webhook {
    /// For this internal address (plain HTTP on loopback) and its token.
    pub fn new(address: SocketAddr, token: impl Into<String>) -> Self {
        Webhook { address, token: token.into(), stream: None }
    }

    /// Says that something in these mailboxes' folders of class Email has changed, in one request.
    ///
    /// # Errors
    /// The gateway did not take it.
    pub async fn notify(&mut self, mailboxes: &[&str]) -> anyhow::Result<Accepted> {
        let notifications: Vec<Value> = mailboxes.iter().map(|mailbox| json!({"mailbox": mailbox, "folder": "INBOX"})).collect();
        let answer = self.call("POST", "/v1/notifications", json!(notifications).to_string()).await?;
        ensure!(answer.status == 202, "notifications were answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).context("the answer to notifications is not what was expected")
    }

    /// Any path of the internal address.
    ///
    /// # Errors
    /// No answer.
    pub async fn call(&mut self, method: &str, path: &str, body: String) -> anyhow::Result<HttpAnswer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let is_reused = self.stream.is_some();
        match self.attempt(request.clone()).await {
            // The gateway may have closed a connection that was idle; a new one tells.
            Err(_) if is_reused => self.attempt(request).await,
            result => result,
        }
    }

    async fn attempt(&mut self, request: String) -> anyhow::Result<HttpAnswer> {
        let asking = async {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => {
                    let stream = TcpStream::connect(self.address).await?;
                    stream.set_nodelay(true)?;
                    stream
                }
            };
            let answer = exchange(&mut stream, request.into_bytes(), || {}).await?;
            Ok::<_, std::io::Error>((stream, answer))
        };
        let asked = tokio::time::timeout(ANSWER_TIME, asking).await;
        let (stream, answer) = asked.context("the internal address does not answer")?.context("the internal address cannot be asked")?;
        if answer.keeps_alive {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}
