//! Where the shells meet: notifications → lots, and the gateway as the internal address shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{io, net::SocketAddr};

use tokio::net::TcpStream;

use super::sources;
use crate::admin::view::{
    BoxFuture, DirectoryStatus, GatewayView, HeldPing, LoopView, LotStatus, PingFilter, Readiness, ShieldView, Status, Trouble,
    TurnedAwayView,
};
use crate::directory::{self, Directory};
use crate::gateway::lots::{HeldFilter, Lots};
use crate::gateway::tls::WireStream;
use crate::gateway::{Gateway, Peer, Whom};
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::hold::lot::HeldView;
use crate::logic::hold::{HoldKind, MailboxChange};
use crate::logic::policy::Timestamp;
use crate::logic::shield::Shielded;
use crate::notify::{ChangeSink, Overloaded, Source, Supervisor, Woken};
use crate::store::{self, Store};
use crate::telemetry::metrics::{BACKEND_WAITING, CONNECTIONS, PINGS_HELD, PINGS_IN_DOUBT};

/// notify → gateway.
pub(super) struct Sink(pub(super) Lots);

impl ChangeSink for Sink {
    fn changed(&self, _source: Source, changes: Vec<MailboxChange>) -> Result<Woken, Overloaded> {
        self.0.changed(changes).map(Woken::pending).map_err(|_| Overloaded)
    }
}

/// TLS for an internal address that leaves the machine, with the devices' certificate.
#[derive(Clone)]
pub(super) struct InternalTls(pub(super) Arc<Gateway>);

impl crate::admin::Acceptor for InternalTls {
    type Io = WireStream;

    async fn accept(&self, stream: TcpStream) -> io::Result<WireStream> {
        let accepted = self.0.acceptor.accept_inside(stream).await;
        accepted.map(|accepted| accepted.stream).map_err(|error| io::Error::other(error.to_string()))
    }

    fn is_encrypted(&self) -> bool {
        true
    }
}

/// gateway → admin.
#[derive(Clone)]
pub(super) struct View {
    gateway: Arc<Gateway>,
    supervisor: Arc<Supervisor>,
    store: Store,
    directory: Option<Directory>,
    rate: Arc<Mutex<f64>>,
}

impl View {
    pub(super) fn new(gateway: Arc<Gateway>, supervisor: Arc<Supervisor>, store: Store, directory: Option<Directory>) -> Self {
        View { gateway, supervisor, store, directory, rate: Arc::default() }
    }

    /// Keeps the wake rate current, once a second, for ever.
    pub(super) async fn refresh(self) {
        let (mut wakes, mut at) = (self.wakes(), Instant::now());
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now_wakes = self.wakes();
            *self.rate.lock().unwrap_or_else(PoisonError::into_inner) = (now_wakes - wakes) as f64 / at.elapsed().as_secs_f64();
            (wakes, at) = (now_wakes, Instant::now());
        }
    }

    fn wakes(&self) -> u64 {
        self.gateway.lots.0.doors.iter().map(|door| door.figures.wakes.load(Ordering::Relaxed)).sum()
    }
}

impl GatewayView for View {
    fn refresh_gauges(&self) {
        metrics::gauge!(PINGS_HELD.name).set(self.gateway.lots.held() as f64);
        metrics::gauge!(PINGS_IN_DOUBT.name).set(self.gateway.lots.in_doubt() as f64);
        metrics::gauge!(BACKEND_WAITING.name).set(self.gateway.backend_waiting() as f64);
        metrics::gauge!(CONNECTIONS.name).set(self.gateway.connections() as f64);
        self.gateway.refresh_heartbeat_gauges();
    }

    fn status(&self) -> Status {
        let lots = &self.gateway.lots;
        let percentiles = lots.wake_percentiles_ms();
        let load = |value: &std::sync::atomic::AtomicUsize| value.load(Ordering::Relaxed);
        let lot_status = lots.0.doors.iter().enumerate().map(|(lot, door)| LotStatus {
            lot,
            held: load(&door.figures.held),
            idle: load(&door.figures.idle),
            devices: load(&door.figures.devices),
            mailboxes: load(&door.figures.mailboxes),
            inbox: lots.inbox_length(lot),
            wakes_total: door.figures.wakes.load(Ordering::Relaxed),
        });
        let lot_status: Vec<LotStatus> = lot_status.collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: lots.uptime().as_secs(),
            held: lots.held(),
            held_syncs: lots.held_syncs(),
            parked_idle: lot_status.iter().map(|lot| lot.idle).sum(),
            connections: self.gateway.connections(),
            wakes_total: self.wakes(),
            wakes_per_s: *self.rate.lock().unwrap_or_else(PoisonError::into_inner),
            wake_p50_ms: percentiles.map(|(p50, _)| p50),
            wake_p99_ms: percentiles.map(|(_, p99)| p99),
            backend_requests_total: self.gateway.backend_requests(),
            checks_running: self.gateway.checks_running(),
            checks_waiting: lots.checks_waiting(),
            in_doubt: lots.in_doubt(),
            notifications_total: counter(&lots.0.notifications),
            lots: lot_status,
            sources: sources::source_statuses(&self.supervisor),
            directory: self.directory.as_ref().map(|directory| directory_status(directory.status())),
            classes: sources::class_statuses(&self.supervisor, self.gateway.config.backend.poll_interval),
        }
    }

    fn pings(&self, filter: PingFilter) -> BoxFuture<'_, Vec<HeldPing>> {
        let filter = HeldFilter { mailbox: filter.mailbox, device: filter.device, limit: filter.limit };
        Box::pin(async move { self.gateway.lots.list(filter).await.into_iter().map(held_ping).collect() })
    }

    fn troubles(&self, of: Option<(&Mailbox, &DeviceId)>) -> Vec<Trouble> {
        let mut troubles = shielded(&self.gateway, of);
        let looping = self.gateway.looping();
        let of_this = looping.into_iter().filter(|looping| of.is_none_or(|of| of == (&looping.mailbox, &looping.device_id)));
        troubles.extend(of_this.map(|looping| Trouble {
            mailbox: Some(looping.mailbox.to_string()),
            device_id: Some(looping.device_id.to_string()),
            shield: None,
            looping: Some(LoopView {
                kind: looping.kind.name().to_owned(),
                since: looping.since,
                count: looping.count,
                advice: looping.kind.advice().to_owned(),
            }),
            turned_away: None,
        }));
        let turned_away = self.gateway.turned_away().into_iter();
        let of_this = turned_away.filter(|device| of.is_none_or(|of| of == (&device.mailbox, &device.device_id)));
        troubles.extend(of_this.map(|device| Trouble {
            mailbox: Some(device.mailbox.to_string()),
            device_id: Some(device.device_id.to_string()),
            shield: None,
            looping: None,
            turned_away: Some(TurnedAwayView {
                device_type: device.device_type.to_string(),
                since: device.since,
                last_at: device.last_at,
                count: device.count,
            }),
        }));
        troubles
    }

    fn ready(&self) -> Readiness {
        let config = &self.gateway.config;
        let limits = &config.limits;
        let mut details = Vec::new();
        if self.gateway.is_draining() {
            details.push("The gateway is draining.".to_owned());
        }
        if self.gateway.lots.parked() >= limits.parked_max {
            details.push(format!("limits.parked_max ({}) is reached.", limits.parked_max));
        }
        let ready = details.is_empty();
        // Slower is no reason to send devices elsewhere, but one to look.
        details.extend(sources::polled(&self.supervisor, SystemTime::now()));
        let lots = &self.gateway.lots;
        let checks_running = self.gateway.checks_running();
        details.extend(sources::backlog(lots.in_doubt(), lots.checks_waiting(), checks_running, &config.backend));
        details.extend(sources::line(self.gateway.backend_waiting(), config.backend.requests_per_s));
        details.extend(sources::failing_checks(lots.check_pause()));
        details.extend(self.store.health().trouble());
        details.extend(self.directory.as_ref().and_then(|directory| directory.status().trouble()));
        details.extend(self.gateway.heartbeat_alert());
        Readiness { ready, details }
    }
}

fn directory_status(status: directory::Status) -> DirectoryStatus {
    DirectoryStatus {
        read_at: status.read_at,
        failing_since: status.failing_since,
        error: status.error,
        groups: status.groups,
        mailboxes: status.mailboxes,
        strangers: status.strangers,
        skipped: status.skipped,
    }
}

/// Times of the shield, which has a clock of its own, as people read them.
fn shielded(gateway: &Gateway, of: Option<(&Mailbox, &DeviceId)>) -> Vec<Trouble> {
    let (all, now) = gateway.shielded();
    let present = store::now();
    let is_meant =
        |whom: &Whom| of.is_none_or(|(mailbox, id)| whom.mailbox.as_ref() == Some(mailbox) && whom.device_id.as_ref() == Some(id));
    let view = |shielded: Shielded<Whom>| Trouble {
        mailbox: shielded.who.mailbox.map(|mailbox| mailbox.to_string()),
        device_id: shielded.who.device_id.map(|id| id.to_string()),
        shield: Some(ShieldView {
            since: Timestamp(present.0.saturating_sub(now.since(shielded.since).as_secs())),
            until: present.plus(shielded.until.since(now).as_secs()),
            rejected: shielded.rejected,
            spared: shielded.spared,
        }),
        looping: None,
        turned_away: None,
    };
    all.into_iter().filter(|shielded| is_meant(&shielded.who)).map(view).collect()
}

fn counter(value: &AtomicU64) -> u64 {
    value.load(Ordering::Relaxed)
}

fn held_ping((view, peer): (HeldView, Peer)) -> HeldPing {
    HeldPing {
        mailbox: view.mailbox.to_string(),
        device_id: view.device.to_string(),
        device_type: None,
        kind: if view.kind == HoldKind::Sync { "Sync" } else { "Ping" }.to_owned(),
        heartbeat_s: view.heartbeat_s,
        held_s: view.held.as_secs() as u32,
        folders: view.folders.iter().map(ToString::to_string).collect(),
        address: SocketAddr::new(peer.ip, peer.port).to_string(),
        phase: if view.is_in_doubt { "resolving" } else { "parked" }.to_owned(),
    }
}
