//! Mail to people about devices: erased, could not be erased, held back in quarantine. As Exchange sent it.
//!
//! In: the store's [`News`], committed. Out: a message for each recipient, handed to the operator's mail server, tried again for some
//! hours and then given up, aloud. Nothing here is waited for, and nothing of it outlives the process: the audit trail has it all.
//!
//! * Here: what waits, and when it is tried. * `letter`: what is said to whom.

mod letter;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::letter::{Letter, Remark};
use crate::config::limits::{MAIL_HANDING_OVER, MAIL_RETRIES, MAILS_MAX, QUARANTINE_MAILS_AN_HOUR};
use crate::config::{Mail, MailWay};
use crate::notify::lmtp::{self, Protocol};
use crate::notify::run_command;
use crate::store::{Happened, News};
use crate::telemetry::metrics::MAILS_TOTAL;

/// A window of [`QUARANTINE_MAILS_AN_HOUR`].
const HOUR: Duration = Duration::from_secs(3_600);

/// Writes letters and hands them over, one at a time.
#[derive(Debug)]
pub struct Postman {
    settings: Mail,
    retries: Vec<Duration>,
    waiting: VecDeque<Waiting>,
    quarantines: Quarantines,
}

/// A letter that is to be handed over.
#[derive(Debug, Clone)]
struct Waiting {
    letter: Letter,
    tries: usize,
    due: Instant,
}

/// How many devices in quarantine people were written about lately.
#[derive(Debug)]
struct Quarantines {
    since: Instant,
    told: u32,
    untold: u32,
}

/// Why a letter was not taken, and whether it never will be.
struct NotTaken {
    why: String,
    is_final: bool,
}

impl Postman {
    /// One with the day's first hour before him.
    pub fn new(settings: Mail) -> Self {
        let quarantines = Quarantines { since: Instant::now(), told: 0, untold: 0 };
        Postman { settings, retries: MAIL_RETRIES.to_vec(), waiting: VecDeque::new(), quarantines }
    }

    /// Does so until the store is gone.
    pub async fn run(mut self, mut news: broadcast::Receiver<News>) {
        let mut handing_over = JoinSet::new();
        loop {
            let due = if handing_over.is_empty() { self.waiting.iter().map(|waiting| waiting.due).min() } else { None };
            tokio::select! {
                heard = news.recv() => match heard {
                    Ok(news) => self.write(&news),
                    Err(RecvError::Lagged(count)) => dropped(count, "they came too fast"),
                    Err(RecvError::Closed) => return,
                },
                Some(done) = handing_over.join_next() => if let Ok((waiting, result)) = done {
                    self.handed_over(waiting, result);
                },
                () = sleep_until(due) => if let Some(waiting) = self.next_due() {
                    let way = self.settings.way.clone();
                    handing_over.spawn(async move {
                        let result = hand_over(way, &waiting.letter).await;
                        (waiting, result)
                    });
                },
            }
        }
    }

    fn next_due(&mut self) -> Option<Waiting> {
        let now = Instant::now();
        let place = self.waiting.iter().position(|waiting| waiting.due <= now)?;
        self.waiting.remove(place)
    }

    /// A letter for each whom it concerns.
    fn write(&mut self, news: &News) {
        let remark = match news.happened {
            Happened::Quarantined => match self.quarantines.next(Instant::now()) {
                Some(remark) => remark,
                None => return dropped(1, "there were too many devices in quarantine within the hour"),
            },
            Happened::WipeAcknowledged | Happened::WipeFailed => Remark::None,
        };
        for letter in letter::letters(news, &self.settings, remark) {
            if self.waiting.len() >= MAILS_MAX {
                dropped(1, "too many wait already");
            } else {
                self.waiting.push_back(Waiting { letter, tries: 0, due: Instant::now() });
            }
        }
    }

    fn handed_over(&mut self, mut waiting: Waiting, result: Result<(), NotTaken>) {
        let (subject, to) = (&waiting.letter.subject, &waiting.letter.to);
        let Err(NotTaken { why, is_final }) = result else {
            count("sent", 1);
            tracing::info!(to, subject, "mail sent");
            return;
        };
        match self.retries.get(waiting.tries).filter(|_| !is_final) {
            Some(&pause) => {
                count("retried", 1);
                tracing::warn!(to, subject, way = %self.settings.way, error = why, again_in_s = pause.as_secs(), "mail not sent; it will be tried again");
                waiting.tries += 1;
                waiting.due = Instant::now() + pause;
                self.waiting.push_back(waiting);
            }
            None => {
                count("failed", 1);
                tracing::error!(to, subject, way = %self.settings.way, error = why, "mail not sent, and given up");
            }
        }
    }
}

impl Quarantines {
    /// What is to be remarked in the letters about one more; `None`: no letters.
    fn next(&mut self, now: Instant) -> Option<Remark> {
        let mut before = 0;
        if now.duration_since(self.since) >= HOUR {
            before = self.untold;
            *self = Quarantines { since: now, told: 0, untold: 0 };
        }
        if self.told >= QUARANTINE_MAILS_AN_HOUR {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(match before {
            _ if self.told == QUARANTINE_MAILS_AN_HOUR => Remark::LastForNow,
            0 => Remark::None,
            count => Remark::Untold(count),
        })
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn hand_over(way: MailWay, letter: &Letter) -> Result<(), NotTaken> {
    let (protocol, address) = match way {
        MailWay::Lmtp(address) => (Protocol::Lmtp, address),
        MailWay::Smtp(address) => (Protocol::Smtp, address),
        MailWay::Command(words) => {
            let message = letter.message.clone();
            let ran = tokio::task::spawn_blocking(move || run_command(&words, &message, MAIL_HANDING_OVER)).await;
            let ran = ran.unwrap_or_else(|_| Err("the command was cut short".into()));
            return ran.map_err(|why| NotTaken { why, is_final: false });
        }
    };
    let taken = lmtp::hand_over(protocol, &address, &letter.to, &letter.message, MAIL_HANDING_OVER, || {}).await;
    taken.map_err(|error| NotTaken { why: error.to_string(), is_final: error.is_final() })
}

fn dropped(number: u64, why: &'static str) {
    count("dropped", number);
    tracing::warn!(number, why, "people are not told of devices; pushgate audit and pushgate device list show them");
}

fn count(outcome: &'static str, number: u64) {
    metrics::counter!(MAILS_TOTAL.name, "outcome" => outcome).increment(number);
}
