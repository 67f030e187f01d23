//! Settings: the recovery password stays here, the device's description is noted as it passes, the rest is the backend's.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Response, StatusCode, request};
use hyper::body::Incoming;

use super::{Gate, Who};
use crate::gateway::backend::BackendBody;
use crate::gateway::body::{Collected, Peeked, full, inflated, peek};
use crate::gateway::exchange::{Answer, Eas, Exchange, is_done};
use crate::gateway::own::{plain, retry_later, wbxml};
use crate::gateway::reading::refuse_body;
use crate::logic::eas::settings::{SettingsAnswer, SettingsRequest};
use crate::logic::eas::status;
use crate::logic::policy::recovery::{self, Recovery};
use crate::store::{DeviceChange, Recorded};

impl Exchange {
    /// A Settings that the gate lets pass.
    pub(crate) async fn settings(self, mut head: request::Parts, body: Incoming, eas: Eas) -> Answer {
        let limits = &self.gateway.config.limits;
        let wire = match self.gather(&head, body, &eas, limits.inspected_body_bytes_max).await {
            Ok(Collected::Whole(body)) => body,
            // It could not be seen whether a password is in it.
            Ok(Collected::More(_)) => return self.done(refuse_body(&eas.request, status::INVALID_WBXML)),
            Err(answer) => return self.done(*answer),
        };
        let Some(body) = inflated(&head.headers, &wire, limits.inspected_body_bytes_max) else {
            return self.done(refuse_body(&eas.request, status::INVALID_WBXML));
        };
        let request = match SettingsRequest::parse(&body) {
            Ok(request) => request,
            Err(error) => return self.refuse_malformed(&eas, error),
        };
        if request.device_password.is_none() {
            let response = self.forward_settings(head, wire, &eas, &request).await;
            return self.deliver(response, None);
        }
        let rest = match SettingsRequest::without_device_password(&body) {
            Ok(rest) => rest,
            Err(error) => return self.refuse_malformed(&eas, error),
        };
        let Some(taken) = self.take_password(&head, &eas, &request).await else {
            return self.done(retry_later(StatusCode::SERVICE_UNAVAILABLE, 30));
        };
        let password_status = match taken {
            Ok(status) => status,
            Err(answer) => return self.done(*answer),
        };
        let Some(rest) = rest else {
            let answer = SettingsAnswer { status: status::OK, device_password: Some(password_status), ..SettingsAnswer::default() };
            return self.done(wbxml(answer.encode()));
        };
        // What is sent is not packed, and what comes must be readable.
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(ACCEPT_ENCODING);
        let response = self.forward_settings(head, rest.into(), &eas, &request).await;
        let response = self.with_password_status(response, password_status).await;
        self.deliver(response, None)
    }

    async fn forward_settings(&self, head: request::Parts, body: Bytes, eas: &Eas, request: &SettingsRequest) -> Answer {
        let route = self.route_to(eas);
        let response = self.ask(head, BackendBody::Replayable(body), eas, route).await;
        if let (true, Some(gate), Some(who), Some(information)) =
            (is_done(&response), &self.gateway.gate, eas.who(), &request.device_information)
        {
            gate.inform(&who, vec![DeviceChange::Informed(information.clone())]);
        }
        response
    }

    /// Keeps the password, or not; the status that says so. `None`: there is no room for it at the moment.
    async fn take_password(&self, head: &request::Parts, eas: &Eas, request: &SettingsRequest) -> Option<Result<u16, Box<Answer>>> {
        let (gate, who) = (self.gateway.gate.as_ref()?, eas.who()?);
        // Nothing is kept for who cannot log in.
        if let Err(answer) = self.log_in(head, eas).await {
            return Some(Err(answer));
        }
        gate.take_password(&who, request).await.map(Ok)
    }

    /// A backend's answer, with the password's status as if the backend had kept it.
    async fn with_password_status(&self, response: Answer, password_status: u16) -> Answer {
        if !is_done(&response) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let body = match peek(body, self.gateway.config.limits.inspected_body_bytes_max).await {
            Peeked::Whole(body) => body,
            Peeked::More(_) => return plain(StatusCode::BAD_GATEWAY, "The backend's answer is too long."),
        };
        let Ok(body) = SettingsAnswer::with_device_password(&body, password_status) else {
            return plain(StatusCode::BAD_GATEWAY, "The backend's answer is not one to Settings.");
        };
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Response::from_parts(parts, full(body))
    }
}

impl Gate {
    async fn take_password(&self, who: &Who<'_>, request: &SettingsRequest) -> Option<u16> {
        let found = self.find(who);
        let recovery = recovery::decide(request, found.policy(who.mailbox))?;
        let status = recovery.status();
        let mut changes = super::beginning(who, &found);
        changes.push(match recovery {
            Recovery::Store(password) => DeviceChange::RecoveryPassword(Some(password)),
            Recovery::Clear => DeviceChange::RecoveryPassword(None),
            Recovery::Refuse { .. } => return Some(status),
        });
        let device = &who.request.device_id;
        match self.store.record(who.mailbox, device, &who.request.device_type, changes).await {
            Recorded::Saved | Recorded::Kept => {
                tracing::info!(mailbox = %who.mailbox, %device, "recovery password taken");
                Some(status)
            }
            Recorded::InMemoryOnly => None,
        }
    }
}
