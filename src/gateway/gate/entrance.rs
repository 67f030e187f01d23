//! A request's way through the gate.
//!
//! Who is not known to have good credentials is asked about before anything is said of a device, with one exception: an order to erase
//! (docs/decisions/a-wipe-needs-no-credentials.md). What passes needs no such question: the backend refuses it if it must.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode, request};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;

use super::{Found, Gate, Who, beginning};
use crate::config::limits::REFUSED_BODY_BYTES_MAX;
use crate::gateway::body::{collect, full};
use crate::gateway::exchange::{Answer, Eas, Exchange};
use crate::gateway::own::{retry_later, wbxml};
use crate::logic::eas::Command;
use crate::logic::policy::gate::{self, Decision};
use crate::logic::policy::loops::Pace;
use crate::logic::policy::signal::{Refusal, Signal, signal};
use crate::store::Seen;
use crate::telemetry::metrics::GATE_REFUSALS_TOTAL;

/// Without credentials there is nobody to ask about; whoever asks again has them.
const NOBODY_RETRY_S: u32 = 30;

/// What the gate made of a request.
pub(crate) enum Passage {
    /// It goes on.
    Passes(Incoming),
    /// It was answered.
    Stopped(Answer),
}

/// What is known of the credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The backend accepts them.
    Good,
    /// It does not, or could not say; but an order to erase stands.
    ToBeErased,
}

impl Exchange {
    /// Before anything else is done about an EAS request.
    pub(crate) async fn enter(&self, head: &request::Parts, body: Incoming, eas: &Eas) -> Passage {
        let Some(gate) = &self.gateway.gate else { return Passage::Passes(body) };
        // Nobody we can name: the backend may know more, and there is nothing to be held against them here.
        let Some(who) = eas.who() else { return Passage::Passes(body) };
        let found = gate.find(&who);
        let policy = found.policy(who.mailbox);
        let decision = found.decide(&who, policy, gate.now());
        if decision == Decision::Pass {
            if who.request.command != Command::Ping {
                gate.loops.passed(who.mailbox, &who.request.device_id);
            }
            return Passage::Passes(body);
        }
        match decision {
            Decision::Pass => Passage::Passes(body),
            // Without a policy here, and nothing to erase, it is the backend's.
            Decision::Provision if policy.is_none() && !found.is_to_be_erased() => Passage::Passes(body),
            Decision::Provision => {
                Passage::Stopped(self.provision(gate, head, body, (&who, eas, &found)).await.unwrap_or_else(|answer| *answer))
            }
            Decision::Refuse(refusal) => {
                let standing = match self.standing(head, eas, &found).await {
                    Ok(standing) => standing,
                    Err(answer) => return Passage::Stopped(*answer),
                };
                let steps = gate.loops.step((who.mailbox, &who.request.device_id), gate.steady(), |steps| *steps);
                if gate::passes_anyway(refusal, &found.known(policy), &steps) {
                    return Passage::Passes(body);
                }
                if standing == Standing::Good {
                    gate.meet(&who, &found, refusal);
                }
                self.read_past(body).await;
                Passage::Stopped(gate.refuse(&who, refusal))
            }
        }
    }

    /// Reads a body that nobody wants, if it is short. Devices send it behind the head: an answer that overtakes it ends the connection,
    /// and the reset may overtake the answer.
    async fn read_past(&self, body: Incoming) {
        // What breaks off, stands still or is long ends the connection after the answer.
        let _ = collect(body, REFUSED_BODY_BYTES_MAX, self.gateway.config.limits.body_idle, &self.gateway.body_room).await;
    }

    async fn provision(
        &self,
        gate: &Gate,
        head: &request::Parts,
        body: Incoming,
        (who, eas, found): (&Who<'_>, &Eas, &Found),
    ) -> Result<Answer, Box<Answer>> {
        let (_, request) = self.read_provision(head, body, eas).await?;
        let standing = self.standing(head, eas, found).await?;
        Ok(gate.provision(who, &request, standing).await)
    }

    /// Whether the credentials are good; the answer that says no is the backend's.
    async fn standing(&self, head: &request::Parts, eas: &Eas, found: &Found) -> Result<Standing, Box<Answer>> {
        match self.log_in(head, eas).await {
            Ok(()) => Ok(Standing::Good),
            Err(_) if found.is_to_be_erased() => Ok(Standing::ToBeErased),
            Err(answer) => Err(answer),
        }
    }

    /// Asks the backend whether the credentials are good, unless that is known.
    pub(crate) async fn log_in(&self, head: &request::Parts, eas: &Eas) -> Result<(), Box<Answer>> {
        if let Some(answer) = self.spare_eas(eas) {
            return Err(Box::new(answer));
        }
        match &eas.credentials {
            Some(credentials) => self.verify(credentials, head, (eas, &self.route_to(eas))).await,
            None => Err(Box::new(retry_later(StatusCode::SERVICE_UNAVAILABLE, NOBODY_RETRY_S))),
        }
    }
}

impl Gate {
    /// A request that is refused shows its device all the same; a blocked one is made known, so that somebody can allow it.
    fn meet(&self, who: &Who<'_>, found: &Found, refusal: Refusal) {
        if found.partnership.is_some() {
            self.store.note(who.mailbox, &who.request.device_id, &who.attempt(), Seen::Attempt);
        } else if refusal == Refusal::TooManyDevices {
            self.turned_away.note(who, self.now());
        } else {
            self.store.change(who.mailbox, &who.request.device_id, &who.request.device_type, beginning(who, found));
        }
    }

    /// Says no, at the pace that the device deserves.
    pub(super) fn refuse(&self, who: &Who<'_>, refusal: Refusal) -> Answer {
        let device = (who.mailbox, &who.request.device_id);
        let pace = if refusal.is_step() { self.loops.step(device, self.steady(), |steps| steps.told(self.steady())) } else { Pace::Go };
        self.tell(who, refusal, pace)
    }

    /// Says no, at this pace.
    pub(super) fn tell(&self, who: &Who<'_>, refusal: Refusal, pace: Pace) -> Answer {
        let refusal = match pace {
            Pace::Slow { retry_after_s } => Refusal::SlowDown { retry_after_s },
            Pace::Go | Pace::Go449 => refusal,
        };
        let request = who.request;
        metrics::counter!(GATE_REFUSALS_TOTAL.name, "reason" => refusal.label()).increment(1);
        tracing::debug!(mailbox = %who.mailbox, device = %request.device_id, command = request.command.name(), reason = refusal.label(), "refused");
        told(signal(refusal, request.command, request.version, request.policy_key, pace == Pace::Go449))
    }
}

/// A signal on the wire.
fn told(signal: Signal) -> Answer {
    let mut answer = if signal.body.is_empty() { Response::new(full(Vec::new())) } else { wbxml(signal.body) };
    *answer.status_mut() = StatusCode::from_u16(signal.http).unwrap_or(StatusCode::FORBIDDEN);
    if signal.http == 449 {
        // Not a registered status; this is the phrase devices know.
        answer.extensions_mut().insert(ReasonPhrase::from_static(b"Retry after sending a PROVISION command"));
    }
    if let Some(seconds) = signal.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
