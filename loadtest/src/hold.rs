//! `hold`: shares the devices out to processes, watches them, wakes them, reports.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::order::{Order, Progress, Report, Task, Woken};
use crate::source::Sources;

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// Reports waiting to be read.
const REPORTS_MAX: usize = 1_024;
/// Beside the time that the connect rate takes, all devices must be held within this.
const RAMP_MARGIN: Duration = Duration::from_secs(60);
/// Devices must be held again so long after a wake.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// `hold`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where devices connect.
    #[arg(long, value_name = "HOST:PORT")]
    target: String,
    /// Name in the certificate; the target's host when not given.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// CA that the target's certificate must chain to (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believe any certificate.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// Plain HTTP, for servers behind a balancer that ends TLS.
    #[arg(long, conflicts_with_all = ["ca", "insecure"])]
    plain: bool,
    /// Devices in all.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    devices: u32,
    /// Number of the first device.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first: usize,
    /// New devices a second.
    #[arg(long, value_name = "RATE", default_value_t = 500.0)]
    connect_rate: f64,
    /// Addresses to connect from, such as 127.0.1.0/24.
    #[arg(long, value_name = "RANGE")]
    source: Option<Sources>,
    /// User names; {} is the device's number.
    #[arg(long, value_name = "PATTERN", default_value = "user{}@example.org")]
    users: String,
    /// Mailbox names in notifications; the users when not given.
    #[arg(long, value_name = "PATTERN")]
    mailboxes: Option<String>,
    /// Everybody's password.
    #[arg(long, default_value = "test")]
    password: String,
    /// Protocol version.
    #[arg(long = "eas-version", value_name = "VERSION", default_value = "14.1")]
    version: String,
    /// Pack the query in base64.
    #[arg(long)]
    packs_query: bool,
    /// Heartbeat that devices ask for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3_540)]
    heartbeat: u32,
    /// Folders that a device watches at most.
    #[arg(long, value_name = "N", default_value_t = 5)]
    folders: usize,
    /// How long to hold once all devices are held, in seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Processes to share the devices out to; 0: as many as the limit of open files asks for.
    #[arg(long, value_name = "N", default_value_t = 0)]
    processes: usize,
    /// Wake devices by notifications: webhook:http://ADDRESS:PORT,TOKEN (or ,@FILE with the token in it).
    #[arg(long, value_name = "webhook:URL,TOKEN", value_parser = parse_webhook)]
    wake: Option<(SocketAddr, String)>,
    /// With --wake: devices to wake one after the other.
    #[arg(long, value_name = "K", default_value_t = 100)]
    wake_one: usize,
    /// With --wake: wake all devices once, with so many notifications in one request; 0: do not.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    wake_all_batch: u32,
    /// Only the last line, as JSON, on standard output.
    #[arg(long)]
    json: bool,
}

/// Devices of one process: below 20,000 open files, and a core has enough to do with them.
const DEVICES_PER_PROCESS: usize = 8_000;

fn parse_webhook(text: &str) -> Result<(SocketAddr, String), String> {
    let wrong = || "write webhook:http://ADDRESS:PORT,TOKEN".to_owned();
    let (url, token) = text.strip_prefix("webhook:").and_then(|rest| rest.split_once(',')).ok_or_else(wrong)?;
    let address = url.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
    let address = address.to_socket_addrs().map_err(|error| format!("{address}: {error}"))?.next().ok_or_else(wrong)?;
    let token = match token.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?.trim().to_owned(),
        None => token.to_owned(),
    };
    Ok((address, token))
}

/// Runs the test; an error when not all devices were held or a wake was lost.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.connect_rate > 0.0, "--connect-rate is above 0");
    ensure!(arguments.plain || arguments.insecure || arguments.ca.is_some(), "say --ca FILE, --insecure or --plain");
    let mut crews = Crews::start(arguments)?;
    let report = conduct(arguments, &mut crews)?;
    println!("{report}");
    let (held_max, lost) = (&report["held_max"], &report["lost"]);
    ensure!(*held_max == arguments.devices, "only {held_max} of {} devices were held", arguments.devices);
    ensure!(*lost == 0, "{lost} wakes were lost");
    Ok(())
}

/// From the first device to the report.
fn conduct(arguments: &Arguments, crews: &mut Crews) -> anyhow::Result<Value> {
    let devices = arguments.devices as usize;
    let ramp = Duration::from_secs_f64(f64::from(arguments.devices) / arguments.connect_rate) + RAMP_MARGIN;
    crews.until_held(devices, ramp)?;
    let mut waking = json!({});
    let mut lost = 0;
    // Waking says nothing when some are missing; the report will show who.
    if arguments.wake.is_some() && crews.total().held == devices {
        crews.tell(0, Task::WakeOne(arguments.wake_one))?;
        let one = crews.woken(1)?;
        crews.until_held(devices, AGAIN_MAX)?;
        waking["wake_one"] = summary(&one);
        lost += one.lost;
        if arguments.wake_all_batch > 0 {
            crews.tell_all(Task::WakeAll)?;
            let all = crews.woken(crews.children.len())?;
            crews.until_held(devices, AGAIN_MAX)?;
            waking["wake_all"] = summary(&all);
            lost += all.lost;
        }
    }
    crews.watch(Duration::from_secs(arguments.seconds))?;
    let total = crews.end()?;
    let seconds = total.connecting_s.max(f64::MIN_POSITIVE);
    let mut report = json!({
        "devices": devices,
        "processes": crews.children.len(),
        "held": total.held,
        "held_max": total.held_max,
        "connections": total.connections,
        "accepts_per_s": (devices.min(total.connections as usize) as f64 / seconds).round(),
        "all_held_s": total.all_held_s,
        "wakes": total.wakes,
        "needless": total.needless,
        "expired": total.expired,
        "lost": lost,
        "errors": total.errors,
        "first_error": total.first_error,
        "bytes_per_device": total.bytes_per_device,
    });
    for (name, value) in waking.as_object().into_iter().flatten() {
        report[name] = value.clone();
    }
    Ok(report)
}

fn summary(woken: &Woken) -> Value {
    let histogram = woken.histogram();
    let ms = |us: u64| us as f64 / 1_000.0;
    json!({
        "woken": histogram.len(),
        "lost": woken.lost,
        "skipped": woken.skipped,
        "seconds": woken.seconds,
        "p50_ms": ms(histogram.value_at_quantile(0.5)),
        "p99_ms": ms(histogram.value_at_quantile(0.99)),
        "max_ms": ms(histogram.max()),
    })
}

/// The processes, and what they reported last.
struct Crews {
    children: Vec<(Child, ChildStdin)>,
    progress: Vec<Progress>,
    reports: Receiver<(usize, Option<Report>)>,
    shows: bool,
    shown: Instant,
}

impl Crews {
    fn start(arguments: &Arguments) -> anyhow::Result<Crews> {
        let target = arguments.target.to_socket_addrs().with_context(|| arguments.target.clone())?.next().context("no address")?;
        let host = arguments.target.rsplit_once(':').map_or(arguments.target.as_str(), |(host, _)| host);
        let devices = arguments.devices as usize;
        let processes = match arguments.processes {
            0 => devices.div_ceil(DEVICES_PER_PROCESS),
            processes => processes.min(devices),
        };
        let (sender, reports) = sync_channel(REPORTS_MAX);
        let mut crews = Crews {
            children: Vec::new(),
            progress: vec![Progress::default(); processes],
            reports,
            shows: !arguments.json,
            shown: Instant::now(),
        };
        let mut first = arguments.first;
        for process in 0..processes {
            let own = devices / processes + usize::from(process < devices % processes);
            let order = Order {
                target,
                server_name: arguments.server_name.clone().unwrap_or_else(|| host.to_owned()),
                ca: arguments.ca.clone(),
                insecure: arguments.insecure,
                plain: arguments.plain,
                version: arguments.version.clone(),
                packs_query: arguments.packs_query,
                password: arguments.password.clone(),
                first,
                devices: own,
                users: arguments.users.clone(),
                mailboxes: arguments.mailboxes.clone().unwrap_or_else(|| arguments.users.clone()),
                heartbeat_s: arguments.heartbeat,
                folders_max: arguments.folders,
                connect_rate: arguments.connect_rate * own as f64 / devices as f64,
                sources: arguments.source.map(|sources| sources.share(process, processes)).unwrap_or_default(),
                webhook: arguments.wake.clone(),
                wake_batch: arguments.wake_all_batch.max(1) as usize,
            };
            first += own;
            crews.children.push(spawn(process, &order, sender.clone())?);
        }
        Ok(crews)
    }

    fn tell(&mut self, process: usize, task: Task) -> anyhow::Result<()> {
        send(&mut self.children[process].1, &serde_json::to_string(&task)?)
    }

    fn tell_all(&mut self, task: Task) -> anyhow::Result<()> {
        for process in 0..self.children.len() {
            self.tell(process, task)?;
        }
        Ok(())
    }

    /// Takes one report. `None`: it was progress, which is noted and shown, or nothing came until then.
    fn next(&mut self, until: Instant) -> anyhow::Result<Option<(usize, Report)>> {
        match self.reports.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((process, Some(Report::Progress(progress)))) => {
                self.progress[process] = progress;
                self.show();
                Ok(None)
            }
            Ok((process, Some(report))) => Ok(Some((process, report))),
            Ok((process, None)) => bail!("process {process} ended early"),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("all processes ended early"),
        }
    }

    fn total(&self) -> Progress {
        let mut total = Progress::default();
        self.progress.iter().for_each(|progress| total.add(progress));
        // All are held when the last crew says so.
        let times: Option<Vec<f64>> = self.progress.iter().map(|progress| progress.all_held_s).collect();
        total.all_held_s = times.map(|times| times.into_iter().fold(0.0, f64::max));
        total
    }

    fn show(&mut self) {
        if self.shows && self.shown.elapsed() >= SHOW_EVERY {
            self.shown = Instant::now();
            let total = self.total();
            println!("held {}, connections {}, wakes {}, errors {:?}", total.held, total.connections, total.wakes, total.errors);
        }
    }

    /// Waits until so many are held; not being held in time shows in the report.
    fn until_held(&mut self, devices: usize, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && self.total().held < devices {
            if let Some((process, _)) = self.next(deadline)? {
                bail!("process {process} said something unexpected");
            }
        }
        Ok(())
    }

    fn watch(&mut self, time: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.next(deadline)?;
        }
        Ok(())
    }

    /// What so many processes say about waking.
    fn woken(&mut self, processes: usize) -> anyhow::Result<Woken> {
        let mut total = Woken::default();
        let mut left = processes;
        let deadline = Instant::now() + Duration::from_secs(3_600);
        while left > 0 {
            ensure!(Instant::now() < deadline, "waking takes too long");
            if let Some((process, Report::WakeOne(woken) | Report::WakeAll(woken))) = self.next(deadline)? {
                total.add(&woken);
                // What it said before it woke them is out of date.
                self.progress[process].held = 0;
                left -= 1;
            }
        }
        Ok(total)
    }

    /// Ends the processes and adds up their last words.
    fn end(&mut self) -> anyhow::Result<Progress> {
        self.tell_all(Task::End)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut left = self.children.len();
        while left > 0 {
            ensure!(Instant::now() < deadline, "a process does not end");
            if let Some((process, Report::End(progress))) = self.next(deadline)? {
                self.progress[process] = progress;
                left -= 1;
            }
        }
        Ok(self.total())
    }
}

/// Starts one process; its reports arrive in the channel, and `None` when it ends without having been told to.
fn spawn(process: usize, order: &Order, reports: SyncSender<(usize, Option<Report>)>) -> anyhow::Result<(Child, ChildStdin)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program).arg("crew").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no way to the process")?;
    let stdout = child.stdout.take().context("no way from the process")?;
    send(&mut stdin, &serde_json::to_string(order)?)?;
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let report = serde_json::from_str::<Report>(&line).ok();
            let is_last = matches!(report, Some(Report::End(_)) | None);
            if reports.send((process, report)).is_err() || is_last {
                return;
            }
        }
        // Nobody listens any more: nobody to tell.
        let _ = reports.send((process, None));
    });
    Ok((child, stdin))
}

fn send(stdin: &mut ChildStdin, line: &str) -> anyhow::Result<()> {
    let sent = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
    sent.map_err(|error| anyhow!("a process is gone: {error}"))
}

/// A crew also ends by itself when its input ends; waiting for it leaves no zombie behind.
impl Drop for Crews {
    fn drop(&mut self) {
        for (mut child, stdin) in self.children.drain(..) {
            drop(stdin);
            // One that has ended already is what we want.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
