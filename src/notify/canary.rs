//! Delivers canaries and watches the clock for the supervisor.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;

use super::lmtp;
use super::supervisor::Supervisor;
use crate::config::limits::CANARY_DELIVERY;
use crate::config::{Canary, CanaryWay};
use crate::logic::source::canary::Act;

/// Between two looks whether a command has ended.
const COMMAND_LOOKED_AT: Duration = Duration::from_millis(25);

impl Supervisor {
    /// Sends canaries and gives the alarm, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut deliveries = JoinSet::new();
        loop {
            let (act, deadline) = {
                let mut state = self.state();
                let now = self.now();
                let act = state.canary.as_mut().and_then(|canary| canary.poll(now));
                self.publish(&state);
                (act, self.deadline(&state))
            };
            match act {
                Some(Act::Deliver { round }) => drop(deliveries.spawn(self.clone().deliver(round))),
                Some(Act::Missing { .. }) => self.canary_missing(),
                None => {
                    tokio::select! {
                        () = sleep_until(deadline) => {}
                        () = self.nudge.notified() => {}
                        Some(_) = deliveries.join_next() => {}
                    }
                }
            }
        }
    }

    async fn deliver(self: Arc<Self>, round: u64) {
        let Some(canary) = self.canary.clone() else { return };
        let message = message(&canary, &self.subject(round));
        let supervisor = self.clone();
        let handed_over = move || {
            let now = supervisor.now();
            if let Some(canary) = &mut supervisor.state().canary {
                canary.handed_over(round, now);
            }
        };
        let result = match canary.way {
            CanaryWay::Lmtp(address) => {
                let delivered = lmtp::deliver(&address, &canary.recipient, &message, CANARY_DELIVERY, handed_over).await;
                delivered.map_err(|error| format!("LMTP server {address}: {error}"))
            }
            CanaryWay::Command(words) => {
                handed_over();
                let run = tokio::task::spawn_blocking(move || run(&words, &message, CANARY_DELIVERY));
                run.await.unwrap_or_else(|_| Err("the command was cut short".into()))
            }
        };
        let is_unknown = {
            let mut state = self.state();
            match (&mut state.canary, &result) {
                (Some(canary), Ok(())) => {
                    canary.delivered(round);
                    false
                }
                (Some(canary), Err(_)) => canary.undelivered(round),
                (None, _) => false,
            }
        };
        if let (true, Err(error)) = (is_unknown, &result) {
            self.canary_undelivered(error);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn message(canary: &Canary, subject: &str) -> String {
    let date = httpdate::fmt_http_date(SystemTime::now()).replace("GMT", "+0000");
    let recipient = &canary.recipient;
    let id = subject.rsplit(' ').next().unwrap_or_default();
    format!(
        "From: <{recipient}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@pushgate.invalid>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\
         The notification of this message tells pushgate that new mail is reported. It may be deleted at any time.\r\n"
    )
}

/// Runs a command with the message on its standard input. What it complains of goes where our own log goes.
pub(crate) fn run(words: &[String], message: &str, patience: Duration) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("there is no command")?;
    let spawned = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = spawned.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A pipe takes a message of this size at once. A command that does not read it may still deliver.
        let _ = input.write_all(message.as_bytes());
    }
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{program} ended with {status}")),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(COMMAND_LOOKED_AT),
            Ok(None) => {
                end(&mut child);
                return Err(format!("{program} did not end within {} s", patience.as_secs()));
            }
            Err(error) => {
                end(&mut child);
                return Err(format!("{program} is lost: {error}"));
            }
        }
    }
}

fn end(child: &mut Child) {
    // Either it ends now or it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_shell(script: &str, patience: Duration) -> Result<(), String> {
        run(&["/bin/sh", "-c", script].map(str::to_owned), "Subject: x\r\n\r\nhi\r\n", patience)
    }

    #[test]
    fn a_command_gets_the_message_and_says_how_it_ended() {
        let patience = Duration::from_secs(20);
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(run_shell(&format!("cat > {}", file.path().display()), patience), Ok(()));
        assert_eq!(std::fs::read_to_string(file.path()).expect("text"), "Subject: x\r\n\r\nhi\r\n");
        assert_eq!(run_shell("exit 75", patience), Err("/bin/sh ended with exit status: 75".into()));
        assert!(run(&["/absent/program".into()], "", patience).expect_err("absent").starts_with("/absent/program cannot be run"));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let error = run_shell("exec sleep 100", Duration::from_millis(50)).expect_err("hangs");
        assert_eq!(error, "/bin/sh did not end within 0 s");
    }
}
