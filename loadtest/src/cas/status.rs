//! What a stand-in says of itself: how busy it is and what it was asked.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Instant;

use pushgate::logic::eas::Command;
use pushgate::standin::cas::Cas;
use serde_json::json;

use crate::report::{clock, count, duration};

/// Writes status lines.
#[derive(Debug)]
pub struct Status {
    began: Instant,
    workers: usize,
    is_json: bool,
    /// What the last line counted, by command.
    before: Vec<(&'static str, u64)>,
}

impl Status {
    /// `workers`: `usize::MAX` has no bound.
    pub fn new(workers: usize, is_json: bool) -> Self {
        Status { began: Instant::now(), workers, is_json, before: Vec::new() }
    }

    /// Where it listens and how it behaves.
    pub fn start(&self, like: &str, cas: &Cas, control: Option<SocketAddr>) {
        if self.is_json {
            println!("{}", json!({ "listening": cas.address().to_string() }));
            return;
        }
        println!("like {like} on {}", cas.url());
        println!("{}; {}", self.workers_text(), cas.manner());
        let port = control.map(|address| format!(" or to {address}")).unwrap_or_default();
        println!("\"deliver USER [FOLDER]\" on standard input{port} puts a mail into a mailbox");
        println!("pushgate in front of it: [backend] url = [\"{}\"], kind = \"{like}\"\n", cas.url());
    }

    fn workers_text(&self) -> String {
        match self.workers {
            usize::MAX => "workers without bound".into(),
            1 => "1 worker".into(),
            workers => format!("{} workers", count(workers as u64)),
        }
    }

    /// One line.
    pub fn say(&mut self, cas: &Cas) {
        let text = if self.is_json { json(cas, self.began.elapsed().as_secs_f64()) } else { self.line(cas) };
        println!("{text}");
    }

    fn line(&mut self, cas: &Cas) -> String {
        let of = if self.workers == usize::MAX { String::new() } else { format!(" of {}", count(self.workers as u64)) };
        let mut line = format!("{:>7}  workers busy {}{of}", clock(self.began.elapsed().as_secs_f64()), cas.workers_busy());
        let waits = cas.take_waits();
        let _ = write!(line, "   waiting {}", count(cas.queued() as u64));
        if waits.count > 0 {
            let _ = write!(line, " (longest {})", duration(waits.max.as_secs_f64()));
        }
        let now = counts(cas);
        let before = |name| self.before.iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| *count);
        let new = now.iter().map(|&(name, number)| (name, number - before(name))).filter(|(_, number)| *number > 0);
        let new: Vec<String> = new.map(|(name, number)| format!("{name} {}", count(number))).collect();
        let _ = write!(line, "   asked: {}", if new.is_empty() { "nothing".into() } else { new.join(", ") });
        self.before = now;
        line
    }
}

/// Everything it was asked so far, by name.
fn counts(cas: &Cas) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(&'static str, u64)> = Command::ALL.into_iter().map(|command| (command.name(), cas.count(command))).collect();
    counts.extend([
        ("OPTIONS", cas.options_count()),
        ("Autodiscover", cas.autodiscover_count()),
        ("401", cas.unauthorized_count()),
        ("503", cas.turned_away_count()),
    ]);
    counts
}

fn json(cas: &Cas, t_s: f64) -> String {
    let waits = cas.take_waits();
    let commands: serde_json::Map<_, _> =
        counts(cas).into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count.into())).collect();
    json!({
        "t_s": t_s,
        "requests": cas.requests(),
        "commands": commands,
        "workers_busy": cas.workers_busy(),
        "workers_busy_max": cas.workers_busy_max(),
        "queued": cas.queued(),
        "waits": waits.count,
        "wait_max_s": waits.max.as_secs_f64(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pushgate::standin::cas::CasOptions;
    use pushgate::standin::device::{Device, DeviceOptions};

    use super::*;

    #[tokio::test]
    async fn a_line_counts_what_is_new() {
        let cas = Cas::start(CasOptions { workers: 4, ..CasOptions::default() }).await.unwrap();
        let mut device = Device::new(Arc::new(DeviceOptions::new(cas.address(), None)), "hew", "LOAD1");
        let mut status = Status::new(4, false);
        device.options().await.unwrap();
        device.folder_sync().await.unwrap();
        device.folder_sync().await.unwrap();
        assert_eq!(status.line(&cas), "   0:00  workers busy 0 of 4   waiting 0   asked: FolderSync 2, OPTIONS 1");
        assert_eq!(status.line(&cas), "   0:00  workers busy 0 of 4   waiting 0   asked: nothing");
        assert!(json(&cas, 0.0).contains("\"requests\":3"));
    }
}
