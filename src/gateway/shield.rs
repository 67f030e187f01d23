//! The stale-password shield (`logic::shield`) around exchanges: what the backend says of credentials goes in, 401 comes out.
//!
//! It stands behind the gate: a device that is to be erased is told so whatever its password is worth.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Gateway;
use super::backend::Credentials;
use super::exchange::{Answer, Eas, Exchange};
use super::own::plain;
use crate::config;
use crate::config::limits::SHIELDED_MAX;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::hold::Moment;
use crate::logic::shield::{Digest, Passage, Shield, Shielded, Terms};
use crate::telemetry::metrics::SHIELD_ANSWERS_TOTAL;

/// A challenge that is kept: what a backend asks for is some dozen bytes.
const CHALLENGE_BYTES_MAX: usize = 512;
/// Of a backend that names several ways to log in.
const CHALLENGES_MAX: usize = 4;

/// Who is shielded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// Whose credentials, as far as they say.
    pub mailbox: Option<Mailbox>,
    /// The device, if it said which.
    pub device_id: Option<DeviceId>,
}

/// See the module.
pub(super) struct Shields {
    all: Mutex<Shield<Whom>>,
    /// So that those who have nothing to do with it need not look.
    len: AtomicUsize,
    /// How the backend last asked for credentials.
    challenges: ArcSwap<Vec<HeaderValue>>,
}

/// Who sends credentials: a device, or whoever is at an address.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    Device(&'a DeviceId),
    Address(IpAddr),
}

impl Shields {
    pub(super) fn new(auth: &config::Auth) -> Self {
        let challenges = ArcSwap::from_pointee(vec![HeaderValue::from_static("Basic realm=\"ActiveSync\"")]);
        Shields { all: Mutex::new(Shield::new(terms(auth), SHIELDED_MAX)), len: AtomicUsize::new(0), challenges }
    }

    pub(super) fn reconfigure(&self, auth: &config::Auth) {
        self.lock().set_terms(terms(auth));
    }

    fn lock(&self) -> MutexGuard<'_, Shield<Whom>> {
        // Nothing is done under this lock that could panic half-way.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_challenges(&self, headers: &HeaderMap) {
        let asked = headers.get_all(WWW_AUTHENTICATE).iter().filter(|value| value.len() <= CHALLENGE_BYTES_MAX);
        let asked: Vec<HeaderValue> = asked.take(CHALLENGES_MAX).cloned().collect();
        if !asked.is_empty() && **self.challenges.load() != asked {
            self.challenges.store(asked.into());
        }
    }

    fn answer(&self) -> Answer {
        let mut answer = plain(StatusCode::UNAUTHORIZED, "The mail server has just rejected this password.");
        for challenge in self.challenges.load().iter() {
            answer.headers_mut().append(WWW_AUTHENTICATE, challenge.clone());
        }
        answer
    }
}

fn terms(auth: &config::Auth) -> Terms {
    Terms { first: auth.shield_min, longest: auth.shield_max }
}

impl Gateway {
    /// Devices whose credentials the backend has just rejected, and which are answered here until then; the second is the present.
    pub fn shielded(&self) -> (Vec<Shielded<Whom>>, Moment) {
        let now = self.lots.now();
        (self.shields.lock().list(now).cloned().collect(), now)
    }

    /// The backend accepts these.
    pub(super) fn credentials_accepted(&self, credentials: &Credentials) {
        if self.shields.len.load(Ordering::Relaxed) > 0 {
            let mut all = self.shields.lock();
            all.accepted(&self.verdicts.mark(credentials));
            self.shields.len.store(all.len(), Ordering::Relaxed);
        }
    }

    fn mark_of(&self, sender: Sender<'_>) -> Digest {
        match sender {
            Sender::Device(id) => self.verdicts.mark_bytes(id.as_str().as_bytes()),
            Sender::Address(ip) => self.verdicts.mark_bytes(format!("at {ip}").as_bytes()),
        }
    }
}

impl Exchange {
    /// The answer, if the backend is not to be asked about these credentials again so soon.
    pub(super) fn spare(&self, credentials: Option<&Credentials>, sender: Sender<'_>) -> Option<Answer> {
        let (credentials, gateway) = (credentials?, &self.gateway);
        if gateway.shields.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let (credentials, device) = (gateway.verdicts.mark(credentials), gateway.mark_of(sender));
        if gateway.shields.lock().ask(&credentials, &device, gateway.lots.now()) == Passage::Pass {
            return None;
        }
        metrics::counter!(SHIELD_ANSWERS_TOTAL.name).increment(1);
        tracing::debug!("answered 401: the backend has just rejected these credentials");
        Some(gateway.shields.answer())
    }

    /// The same for an EAS request.
    pub(super) fn spare_eas(&self, eas: &Eas) -> Option<Answer> {
        self.spare(eas.credentials.as_ref(), Sender::Device(&eas.request.device_id))
    }

    /// The backend answered like this to credentials that were good a moment ago, or not. Whether it rejected them.
    pub(super) fn judge_credentials(
        &self,
        (credentials, were_good): (&Credentials, bool),
        (sender, mailbox): (Sender<'_>, Option<&Mailbox>),
        (status, headers): (StatusCode, &HeaderMap),
    ) {
        let gateway = &self.gateway;
        if !gateway.verdicts.is_rejection(status) {
            return;
        }
        gateway.shields.keep_challenges(headers);
        let device_id = match sender {
            Sender::Device(id) => Some(id),
            Sender::Address(_) => None,
        };
        let whom = || {
            tracing::info!(
                mailbox = mailbox.map(tracing::field::display),
                device = device_id.map(tracing::field::display),
                "the mail server rejects a password; the device is answered here if it repeats it"
            );
            Whom { mailbox: mailbox.cloned(), device_id: device_id.cloned() }
        };
        let (mark, device) = (gateway.verdicts.mark(credentials), gateway.mark_of(sender));
        let mut all = gateway.shields.lock();
        all.rejected((mark, were_good), device, whom, (self.received, gateway.lots.now()));
        gateway.shields.len.store(all.len(), Ordering::Relaxed);
    }

    /// The same for an EAS request.
    pub(super) fn judge_eas(&self, eas: &Eas, were_good: bool, answer: (StatusCode, &HeaderMap)) {
        if let Some(credentials) = &eas.credentials {
            let who = (Sender::Device(&eas.request.device_id), eas.mailbox.as_ref());
            self.judge_credentials((credentials, were_good), who, answer);
        }
    }
}
