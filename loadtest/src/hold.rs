//! `hold`: devices that hold a Ping, woken one by one and all at once; one line of JSON in the end. For measuring a server without
//! writing a scenario: it makes one of its arguments.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::engine::counts::Tick;
use crate::results::new_histogram;
use crate::run::{Crews, Task};
use crate::scenario::{Changes, Devices, Heartbeat, Kind, Mix, Notify, Plan, Run, Step, Target, Users, WaitsBy};
use crate::source::Sources;

/// How often it is looked how things are.
const EVERY: Duration = Duration::from_millis(100);
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// Beside the time that the connect rate takes, all devices must be held within this.
const RAMP_MARGIN: Duration = Duration::from_secs(60);
/// Devices must be held again so long after a wake.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// A device that is told must wake within this time.
const WAKE_MAX: Duration = Duration::from_secs(30);

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
    let plan = plan(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(conduct(arguments, &plan))?;
    println!("{report}");
    let (held_max, lost) = (&report["held_max"], &report["lost"]);
    ensure!(*held_max == arguments.devices, "only {held_max} of {} devices were held", arguments.devices);
    ensure!(*lost == 0, "{lost} wakes were lost");
    Ok(())
}

/// The scenario that the arguments describe.
fn plan(arguments: &Arguments) -> anyhow::Result<Plan> {
    let address = arguments.target.to_socket_addrs().with_context(|| arguments.target.clone())?.next().context("no address")?;
    let host = arguments.target.rsplit_once(':').map_or(arguments.target.as_str(), |(host, _)| host);
    let heartbeat = Heartbeat { start_s: arguments.heartbeat, min_s: arguments.heartbeat, max_s: arguments.heartbeat, step_s: 0 };
    let webhook = |(address, token): &(SocketAddr, String)| Changes {
        per_second: 0.0,
        per_device_hour: 0.0,
        ways: vec![Notify::Webhook {
            addresses: vec![*address],
            token: token.clone(),
            batch_max: arguments.wake_all_batch.max(1) as usize,
        }],
    };
    let devices = arguments.devices as usize;
    Ok(Plan {
        name: "hold".into(),
        text: String::new(),
        target: Target {
            url: arguments.target.clone(),
            address,
            server_name: arguments.server_name.clone().unwrap_or_else(|| host.to_owned()),
            plain: arguments.plain,
            ca: arguments.ca.clone(),
            insecure: arguments.insecure,
            resume: false,
        },
        users: Users::Pattern {
            user: arguments.users.clone(),
            mailbox: arguments.mailboxes.clone().unwrap_or_else(|| arguments.users.clone()),
            password: arguments.password.clone(),
            first: arguments.first,
            count: usize::MAX,
        },
        devices: Devices {
            count: devices,
            id: "LOAD{}".into(),
            mix: vec![Mix {
                kind: Kind::Plain,
                share: 1.0,
                version: arguments.version.clone(),
                packs_query: arguments.packs_query,
                waits_by: WaitsBy::Ping,
                heartbeat: Some(heartbeat),
                folders_max: arguments.folders,
                backoff_s: (0.2, 30.0),
            }],
        },
        ramp: vec![Step { for_s: devices as f64 / arguments.connect_rate, per_second: arguments.connect_rate }],
        changes: arguments.wake.as_ref().map(webhook),
        networks: Vec::new(),
        events: Vec::new(),
        run: Run {
            duration_s: arguments.seconds as f64,
            ends_held_s: None,
            parts_s: None,
            processes: arguments.processes,
            sources: arguments.source,
            lost_after_s: WAKE_MAX.as_secs_f64(),
        },
        server: None,
        limits: Vec::new(),
    })
}

/// From the first device to the report.
async fn conduct(arguments: &Arguments, plan: &Plan) -> anyhow::Result<Value> {
    let devices = plan.devices.count;
    let mut watch = Watch::start(plan, !arguments.json).await?;
    watch.until(plan.ramp_time() + RAMP_MARGIN, |tick| tick.states.held as usize >= devices).await?;
    let mut waking = json!({});
    // Waking says nothing when some are missing; the report will show who.
    if plan.changes.is_some() && watch.now.states.held as usize == devices {
        waking["wake_one"] = watch.wake(Task::WakeOne(arguments.wake_one), devices).await?;
        if arguments.wake_all_batch > 0 {
            waking["wake_all"] = watch.wake(Task::wake_all(false, 0.0), devices).await?;
        }
    }
    watch.until(Duration::from_secs(arguments.seconds), |_| false).await?;
    let processes = watch.crews.count();
    let mut report = watch.end(devices).await?;
    report["processes"] = processes.into();
    for (name, value) in waking.as_object().into_iter().flatten() {
        report[name] = value.clone();
    }
    Ok(report)
}

/// The processes, and what they said so far.
struct Watch {
    crews: Crews,
    began: Instant,
    /// Counts of the whole run; states as they are.
    now: Tick,
    latencies: Histogram<u64>,
    rss_first: u64,
    connected_s: f64,
    all_held_s: Option<f64>,
    shows: bool,
    shown: Instant,
}

impl Watch {
    async fn start(plan: &Plan, shows: bool) -> anyhow::Result<Watch> {
        let mut crews = Crews::start(plan).await?;
        let rss_first = crews.tell(Task::Tell).await?.iter().map(|tick| tick.pss_bytes).sum();
        crews.tell(Task::Begin).await?;
        let began = Instant::now();
        let (now, latencies) = (Tick::default(), new_histogram());
        Ok(Watch { crews, began, now, latencies, rss_first, connected_s: 0.0, all_held_s: None, shows, shown: began })
    }

    /// Looks again and again until that is so, or the time is over.
    async fn until(&mut self, patience: Duration, is_so: impl Fn(&Tick) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let ticks = self.crews.tell(Task::Tell).await?;
            self.add(&ticks);
            if is_so(&self.now) || Instant::now() >= deadline {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn add(&mut self, ticks: &[Tick]) {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut now = Tick::default();
        ticks.iter().for_each(|tick| now.add(tick));
        for &(us, count) in &now.corrected_us {
            self.latencies.saturating_record_n(us, count);
        }
        if now.connections > 0 && self.all_held_s.is_none() {
            self.connected_s = seconds;
        }
        now.carry(&self.now);
        if now.not_started == 0 && now.states.held == now.states.total() && self.all_held_s.is_none() {
            self.all_held_s = Some(seconds);
        }
        self.now = now;
        if self.shows && self.shown.elapsed() >= SHOW_EVERY {
            self.shown = Instant::now();
            println!(
                "held {}, connections {}, wakes {}, errors {:?}",
                self.now.states.held, self.now.connections, self.now.wakes, self.now.errors
            );
        }
    }

    /// Wakes, and waits until everybody is held again.
    async fn wake(&mut self, task: Task, devices: usize) -> anyhow::Result<Value> {
        self.latencies.reset();
        let (lost, wakes) = (self.now.lost, self.now.wakes);
        let began = Instant::now();
        self.crews.tell(task).await?;
        let patience = Duration::from_secs(3_600);
        self.until(patience, |tick| tick.to_send == 0 && tick.outstanding == 0).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.until(AGAIN_MAX, |tick| tick.states.held as usize >= devices).await?;
        let ms = |us: u64| us as f64 / 1_000.0;
        Ok(json!({
            "woken": self.now.wakes - wakes,
            "lost": self.now.lost - lost,
            "seconds": seconds,
            "p50_ms": ms(self.latencies.value_at_quantile(0.5)),
            "p99_ms": ms(self.latencies.value_at_quantile(0.99)),
            "max_ms": ms(self.latencies.max()),
        }))
    }

    async fn end(mut self, devices: usize) -> anyhow::Result<Value> {
        let ticks = self.crews.tell(Task::End).await?;
        self.add(&ticks);
        let now = self.now;
        Ok(json!({
            "devices": devices,
            "held": now.states.held,
            "held_max": now.held_max,
            "connections": now.connections,
            "accepts_per_s": (devices.min(now.connections as usize) as f64 / self.connected_s.max(f64::MIN_POSITIVE)).round(),
            "all_held_s": self.all_held_s,
            "wakes": now.wakes,
            "needless": now.needless,
            "expired": now.expired,
            "lost": now.lost,
            "errors": now.errors,
            "first_error": now.first_error,
            "bytes_per_device": now.pss_bytes.saturating_sub(self.rss_first) / devices.max(1) as u64,
        }))
    }
}
