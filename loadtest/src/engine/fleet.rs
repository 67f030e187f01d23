//! The devices of one process: what each is by its number, and what it does when it does not wait.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use pushgate::standin::device::{Behaviour, Device, DeviceError, DeviceOptions, HELD_AFTER, Life, Observer, Waiting};
use pushgate::standin::tls::client_config;
use tokio::runtime::Handle;

use super::counts::Counts;
use super::slots::{Slot, Stage};
use super::watch::Watch;
use crate::scenario::{Network, Plan, User, fetches_after};

/// All devices of a process. A device's number here counts from 0; in the scenario it counts on from `first`.
pub struct Fleet {
    pub counts: Arc<Counts>,
    pub observer: Arc<dyn Observer>,
    plan: Plan,
    first: usize,
    devices: usize,
    /// Which process this is, and of how many.
    turns: (usize, usize),
    /// Empty: users come from a pattern.
    users: Vec<User>,
    /// One for each kind of the mix, in its order.
    kinds: Vec<(Arc<Behaviour>, Arc<DeviceOptions>)>,
    sources: Vec<IpAddr>,
    /// A woken device fetches within this.
    fetch_within_ms: AtomicU64,
    watch: Arc<Watch>,
    runtime: Handle,
    is_quiet: AtomicBool,
}

/// Why a device has something to do.
#[derive(Debug)]
pub enum Reason {
    /// The beginning of its answer was read at this moment.
    Readable(Instant),
    /// There will be no answer.
    Lost(DeviceError),
    /// It has rested after a failure.
    Rested,
    /// It has a network again.
    Reconnects,
}

impl Fleet {
    /// The devices `first` to `first + devices` of a scenario; must be called inside a runtime. `turns`: which process this is, and of
    /// how many. `sources`: where they connect from.
    ///
    /// # Errors
    /// The CA or the users' file cannot be read any more.
    pub fn start(plan: Plan, first: usize, devices: usize, turns: (usize, usize), sources: Vec<IpAddr>) -> anyhow::Result<Arc<Fleet>> {
        let trust = plan.target.trust()?;
        let tls = trust.map(|trust| client_config(trust, plan.target.resume)).transpose()?;
        let kinds = plan.devices.mix.iter().map(|mix| {
            let options = DeviceOptions {
                server_name: plan.target.server_name.clone(),
                version: mix.version.parse().map_err(|()| anyhow!("{} is no protocol version", mix.version))?,
                packs_query: mix.packs_query,
                user_agent: "pushgate-loadtest/1".into(),
                ..DeviceOptions::new(plan.target.address, tls.clone())
            };
            Ok((Arc::new(mix.behaviour()), Arc::new(options)))
        });
        let kinds = kinds.collect::<anyhow::Result<Vec<_>>>()?;
        let users = match plan.users.by_pattern(0) {
            Some(_) => Vec::new(),
            None => plan.users.of_devices(first, devices).map_err(|error| anyhow!(error))?,
        };
        let counts = Arc::new(Counts::new(devices, Duration::from_secs_f64(plan.run.lost_after_s)));
        let (observer, runtime) = (Arc::clone(&counts) as Arc<dyn Observer>, Handle::current());
        let make = |watch| {
            Arc::new(Fleet {
                counts,
                observer,
                plan,
                first,
                devices,
                turns,
                users,
                kinds,
                sources,
                fetch_within_ms: AtomicU64::new(0),
                watch,
                runtime,
                is_quiet: AtomicBool::new(false),
            })
        };
        Ok(Watch::start(devices, make)?)
    }

    /// How many.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// The scenario.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whose device it is.
    pub fn user(&self, device: usize) -> User {
        let made = || self.plan.users.by_pattern(self.first + device).expect("without a list there is a pattern");
        self.users.get(device).cloned().unwrap_or_else(made)
    }

    /// Starts all devices at their times; `began`: the beginning of the run.
    pub async fn ramp(self: Arc<Self>, began: Instant) {
        for device in 0..self.devices {
            // By the clock, not by pauses: those add up.
            // Processes take turns, so that all of them are at work from the beginning.
            let at = began + self.plan.starts_at(device * self.turns.1 + self.turns.0);
            tokio::time::sleep_until(at.into()).await;
            let (made, behaviour) = self.device(device);
            tokio::spawn(Arc::clone(&self).go(Life::new(made, behaviour, device)));
        }
    }

    /// From now on woken devices fetch within this, each after a time of its own.
    pub fn fetch_within(&self, within: Duration) {
        self.fetch_within_ms.store(within.as_millis() as u64, Relaxed);
    }

    /// All devices lose their connections and come back within this.
    pub fn storm(&self, within: Duration) {
        self.watch.storm(within);
    }

    /// No more changes at the scenario's rate: those that were sent are to be answered.
    pub fn quiet(&self) {
        self.is_quiet.store(true, Relaxed);
    }

    /// Whether that was said.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Relaxed)
    }

    /// Drops all devices that wait.
    pub fn end(&self) {
        self.watch.end();
    }

    pub(super) fn went_deaf(&self, device: usize) {
        self.counts.offline(device);
    }

    pub(super) fn went_offline(&self, device: usize) {
        self.counts.offline(device);
    }

    /// A device in a slot has something to do.
    pub(super) fn wake_up(self: &Arc<Self>, slot: Slot, reason: Reason) {
        if matches!(reason, Reason::Readable(_)) {
            self.counts.reading(slot.device as usize);
        }
        self.runtime.spawn(Arc::clone(self).resume(slot, reason));
    }

    async fn resume(self: Arc<Self>, slot: Slot, reason: Reason) {
        let number = slot.device as usize;
        let (device, behaviour) = self.device(number);
        let Ok(mut life) = Life::unpack(device, behaviour, number, slot.into_dormant()) else {
            unreachable!("what is unpacked was packed here");
        };
        match reason {
            Reason::Readable(at) => {
                life.hear(at, &*self.observer).await;
                let within = Duration::from_millis(self.fetch_within_ms.load(Relaxed));
                let pause = fetches_after(self.first + number, within);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            Reason::Lost(error) => life.miss(error, &*self.observer),
            Reason::Rested => {}
            Reason::Reconnects => life.lose_connection(),
        }
        Box::pin(self.go(life)).await;
    }

    /// Until it waits; then it goes into a slot.
    async fn go(self: Arc<Self>, mut life: Life) {
        let number = life.number();
        let (stage, until, cut) = match life.go(&*self.observer).await {
            Waiting::Answer { sent_at, until } => {
                let network = Network::of_device(&self.plan.networks, self.first + number).map(|index| &self.plan.networks[index]);
                (Stage::Asked(sent_at + HELD_AFTER), until, network.map(|network| (sent_at + network.cut_after(), network.how)))
            }
            Waiting::Rest(pause) => (Stage::Resting, Instant::now() + pause, None),
        };
        match life.pack() {
            Ok(dormant) => self.watch.take(Slot::new(number as u32, dormant, stage, until, cut)),
            Err(error) => eprintln!("pushgate-loadtest: a device is lost: {error}"),
        }
    }

    /// The device as it is before its first connection.
    fn device(&self, number: usize) -> (Device, Arc<Behaviour>) {
        let absolute = self.first + number;
        let (behaviour, options) = &self.kinds[self.plan.devices.mix_of(absolute)];
        let (user, id) = (self.user(number), self.plan.devices.id.replace("{}", &format!("{:08}", absolute + 1)));
        let mut device = Device::new(Arc::clone(options), &user.name, &id).with_password(&user.password);
        if !self.sources.is_empty() {
            device = device.from_source(self.sources[number % self.sources.len()]);
        }
        (device, Arc::clone(behaviour))
    }
}
