//! What a stand-in is told while it runs: one line, one thing.

use std::time::Duration;

use anyhow::{Context as _, bail};
use pushgate::standin::cas::{Cas, Fault, FaultRule};
use pushgate::standin::webhook::Webhook;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections to the control port at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// Lines that wait to be obeyed.
const ORDERS_MAX: usize = 64;
/// The longest line.
const LINE_BYTES_MAX: u64 = 4_096;
/// Pause after a connection could not be taken: others must close theirs first.
const PAUSE: Duration = Duration::from_millis(50);

/// A line, and where its answer goes.
#[derive(Debug)]
pub struct Order {
    pub line: String,
    pub answer: oneshot::Sender<String>,
}

/// For orders of all connections.
pub fn channel() -> (mpsc::Sender<Order>, mpsc::Receiver<Order>) {
    mpsc::channel(ORDERS_MAX)
}

/// Takes connections until the program ends.
pub async fn listen(listener: TcpListener, orders: mpsc::Sender<Order>) {
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Err(_) => tokio::time::sleep(PAUSE).await,
            Ok((stream, _)) => {
                let orders = orders.clone();
                tokio::spawn(async move {
                    // A connection that broke has nobody to be told.
                    let _ = converse(stream, orders).await;
                    drop(place);
                });
            }
        }
    }
}

async fn converse(stream: TcpStream, orders: mpsc::Sender<Order>) -> anyhow::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = String::new();
        let length = (&mut input).take(LINE_BYTES_MAX).read_line(&mut line).await?;
        if length == 0 {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        orders.send(Order { line, answer }).await?;
        output.write_all(format!("{}\n", answered.await?).as_bytes()).await?;
    }
}

/// Delivers mails, and says so to a gateway if there is one.
#[derive(Debug)]
pub struct Delivery {
    webhook: Option<Webhook>,
    domain: String,
}

impl Delivery {
    /// `domain`: of users without one.
    pub fn new(webhook: Option<Webhook>, domain: String) -> Self {
        Delivery { webhook, domain }
    }

    /// Does what a line says; an empty one says nothing.
    ///
    /// # Errors
    /// It makes no sense, or the gateway was not notified; the mail is there then.
    pub async fn obey(&mut self, cas: &Cas, line: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (user, folder) = match words[..] {
            [] => return Ok(()),
            ["deliver", user] => (user, "Inbox"),
            ["deliver", user, folder] => (user, folder),
            ["fault", ref words @ ..] => return misbehave(cas, words),
            _ => bail!("write \"deliver USER [FOLDER]\", or \"fault\" and what is to go wrong"),
        };
        if cas.folder_id(user, "", folder).is_none() {
            bail!("{user} has no folder \"{folder}\"; Inbox is one");
        }
        cas.deliver(user, folder);
        if let Some(webhook) = &mut self.webhook {
            let mailbox = if user.contains('@') { user.to_owned() } else { format!("{user}@{}", self.domain) };
            webhook.notify(&[&mailbox]).await.context("delivered, but pushgate was not notified")?;
        }
        Ok(())
    }
}

/// Every request fails in this way from now on; "none" ends it.
fn misbehave(cas: &Cas, words: &[&str]) -> anyhow::Result<()> {
    let number = |text: &str| text.parse::<u64>().with_context(|| format!("\"{text}\" is no number"));
    let fault = match *words {
        ["none"] => None,
        ["hang"] => Some(Fault::Hang),
        ["break"] => Some(Fault::CloseMidAnswer),
        ["lie", bytes] => Some(Fault::LieAboutLength(number(bytes)?)),
        ["delay", ms] => Some(Fault::Delay(Duration::from_millis(number(ms)?))),
        ["status", code @ ("200" | "401" | "403" | "404" | "500" | "502" | "503" | "504")] => Some(Fault::Status(number(code)? as u16)),
        _ => bail!("write \"fault\" and hang, break, lie BYTES, delay MS, status CODE (200, 401, 403, 404, 500, 502, 503, 504), or none"),
    };
    cas.set_faults(fault.map(|fault| FaultRule { command: None, times: None, fault }).into_iter().collect());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pushgate::standin::cas::CasOptions;
    use pushgate::standin::device::{Device, DeviceError, DeviceOptions};

    use super::*;

    #[tokio::test]
    async fn lines_over_tcp_deliver_and_are_answered() {
        let cas = Cas::start(CasOptions::default()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (orders, mut asked) = channel();
        tokio::spawn(listen(listener, orders));
        let mut delivery = Delivery::new(None, "example.org".into());
        let told = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"deliver hew\ndeliver hew Nowhere\ndance\n\nfault dance\n").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        });
        for _ in 0..5 {
            let order = asked.recv().await.unwrap();
            let done = delivery.obey(&cas, &order.line).await;
            order.answer.send(done.map_or_else(|error| error.to_string(), |()| "ok".into())).unwrap();
        }
        let answers = told.await.unwrap();
        let wrong = "write \"deliver USER [FOLDER]\", or \"fault\" and what is to go wrong";
        let no_fault =
            "write \"fault\" and hang, break, lie BYTES, delay MS, status CODE (200, 401, 403, 404, 500, 502, 503, 504), or none";
        assert_eq!(answers, format!("ok\nhew has no folder \"Nowhere\"; Inbox is one\n{wrong}\nok\n{no_fault}\n"));
    }

    #[tokio::test]
    async fn a_fault_holds_until_it_is_ended() {
        let cas = Cas::start(CasOptions::default()).await.unwrap();
        let mut delivery = Delivery::new(None, "example.org".into());
        let mut device = Device::new(Arc::new(DeviceOptions::new(cas.address(), None)), "hew", "LOAD1");
        delivery.obey(&cas, "fault status 503").await.unwrap();
        assert!(matches!(device.folder_sync().await, Err(DeviceError::Http(503))));
        delivery.obey(&cas, "fault none").await.unwrap();
        assert_eq!(device.folder_sync().await.unwrap().status, 1);
    }
}
