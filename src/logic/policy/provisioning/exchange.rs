//! One Provision exchange.

use super::{Application, Applied, Offer, Sent};
use crate::logic::eas::provision::{PolicyAnswer, PolicyData, PolicyRequest, ProvisionAnswer, ProvisionRequest};
use crate::logic::eas::{PolicyKey, Version, status};
use crate::logic::policy::document::policy_type;
use crate::logic::policy::signal::Refusal;
use crate::logic::policy::wipe::{Wipe, WipeKind, WipeState};
use crate::logic::policy::{Partnership, PolicyName, Prepared, Timestamp};

/// What an exchange happens in.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the device speaks.
    pub version: Version,
    /// The mailbox's policy, if it has one.
    pub policy: Option<&'a Prepared>,
    /// Now.
    pub now: Timestamp,
    /// Anything nobody can guess: keys are made of it.
    pub random: u32,
}

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This, with HTTP 200.
    Answer(ProvisionAnswer),
    /// No; `signal` says how.
    Refuse(Refusal),
}

/// What came of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be said, once the partnership is stored.
    pub reply: Reply,
    /// The partnership from now on.
    pub partnership: Partnership,
    /// What happened, for the store (with any of them, the partnership is written at once), the log and the audit trail.
    pub facts: Vec<Fact>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The device described itself.
    Informed,
    /// It was told to, and to come again.
    ToldToDescribe,
    /// A policy was sent with a temporary key.
    Offered {
        /// Which.
        policy: PolicyName,
        /// Its revision.
        revision: u64,
    },
    /// A policy was acknowledged, and a final key given.
    Acknowledged {
        /// How far the device applies it.
        application: Application,
    },
    /// The device cannot apply the policy, and must.
    NotProvisionable {
        /// How far it would apply it.
        application: Application,
    },
    /// A key was acknowledged that was never given.
    WrongKey,
    /// The device asked for a policy written in a way that its version has not.
    WrongPolicyType,
    /// The order to erase went out.
    WipeSent(WipeKind),
    /// The device does.
    WipeAcknowledged(WipeKind),
    /// The device could not.
    WipeFailed(WipeKind),
}

/// What a client says in an acknowledgement.
mod acknowledged {
    pub(super) const APPLIED: u16 = 1;
    pub(super) const PARTIALLY: u16 = 2;
    pub(super) const NOT_APPLIED: u16 = 3;
    pub(super) const EXTERNALLY_MANAGED: u16 = 4;
}

/// Policy/Status of an answer.
mod policy_status {
    pub(super) const OK: u16 = 1;
    pub(super) const NO_POLICY: u16 = 2;
    pub(super) const UNKNOWN_TYPE: u16 = 3;
    pub(super) const WRONG_KEY: u16 = 5;
}

/// Provision/Status: what the device sent makes no sense.
const PROTOCOL_ERROR: u16 = 2;
/// RemoteWipe/Status of a device: it does.
const WIPED: u16 = 1;

/// Answers a request whose credentials are good.
pub fn answer(request: &ProvisionRequest, partnership: &Partnership, context: &Context<'_>) -> Outcome {
    let mut exchange = Exchange { partnership: partnership.clone(), facts: Vec::new(), context: *context };
    if let Some(information) = &request.device_information {
        exchange.partnership.informed(information, context.now);
        exchange.facts.push(Fact::Informed);
    }
    let mut reply = match exchange.wipe(request, true) {
        Some(reply) => reply,
        None => exchange.policy(request),
    };
    if let Reply::Answer(answer) = &mut reply {
        answer.device_information = request.device_information.as_ref().map(|_| status::OK);
    }
    Outcome { reply, partnership: exchange.partnership, facts: exchange.facts }
}

/// Answers a request whose credentials are not good (or could not be checked), of a device that is to be erased: the order, and
/// nothing else. `None` if no order stands, which must look like any other request with bad credentials.
pub fn answer_wipe(request: &ProvisionRequest, partnership: &Partnership, version: Version, now: Timestamp) -> Option<Outcome> {
    let context = Context { version, policy: None, now, random: 0 };
    let mut exchange = Exchange { partnership: partnership.clone(), facts: Vec::new(), context };
    let reply = partnership.wipe_stands().then(|| exchange.wipe(request, false)).flatten()?;
    Some(Outcome { reply, partnership: exchange.partnership, facts: exchange.facts })
}

struct Exchange<'a> {
    partnership: Partnership,
    facts: Vec<Fact>,
    context: Context<'a>,
}

impl Exchange<'_> {
    /// The part that is about erasing; `None` if the exchange goes on to the policy.
    fn wipe(&mut self, request: &ProvisionRequest, with_credentials: bool) -> Option<Reply> {
        let (version, now) = (self.context.version, self.context.now);
        let reported = [(WipeKind::Device, request.remote_wipe), (WipeKind::AccountOnly, request.account_only_remote_wipe)];
        let mut answer = ProvisionAnswer { status: status::OK, ..Default::default() };
        let report_on = |wipe: &Wipe| reported.iter().find(|(kind, _)| *kind == wipe.kind).and_then(|(_, status)| *status);
        let Some(wipe) = self.partnership.wipe.as_mut().filter(|wipe| wipe.stands()) else {
            let too_late = self.partnership.wipe.as_mut().filter(|wipe| wipe.may_be_reported() && report_on(wipe) == Some(WIPED));
            if let Some(wipe) = too_late {
                // It was told before the order was taken back.
                wipe.reported(true, with_credentials, now);
                self.facts.push(Fact::WipeAcknowledged(wipe.kind));
                self.partnership.provisioning = Default::default();
            }
            // Of an order that never was there is nothing to say but that it was heard.
            let is_report = reported.iter().any(|(_, status)| status.is_some());
            return is_report.then_some(Reply::Answer(answer));
        };
        if wipe.kind == WipeKind::AccountOnly && version < Version::V16_1 {
            // It spoke 16.1 when this was ordered; it cannot be told now, and it gets nothing either.
            return Some(Reply::Refuse(Refusal::Blocked));
        }
        let report = report_on(wipe);
        // What was never sent cannot be acknowledged.
        if let Some(report) = report.filter(|_| wipe.state != WipeState::Requested) {
            let is_done = report == WIPED;
            wipe.reported(is_done, with_credentials, now);
            if is_done {
                // An erased device has no policy.
                self.partnership.provisioning = Default::default();
                self.facts.push(Fact::WipeAcknowledged(wipe.kind));
                return Some(Reply::Answer(answer));
            }
            self.facts.push(Fact::WipeFailed(wipe.kind));
            answer.status = PROTOCOL_ERROR;
        }
        wipe.sent(now);
        self.facts.push(Fact::WipeSent(wipe.kind));
        match wipe.kind {
            WipeKind::Device => answer.remote_wipe = true,
            WipeKind::AccountOnly => answer.account_only_remote_wipe = true,
        }
        Some(Reply::Answer(answer))
    }

    /// The part that is about the policy.
    fn policy(&mut self, request: &ProvisionRequest) -> Reply {
        let Some(asked) = &request.policy else {
            // The empty Provision asks whether to wipe. No.
            return Reply::Answer(ProvisionAnswer { status: status::OK, ..Default::default() });
        };
        if asked.policy_type != policy_type(self.context.version) {
            self.facts.push(Fact::WrongPolicyType);
            return word(asked, policy_status::UNKNOWN_TYPE, None, None);
        }
        let Some(policy) = self.context.policy else { return word(asked, policy_status::NO_POLICY, None, None) };
        match (asked.policy_key, asked.status) {
            (Some(key), Some(status)) => self.acknowledge(asked, key, status, policy),
            // A Status without a key would acknowledge nothing in particular.
            (None, Some(_)) => Reply::Answer(ProvisionAnswer { status: PROTOCOL_ERROR, ..Default::default() }),
            (_, None) => self.offer(asked, policy),
        }
    }

    /// First step: the policy and a temporary key.
    fn offer(&mut self, asked: &PolicyRequest, policy: &Prepared) -> Reply {
        let Context { version, now, .. } = self.context;
        let is_described = self.partnership.information_at.is_some();
        let provisioning = &mut self.partnership.provisioning;
        provisioning.asked_at = Some(now);
        if version >= Version::V14_1 && !is_described && !provisioning.told_to_describe {
            provisioning.told_to_describe = true;
            self.facts.push(Fact::ToldToDescribe);
            return Reply::Refuse(Refusal::InformationRequired);
        }
        let document = policy.document(version);
        let sent = Sent { policy: policy.policy().name.clone(), revision: policy.policy().revision, version, hash: document.hash, at: now };
        // A device that asks again (the answer was lost) gets the same key: it may acknowledge either answer.
        let same = provisioning.offer.as_ref().filter(|offer| (offer.document.version, offer.document.hash) == (version, document.hash));
        let key = match same {
            Some(offer) => offer.key,
            None => self.new_key(),
        };
        self.facts.push(Fact::Offered { policy: sent.policy.clone(), revision: sent.revision });
        self.partnership.provisioning.offer = Some(Offer { key, document: sent });
        word(asked, policy_status::OK, Some(key), Some(document.data.clone()))
    }

    /// Second step: what the device makes of it, and the final key.
    fn acknowledge(&mut self, asked: &PolicyRequest, key: PolicyKey, status: u16, policy: &Prepared) -> Reply {
        let application = match status {
            acknowledged::APPLIED => Application::AppliedInFull,
            acknowledged::PARTIALLY => Application::PartiallyApplied,
            acknowledged::NOT_APPLIED => Application::NotApplied,
            acknowledged::EXTERNALLY_MANAGED => Application::ExternallyManaged,
            _ => return Reply::Answer(ProvisionAnswer { status: PROTOCOL_ERROR, ..Default::default() }),
        };
        let provisioning = &self.partnership.provisioning;
        if let Some(applied) = provisioning.applied.as_ref().filter(|applied| applied.temporary_key == key) {
            // Said twice: the answer was lost. It is the same answer, unless the device now says something else.
            if applied.application == application {
                return word(asked, policy_status::OK, Some(applied.key), None);
            }
        }
        let Some(offer) = provisioning.offer.clone().filter(|offer| offer.key == key) else {
            self.facts.push(Fact::WrongKey);
            return word(asked, policy_status::WRONG_KEY, None, None);
        };
        if !application.is_enough(policy) {
            self.partnership.provisioning.declined = Some(application);
            self.facts.push(Fact::NotProvisionable { application });
            return Reply::Refuse(match application {
                Application::ExternallyManaged => Refusal::ExternallyManaged,
                _ => Refusal::NotFullyProvisionable,
            });
        }
        let key = self.new_key();
        let document = Sent { at: self.context.now, ..offer.document };
        let applied = Applied { key, temporary_key: offer.key, application, document };
        let provisioning = &mut self.partnership.provisioning;
        (provisioning.offer, provisioning.declined, provisioning.applied) = (None, None, Some(applied));
        self.facts.push(Fact::Acknowledged { application });
        word(asked, policy_status::OK, Some(key), None)
    }

    /// A key that is not 0 and none of those the device has.
    fn new_key(&self) -> PolicyKey {
        let provisioning = &self.partnership.provisioning;
        let offered = provisioning.offer.as_ref().map(|offer| offer.key);
        let applied = provisioning.applied.as_ref();
        let taken = [Some(PolicyKey(0)), offered, applied.map(|applied| applied.key), applied.map(|applied| applied.temporary_key)];
        let mut key = PolicyKey(self.context.random);
        while taken.contains(&Some(key)) {
            key.0 = key.0.wrapping_add(1);
        }
        key
    }
}

/// An answer that is about the policy.
fn word(asked: &PolicyRequest, status: u16, policy_key: Option<PolicyKey>, data: Option<PolicyData>) -> Reply {
    let policy = PolicyAnswer { policy_type: asked.policy_type.clone(), status, policy_key, data };
    Reply::Answer(ProvisionAnswer { status: status::OK, policy: Some(policy), ..Default::default() })
}
