//! Provision, answered here: policies, and orders to erase.

use bytes::Bytes;
use http::{StatusCode, request};
use hyper::body::Incoming;

use super::entrance::Standing;
use super::{Gate, Who, beginning};
use crate::gateway::backend::BackendBody;
use crate::gateway::body::{Collected, inflated};
use crate::gateway::exchange::{Answer, Eas, Exchange, is_done};
use crate::gateway::own::{retry_later, wbxml};
use crate::gateway::reading::{refuse_body, refuse_malformed};
use crate::logic::eas::provision::ProvisionRequest;
use crate::logic::eas::status;
use crate::logic::policy::Partnership;
use crate::logic::policy::loops::Pace;
use crate::logic::policy::provisioning::{self, Context, Fact, Outcome, Reply};
use crate::logic::policy::signal::Refusal;
use crate::store::{DeviceChange, Recorded, Seen};
use crate::telemetry::metrics::PROVISIONS_TOTAL;

impl Exchange {
    /// A Provision of a mailbox without policy: the backend may have one. What the device says of itself is noted.
    pub(crate) async fn pass_provision(self, head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let (wire, request) = match self.read_provision(&head, body, &eas).await {
            Ok(read) => read,
            Err(answer) => return self.done(*answer),
        };
        let route = self.route_to(&eas);
        let response = self.ask(head, BackendBody::Replayable(wire), &eas, route).await;
        if let (true, Some(gate), Some(who), Some(information)) =
            (is_done(&response), &self.gateway.gate, eas.who(), request.device_information)
        {
            gate.inform(&who, vec![DeviceChange::Informed(information)]);
        }
        self.deliver(response, None)
    }

    /// Reads a Provision; what is none is not worth a question about its sender.
    pub(super) async fn read_provision(
        &self,
        head: &request::Parts,
        body: Incoming,
        eas: &Eas,
    ) -> Result<(Bytes, ProvisionRequest), Box<Answer>> {
        let limits = &self.gateway.config.limits;
        let asked = &eas.request;
        let wire = match self.gather(head, body, eas, limits.inspected_body_bytes_max).await? {
            Collected::Whole(wire) => wire,
            Collected::More(_) => return Err(Box::new(refuse_body(asked, status::INVALID_WBXML))),
        };
        let body = inflated(&head.headers, &wire, limits.inspected_body_bytes_max);
        let Some(body) = body else { return Err(Box::new(refuse_body(asked, status::INVALID_WBXML))) };
        // No body at all asks the same as an empty Provision.
        let request = if body.is_empty() { Ok(ProvisionRequest::default()) } else { ProvisionRequest::parse(&body) };
        let request = request.map_err(|error| {
            tracing::debug!(%error, "refused: malformed Provision");
            Box::new(refuse_malformed(asked, &error))
        })?;
        Ok((wire, request))
    }
}

impl Gate {
    /// Answers it, once what it changes is stored.
    pub(super) async fn provision(&self, who: &Who<'_>, request: &ProvisionRequest, standing: Standing) -> Answer {
        let now = self.now();
        // As it is now: reading the body may have taken a while.
        let found = self.find(who);
        if !found.is_to_be_erased() {
            let device = (who.mailbox, &who.request.device_id);
            if let pace @ Pace::Slow { .. } = self.loops.step(device, self.steady(), |steps| steps.provisions(self.steady())) {
                return self.tell(who, Refusal::NotProvisioned, pace);
            }
        }
        let partnership = found
            .partnership
            .clone()
            .unwrap_or_else(|| Partnership::new(who.mailbox.clone(), who.request.device_id.clone(), who.request.device_type.clone(), now));
        let with_credentials = standing == Standing::Good;
        let context = Context { version: who.request.version, policy: found.policy(who.mailbox), now, random: random() };
        let outcome = match with_credentials {
            true => Some(provisioning::answer(request, &partnership, &context)),
            false => provisioning::answer_wipe(request, &partnership, who.request.version, now),
        };
        // It was taken back a moment ago, and without it the credentials count.
        let Some(outcome) = outcome else { return retry_later(StatusCode::SERVICE_UNAVAILABLE, 30) };
        let mut changes = if with_credentials { beginning(who, &found) } else { Vec::new() };
        changes.extend(DeviceChange::of_provision(&outcome, request.device_information.as_ref(), with_credentials, who.from));
        let recorded = self.store.record(who.mailbox, &who.request.device_id, &who.request.device_type, changes).await;
        if with_credentials {
            self.store.note(who.mailbox, &who.request.device_id, &who.attempt(), Seen::Attempt);
        }
        say(who, &outcome, recorded);
        match outcome.reply {
            Reply::Answer(answer) => wbxml(answer.encode()),
            Reply::Refuse(refusal) => self.tell(who, refusal, Pace::Go),
        }
    }
}

/// What came of it, for people.
fn say(who: &Who<'_>, outcome: &Outcome, recorded: Recorded) {
    let (mailbox, device) = (who.mailbox, &who.request.device_id);
    if recorded != Recorded::Saved {
        tracing::warn!(%mailbox, %device, "a Provision is answered before the database has it");
    }
    let count = |outcome: &'static str| metrics::counter!(PROVISIONS_TOTAL.name, "outcome" => outcome).increment(1);
    for fact in &outcome.facts {
        match fact {
            Fact::Informed => {}
            Fact::ToldToDescribe => count("told_to_describe"),
            Fact::Offered { policy, revision } => {
                count("offered");
                tracing::debug!(%mailbox, %device, %policy, revision, "policy sent");
            }
            Fact::Acknowledged { application } => {
                count("acknowledged");
                tracing::info!(%mailbox, %device, application = application.name(), "policy acknowledged");
            }
            Fact::NotProvisionable { application } => {
                count("declined");
                tracing::warn!(%mailbox, %device, application = application.name(), "the device does not do what its policy asks, and must");
            }
            Fact::WrongKey => count("wrong_key"),
            Fact::WrongPolicyType => count("wrong_type"),
            Fact::WipeSent(kind) => {
                count("wipe_sent");
                tracing::warn!(%mailbox, %device, kind = kind.name(), "the device was told to erase");
            }
            Fact::WipeAcknowledged(kind) => {
                count("wipe_acknowledged");
                tracing::warn!(%mailbox, %device, kind = kind.name(), "the device says that it erases");
            }
            Fact::WipeFailed(kind) => {
                count("wipe_failed");
                tracing::error!(%mailbox, %device, kind = kind.name(), "the device says that it could not erase");
            }
        }
    }
}

/// What nobody can guess, for keys.
fn random() -> u32 {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    u32::from_ne_bytes(bytes)
}
