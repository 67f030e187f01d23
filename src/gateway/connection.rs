//! One device connection while it is a task, top to bottom: HTTP in turns, until it is parked, done or broken.
//!
//! hyper parses requests and writes answers. A Ping that is to be held never gets an answer from hyper: the exchange leaves an
//! offer on the [`Stage`] and waits for ever; the connection is then taken apart between request and answer
//! (`into_parts`), and its socket and keys go to a lot. The behaviour tests pin that hyper has written everything by then.

mod watched;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, Sleep};

use self::watched::Watched;
use super::check::Place;
use super::client_certificate::{self, Certificate};
use super::crowd::{Stranger, Turn};
use super::delivery::{Delivery, LOOK_FIRST, LOOK_GAP_MAX};
use super::exchange;
use super::parked::{Extra, HeldSync, Parked, Peer, Recipe};
use super::tls::WireStream;
use super::{Gateway, lots::Home};
use crate::config::limits::{IDLE_IN_TASK, PARKED_KEPT_FOR_PINGS};
use crate::logic::eas::{DeviceId, Mailbox, PingRequest};
use crate::logic::hold::{HoldKind, Moment, Offer};
use crate::telemetry::metrics::{HTTP_FAULTS_TOTAL, SHED_TOTAL, TLS_ERRORS_TOTAL};

/// Counts a connection as active for as long as it lives.
pub(crate) struct Active {
    gateway: Arc<Gateway>,
    /// And as one of its address, until the backend accepts credentials on it.
    pub(super) stranger: Option<Stranger>,
    /// The device's, verified in the handshake.
    pub(super) certificate: Option<Certificate>,
}

impl Active {
    pub(crate) fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.active.fetch_add(1, Ordering::Relaxed);
        Active { gateway: gateway.clone(), stranger: None, certificate: None }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.gateway.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a connection comes to this task.
pub(crate) enum Begin {
    /// Just accepted.
    Fresh,
    /// From a lot: it has had requests before, and perhaps its first one is not new.
    Resumed(Option<Box<Again>>),
}

/// A Ping or a hanging Sync that is to be held.
pub(crate) struct Hold {
    pub(crate) home: Home,
    pub(crate) mailbox: Mailbox,
    pub(crate) device: DeviceId,
    pub(crate) ping: PingRequest,
    /// The Sync, if it is one.
    pub(crate) sync: Option<HeldSync>,
    /// Alarms before the gate let it pass.
    pub(crate) alarms: u64,
    pub(crate) received: Moment,
    pub(crate) recipe: Recipe,
    pub(crate) closes: bool,
}

/// A Sync that was held and is asked again: the exchange finds its head on the connection, the rest here.
pub(crate) struct Again {
    pub(crate) sync: HeldSync,
    /// Held until the backend has answered, where asking is rationed.
    pub(crate) place: Option<Place>,
}

/// What an exchange and its connection tell each other.
#[derive(Default)]
pub(crate) struct Stage {
    again: Mutex<Option<Box<Again>>>,
    hold: Mutex<Option<Box<Hold>>>,
    /// Exchanges begun and not over; one at a time in HTTP/1.
    busy: AtomicU32,
    exchanges: AtomicU32,
    /// The last write did not complete: hyper still has something to say.
    is_writing: AtomicBool,
    /// The last answer with something in it, until the device has it.
    delivery: Mutex<Option<Delivery>>,
    /// All of it is with the socket.
    is_sent: AtomicBool,
    /// The socket failed: what is on its way never arrives.
    is_broken: AtomicBool,
    /// The backend accepted credentials that came this way.
    is_known: AtomicBool,
}

impl Stage {
    /// Leaves a Ping for the connection to park. The exchange then waits for ever.
    pub(crate) fn leave(&self, hold: Hold) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hold));
    }

    /// What the first exchange of a connection that held a Sync is about.
    pub(crate) fn take_again(&self) -> Option<Box<Again>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whoever is on the other side is somebody.
    pub(crate) fn note_known(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// An exchange begins; it is over when the guard is dropped, which the answer's body takes along.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        Busy { stage: self.clone(), turn: None }
    }

    /// An answer's last byte was handed to hyper. One before it that has not been seen to arrive counts as lost: the device
    /// asked again before it had it.
    pub(crate) fn send_off(&self, delivery: Delivery) {
        self.is_sent.store(false, Ordering::Relaxed);
        drop(self.delivery().replace(delivery));
    }

    fn delivery(&self) -> MutexGuard<'_, Option<Delivery>> {
        self.delivery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_sending(&self) -> bool {
        self.delivery().as_ref().is_some_and(|delivery| !delivery.is_acknowledged())
    }

    fn has_sent(&self) -> bool {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        self.busy.load(Ordering::Relaxed) == 0 && is(&self.is_sent) && !is(&self.is_broken)
    }

    /// What is on its way when hyper has done its part; a connection that failed, or that hyper gave up before all was said, loses it.
    fn take_sent(&self) -> Option<Delivery> {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        self.delivery().take().filter(|_| is(&self.is_sent) && !is(&self.is_broken))
    }

    /// Nothing while an earlier answer is on its way: what hyper has not written by then would be lost. (For the same reason
    /// hyper must not save up answers to pipelined requests, `pipeline_flush`.)
    fn take_hold(&self) -> Option<Box<Hold>> {
        if self.is_writing() {
            return None;
        }
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && !self.is_writing() && !self.is_sending()
    }

    fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }
}

/// An exchange under way.
pub(crate) struct Busy {
    stage: Arc<Stage>,
    /// The device's, which ends with the exchange.
    turn: Option<Turn>,
}

impl Busy {
    pub(super) fn take(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stage.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a stretch of HTTP ended.
enum End {
    /// Closed by either side, or broken.
    Done,
    Hold(Box<Hold>),
    Idle,
}

/// A parked connection has something to read, or its Sync is to be asked again: back into a task. Called from lot threads.
pub(crate) fn resume(gateway: &Arc<Gateway>, parked: Parked, place: Option<Place>) {
    let mut active = Active::new(gateway);
    let (gateway_of_task, runtime) = (gateway.clone(), &gateway.runtime);
    runtime.spawn(async move {
        let Parked { stream, wire, received, peer, extra, closes } = parked;
        let stream = std::net::TcpStream::from(std::os::fd::OwnedFd::from(stream));
        let mut stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => WireStream::from_parts(stream, wire, received),
            Err(error) => return tracing::warn!(%error, "a connection could not be taken back and is closed"),
        };
        let asked = extra.and_then(|extra| {
            (active.stranger, active.certificate) = (extra.stranger, extra.certificate);
            extra.sync.zip(extra.recipe)
        });
        let again = match asked {
            None => None,
            // hyper reads the head once more, in front of whatever came behind it.
            Some((sync, recipe)) => match stream.put_back(&recipe.write_head(closes)) {
                Ok(()) => Some(Box::new(Again { sync, place })),
                Err(_) => return,
            },
        };
        serve(gateway_of_task, active, stream, peer, Begin::Resumed(again)).await;
    });
}

/// Speaks HTTP until the connection is parked or gone.
pub(crate) async fn serve(gateway: Arc<Gateway>, mut active: Active, mut stream: WireStream, peer: Peer, mut begin: Begin) {
    loop {
        let Some((rest, end)) = speak(&gateway, stream, (peer, &mut active), begin).await else { return };
        stream = rest;
        if stream.flush_sealed().await.is_err() {
            return;
        }
        // Half a head is waiting: it stays with hyper, whose clock for heads is running.
        let is_between = matches!(end, End::Idle) && stream.received().plaintext().is_empty();
        match end {
            End::Hold(hold) => return park_held(&gateway, active, stream, peer, *hold).await,
            End::Idle if is_between => {
                // The last places are for held Pings: an idle connection is the cheapest to lose.
                let max = gateway.config.limits.parked_max;
                if gateway.lots.parked() >= max - max / PARKED_KEPT_FOR_PINGS {
                    metrics::counter!(SHED_TOTAL.name, "limit" => "parked_max").increment(1);
                    return;
                }
                let (stranger, certificate) = (active.stranger.take(), active.certificate.take());
                let is_extra = stranger.is_some() || certificate.is_some();
                let extra = is_extra.then(|| Extra { stranger, certificate, ..Extra::default() });
                let Some(parked) = take_apart(stream, peer, false, extra) else { return };
                gateway.lots.park(parked).await;
                return drop(active);
            }
            _ => begin = Begin::Fresh,
        }
    }
}

async fn park_held(gateway: &Gateway, mut active: Active, stream: WireStream, peer: Peer, hold: Hold) {
    let Hold { home, mailbox, device, ping, sync, alarms, received, recipe, closes } = hold;
    let kind = if sync.is_some() { HoldKind::Sync } else { HoldKind::Ping };
    let extra = Extra { recipe: Some(recipe), sync, certificate: active.certificate.take(), ..Extra::default() };
    let Some(connection) = take_apart(stream, peer, closes, Some(extra)) else { return };
    let who = gateway.gate.as_ref().map(|gate| (gate, mailbox.clone(), device.clone()));
    gateway.lots.offer(home, Offer { mailbox, hash: home.hash, device, ping, kind, received, connection }).await;
    // An alarm between the gate and here found nothing to recall.
    if let Some((_, mailbox, device)) = who.filter(|(gate, ..)| gate.alarm_count() != alarms) {
        gateway.look_again(&mailbox, &device).await;
    }
    drop(active);
}

fn take_apart(stream: WireStream, peer: Peer, closes: bool, extra: Option<Extra>) -> Option<Parked> {
    let (stream, wire, received) = stream.into_parts()?;
    let stream = stream.into_std().inspect_err(|error| tracing::warn!(%error, "a connection could not be parked and is closed")).ok()?;
    Some(Parked { stream: mio::net::TcpStream::from_std(stream), wire, received, extra: extra.map(Box::new), peer, closes })
}

/// One stretch of HTTP. `None`: the connection is over. Else what is left of it, all its plaintext put back.
async fn speak(gateway: &Arc<Gateway>, stream: WireStream, (peer, active): (Peer, &mut Active), begin: Begin) -> Option<(WireStream, End)> {
    let (was_parked, again) = match begin {
        Begin::Fresh => (false, None),
        Begin::Resumed(again) => (true, again),
    };
    let stage = Arc::new(Stage { again: Mutex::new(again), ..Stage::default() });
    let limits = &gateway.config.limits;
    let watched = Watched::new(stream, stage.clone(), limits.patience);
    let service = {
        let (gateway, stage, certificate) = (gateway.clone(), stage.clone(), active.certificate.clone());
        service_fn(move |mut request: Request<Incoming>| {
            client_certificate::write(request.headers_mut(), certificate.as_ref(), peer.trusts_forwarded);
            exchange::answer(gateway.clone(), stage.clone(), peer, request)
        })
    };
    let mut builder = http1::Builder::new();
    // Old devices compare header names letter by letter.
    builder.preserve_header_case(true).title_case_headers(true);
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(limits.head_bytes_max);
    let mut connection = builder.serve_connection(TokioIo::new(watched), service);
    let mut draining = gateway.draining.subscribe();
    let end = {
        let mut idle = pin!(tokio::time::sleep(IDLE_IN_TASK));
        let mut idle_since = None;
        let mut drained = pin!(draining.wait_for(|draining| *draining));
        let mut is_drained = false;
        let mut looks = Looks::default();
        std::future::poll_fn(|cx| {
            if !is_drained && drained.as_mut().poll(cx).is_ready() {
                is_drained = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
                note_end(result, peer);
                return Poll::Ready(End::Done);
            }
            if active.stranger.is_some() && stage.is_known.load(Ordering::Relaxed) {
                active.stranger = None;
            }
            // After hyper, which looks when it is polled.
            looks.poll(stage.is_sending(), cx);
            // The answer before it first: what hyper still has to write is lost when it is taken apart.
            if let Some(hold) = stage.take_hold() {
                return Poll::Ready(End::Hold(hold));
            }
            let had_requests = was_parked || stage.exchanges.load(Ordering::Relaxed) > 0;
            poll_idle(had_requests && stage.is_idle(), &mut idle_since, idle.as_mut(), cx)
        })
        .await
    };
    let parts = connection.into_parts();
    let Watched { mut stream, fault, .. } = parts.io.into_inner();
    if let (Some(fault), End::Done) = (fault, &end) {
        metrics::counter!(HTTP_FAULTS_TOTAL.name, "from" => "device", "fault" => fault.label()).increment(1);
        tracing::debug!(%peer, fault = fault.label(), "a request that could be read in two ways");
    }
    if let Some(delivery) = stage.take_sent() {
        delivery.settle(&stream).await;
    }
    if matches!(end, End::Done) {
        return None;
    }
    stream.put_back(&parts.read_buf).ok()?;
    Some((stream, end))
}

/// When to look again whether an answer has arrived: soon at first, then less and less often. It wakes the task, and hyper then
/// reads, which is where the look is (`Watched`).
#[derive(Default)]
struct Looks {
    /// The timer and what it was set to, while something is on its way: most connections never need one.
    next: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl Looks {
    fn poll(&mut self, is_sending: bool, cx: &mut Context<'_>) {
        if !is_sending {
            self.next = None;
            return;
        }
        let (timer, gap) = self.next.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LOOK_FIRST)), LOOK_FIRST));
        while timer.as_mut().poll(cx).is_ready() {
            *gap = (*gap * 2).min(LOOK_GAP_MAX);
            timer.as_mut().reset(Instant::now() + *gap);
        }
    }
}

/// Ready once the connection has been between two requests for a while.
fn poll_idle(is_idle: bool, since: &mut Option<Instant>, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<End> {
    if !is_idle {
        *since = None;
        return Poll::Pending;
    }
    let at = *since.get_or_insert_with(Instant::now) + IDLE_IN_TASK;
    if timer.deadline() != at {
        timer.as_mut().reset(at);
    }
    timer.poll(cx).map(|()| End::Idle)
}

fn note_end(result: hyper::Result<()>, peer: Peer) {
    let Err(error) = result else { return };
    if let Some(broken) = super::tls::RecordError::find(&error) {
        metrics::counter!(TLS_ERRORS_TOTAL.name, "error" => broken.label()).increment(1);
    }
    if !error.is_incomplete_message() && !error.is_canceled() {
        tracing::debug!(%peer, %error, "connection ended");
    }
}
