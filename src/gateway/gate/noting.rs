//! What passes shows of its device, noted.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};

use super::{Who, agent};
use crate::gateway::exchange::{Eas, Exchange};
use crate::gateway::observe::Noted;
use crate::logic::eas::PingRequest;
use crate::store::Seen;

const COMMANDS: HeaderName = HeaderName::from_static("ms-asprotocolcommands");

impl Exchange {
    /// The backend knows this user, or just said so.
    pub(crate) fn note(&self, eas: &Eas, seen: Seen) {
        if let (Some(gate), Some(who)) = (&self.gateway.gate, eas.who()) {
            gate.note(&who, seen);
        }
    }

    /// A Ping is about to be held.
    pub(crate) fn note_ping(&self, eas: &Eas, ping: &PingRequest) {
        let is_new = ping.heartbeat_s.map(Seen::Heartbeat).unwrap_or(Seen::Attempt);
        self.note(eas, is_new);
        if ping.folders.is_some() {
            self.note(eas, Seen::Folders(u32::try_from(ping.folder_count).unwrap_or(u32::MAX)));
        }
    }

    /// For who reads a Sync's answer, after this exchange is over.
    pub(crate) fn noting(&self, eas: &Eas) -> Option<Noted> {
        self.gateway.gate.as_ref()?;
        let (gateway, mailbox) = (self.gateway.clone(), eas.mailbox.clone()?);
        let (request, user_agent, from) = (eas.request.clone(), eas.user_agent.clone(), eas.from);
        Some(Box::new(move |status| {
            if let Some(gate) = &gateway.gate {
                let who = Who { mailbox: &mailbox, request: &request, user_agent: agent(user_agent.as_ref()), from };
                gate.note(&who, Seen::Synced(status));
            }
        }))
    }
}

/// Adds Provision to what OPTIONS offers, if the backend does not have it.
pub(crate) fn offer_provision(headers: &mut HeaderMap) {
    let Some(commands) = headers.get(&COMMANDS).and_then(|value| value.to_str().ok()) else { return };
    if commands.split(',').any(|command| command.trim().eq_ignore_ascii_case("Provision")) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{commands},Provision")) {
        headers.insert(COMMANDS, value);
    }
}
