//! Makes changes at their times, whatever the server does: who cannot keep up is measured, not waited for.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use pushgate::config::LmtpAddress;
use pushgate::notify::lmtp;
use pushgate::standin::webhook::Webhook;
use tokio::process::Command;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::fleet::Fleet;
use super::lines::Lines;
use crate::scenario::{Notify, User};

/// Changes of one process.
pub struct Sender {
    fleet: Arc<Fleet>,
    ways: Vec<Way>,
    per_second: f64,
    random: Random,
}

/// What is asked for beside the rate.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    /// A mail for every device that the server knows; nobody is told of it yet.
    MailAll,
    /// One change for every device that the server knows, due then; without its mail if that is there already.
    WakeAll { due: Instant, has_mail: bool },
    /// So many, each for another device, when the one before is over.
    OneByOne(usize),
}

/// A way, ready to go.
enum Way {
    Webhook(Vec<Webhook>, usize),
    Command(Arc<[String]>, Arc<Semaphore>),
    Lmtp(Arc<LmtpAddress>, Arc<Semaphore>),
    Lines(Lines, String),
}

/// What of a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// All ways but the webhook.
    Mail,
    /// The webhook alone.
    Word,
}

/// Programs and LMTP conversations at the same time.
const SIDE_BY_SIDE: usize = 32;
/// Time for one of them.
const PATIENCE: Duration = Duration::from_secs(30);
/// How closely it is looked whether a device was woken.
const LOOK: Duration = Duration::from_millis(1);
/// Pause between two single wakes.
const BETWEEN_WAKES: Duration = Duration::from_millis(20);
/// Changes handled together at most.
const BATCH_MAX: usize = 20_000;

impl Sender {
    /// For the devices of this process. `seed`: different for each process. `None`: the scenario has no changes.
    ///
    /// # Errors
    /// A file cannot be opened, an address is none.
    pub fn new(fleet: Arc<Fleet>, seed: u64) -> anyhow::Result<Option<Sender>> {
        let plan = fleet.plan();
        let Some(changes) = &plan.changes else { return Ok(None) };
        let share = fleet.devices() as f64 / plan.devices.count as f64;
        let per_second = changes.per_second * share + changes.per_device_hour * fleet.devices() as f64 / 3_600.0;
        let ways = changes.ways.iter().map(Way::of).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Some(Sender { per_second, ways, random: Random(seed), fleet }))
    }

    /// Sends until dropped.
    pub async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        let mut next = Instant::now();
        let mut devices = Vec::new();
        loop {
            devices.clear();
            tokio::select! {
                wish = wishes.recv() => match wish {
                    // Whoever dropped the other end is leaving.
                    None => return,
                    Some(Wish::OneByOne(count)) => self.one_by_one(count).await,
                    Some(Wish::MailAll) => self.all(Instant::now(), Part::Mail).await,
                    Some(Wish::WakeAll { due, has_mail }) => self.all(due, if has_mail { Part::Word } else { Part::All }).await,
                },
                () = sleep_until(next.into()), if self.per_second > 0.0 && !self.fleet.is_quiet() => {
                    let now = Instant::now();
                    while next <= now && devices.len() < BATCH_MAX && !self.fleet.is_quiet() {
                        // One that was never held is not known to the server.
                        let device = (self.random.next() % self.fleet.devices() as u64) as usize;
                        devices.extend(self.fleet.counts.was_held(device).then_some((device, next)));
                        next += self.random.pause(self.per_second);
                    }
                    self.send(&devices, Part::All).await;
                }
            }
        }
    }

    async fn all(&mut self, due: Instant, part: Part) {
        let all = self.fleet.devices();
        // One that was never held is not known to the server.
        let devices: Vec<_> = (0..all).filter(|&device| self.fleet.counts.was_held(device)).map(|device| (device, due)).collect();
        self.send(&devices, part).await;
        self.fleet.counts.to_send.fetch_sub(all as u64, Relaxed);
    }

    async fn one_by_one(&mut self, count: usize) {
        let devices = self.fleet.devices();
        for turn in 0..count {
            // Spread over all devices, whatever their number.
            let device = turn * (devices / count.max(1)).max(1) % devices;
            let deadline = Instant::now() + PATIENCE;
            while !self.fleet.counts.is_held(device) && Instant::now() < deadline {
                sleep(LOOK).await;
            }
            self.send(&[(device, Instant::now())], Part::All).await;
            while self.fleet.counts.is_awaited(device) && Instant::now() < deadline {
                sleep(LOOK).await;
            }
            self.fleet.counts.to_send.fetch_sub(1, Relaxed);
            sleep(BETWEEN_WAKES).await;
        }
    }

    /// Each with the moment at which it was due.
    async fn send(&mut self, devices: &[(usize, Instant)], part: Part) {
        let fleet = Arc::clone(&self.fleet);
        let ways = self.ways.iter_mut().filter(|way| part == Part::All || matches!(way, Way::Webhook(..)) == (part == Part::Word));
        for (index, way) in ways.enumerate() {
            // One by one, some side by side: only those that are about to go count as sent.
            let batch = if let Way::Webhook(_, batch_max) = way { *batch_max } else { SIDE_BY_SIDE };
            for devices in devices.chunks(batch) {
                // Of a mail without word of it nobody can know.
                if index == 0 && part != Part::Mail {
                    for &(device, due) in devices {
                        fleet.counts.changing(device, due);
                    }
                }
                let users: Vec<User> = devices.iter().map(|&(device, _)| fleet.user(device)).collect();
                if let Err(error) = way.send(&fleet, &users).await {
                    fleet.counts.failed("change", &format!("{error:#}"));
                }
            }
        }
    }
}

impl Way {
    fn of(notify: &Notify) -> anyhow::Result<Way> {
        Ok(match notify {
            Notify::Webhook { addresses, token, batch_max } => {
                Way::Webhook(addresses.iter().map(|&address| Webhook::new(address, token.clone())).collect(), *batch_max)
            }
            Notify::Command { words } => Way::Command(words.clone().into(), permits()),
            Notify::Lmtp { address } => Way::Lmtp(Arc::new(LmtpAddress::parse(address).context("changes.lmtp.address")?), permits()),
            Notify::Lines { to, line } => Way::Lines(Lines::to(to)?, line.clone()),
        })
    }

    async fn send(&mut self, fleet: &Arc<Fleet>, users: &[User]) -> anyhow::Result<()> {
        match self {
            Way::Webhook(webhooks, _) => {
                let mailboxes: Vec<Arc<str>> = users.iter().map(|user| Arc::from(&*user.mailbox)).collect();
                notify(webhooks, mailboxes.into()).await
            }
            Way::Lines(lines, line) => {
                let text: String = users.iter().map(|user| filled(line, user) + "\n").collect();
                lines.write(&text, users.len()).await
            }
            Way::Command(words, permits) => {
                let words = &*words;
                side_by_side(fleet, permits, users, |user| call(Arc::clone(words), user)).await;
                Ok(())
            }
            Way::Lmtp(address, permits) => {
                let address = &*address;
                side_by_side(fleet, permits, users, |user| deliver(Arc::clone(address), user)).await;
                Ok(())
            }
        }
    }
}

/// Tells all gateways at the same time; the first failure, after all have been told.
async fn notify(webhooks: &mut Vec<Webhook>, mailboxes: Arc<[Arc<str>]>) -> anyhow::Result<()> {
    let mut sending = JoinSet::new();
    for mut webhook in webhooks.drain(..) {
        let mailboxes = Arc::clone(&mailboxes);
        sending.spawn(async move {
            let mailboxes: Vec<&str> = mailboxes.iter().map(|mailbox| &**mailbox).collect();
            let sent = webhook.notify(&mailboxes).await;
            (webhook, sent)
        });
    }
    let mut done = Ok(());
    for (webhook, sent) in sending.join_all().await {
        webhooks.push(webhook);
        done = done.and(sent.map(drop));
    }
    done
}

/// Does it for each user, some at the same time; failures are counted.
async fn side_by_side<F, G>(fleet: &Arc<Fleet>, permits: &Arc<Semaphore>, users: &[User], work: F)
where
    F: Fn(User) -> G,
    G: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    for user in users {
        let permit = Arc::clone(permits).acquire_owned().await.expect("never closed");
        let (fleet, work) = (Arc::clone(fleet), work(user.clone()));
        tokio::spawn(async move {
            let done = tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(anyhow!("no end in time")));
            if let Err(error) = done {
                fleet.counts.failed("change", &format!("{error:#}"));
            }
            drop(permit);
        });
    }
}

async fn call(words: Arc<[String]>, user: User) -> anyhow::Result<()> {
    let mut words = words.iter().map(|word| filled(word, &user));
    let program = words.next().context("no program")?;
    let mut command = Command::new(&program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.with_context(|| program.clone())?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

async fn deliver(address: Arc<LmtpAddress>, user: User) -> anyhow::Result<()> {
    let message = "From: pushgate-loadtest <loadtest@localhost>\r\nSubject: load test\r\n\r\nOne of many.\r\n";
    lmtp::deliver(&address, &user.mailbox, message, PATIENCE, || {}).await.map_err(|error| anyhow!("LMTP: {error}"))
}

fn permits() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SIDE_BY_SIDE))
}

fn filled(pattern: &str, user: &User) -> String {
    pattern.replace("{user}", &user.name).replace("{mailbox}", &user.mailbox)
}

/// SplitMix64: small, even, and the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Until the next of so many a second that come when they like.
    fn pause(&mut self, per_second: f64) -> Duration {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-(1.0 - uniform).ln() / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_as_long_on_average_as_the_rate_says() {
        let mut random = Random(7);
        let sum: Duration = (0..100_000).map(|_| random.pause(200.0)).sum();
        assert!((0.98..1.02).contains(&(sum.as_secs_f64() / 500.0)), "{sum:?}");
    }
}
