//! What a device is told when an exchange with the backend fails: a status and one sentence that says nothing of the inside.

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::AnswerBody;
use crate::gateway::own::plain;

/// Why there is no answer from a backend. Also put into the extensions of the answer that stands for it, so
/// that a caller can tell it from the backend's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device's request target has no path.
    BadTarget,
    /// The device began a body and stopped.
    DeviceStalled,
    /// The device hung up in the middle of its body.
    DeviceHungUp,
    /// The rate is used up and too many wait already, or all exchanges are taken and none became free in time.
    Busy {
        /// Seconds a device is asked to stay away; another number for each.
        retry_after_s: u32,
    },
    /// No backend took a connection (refused, unreachable, TLS failed, too slow).
    Unreachable,
    /// A backend took the request and broke off before the head of its answer.
    BrokenOff,
    /// A backend took the request and did not begin to answer in time.
    NoAnswer,
}

impl Failure {
    /// The HTTP status that stands for it.
    pub fn status(self) -> StatusCode {
        match self {
            Failure::BadTarget | Failure::DeviceHungUp => StatusCode::BAD_REQUEST,
            Failure::DeviceStalled => StatusCode::REQUEST_TIMEOUT,
            Failure::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Unreachable | Failure::BrokenOff => StatusCode::BAD_GATEWAY,
            Failure::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Failure::BadTarget => "The request target is not a path.",
            Failure::DeviceStalled | Failure::DeviceHungUp => "The request body did not arrive.",
            Failure::Busy { .. } => "The mail server is busy. Please try again.",
            Failure::Unreachable | Failure::BrokenOff => "The mail server cannot be reached.",
            Failure::NoAnswer => "The mail server did not answer in time.",
        }
    }

    /// The answer for the device.
    pub fn into_response(self) -> Response<AnswerBody> {
        let mut response = plain(self.status(), self.sentence());
        if let Failure::Busy { retry_after_s } = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
        }
        response.extensions_mut().insert(self);
        response
    }
}
