//! Errors of the internal address as RFC 9457 problem+json. Each detail is one sentence that says what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::config::limits::{NOTIFICATION_BODY_BYTES_MAX, NOTIFICATIONS_MAX};
use crate::notify::intake::{BadBatch, Refused};

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// Members beside the standard ones.
    more: Option<(&'static str, Value)>,
    headers: Vec<(header::HeaderName, &'static str)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), more: None, headers: Vec::new() }
    }

    pub(super) fn unauthorized() -> Problem {
        let detail = "Send the token of internal.token_file as \"Authorization: Bearer TOKEN\", or as the password of Basic.";
        let challenges = [(header::WWW_AUTHENTICATE, "Bearer realm=\"pushgate\""), (header::WWW_AUTHENTICATE, "Basic realm=\"pushgate\"")];
        Problem { headers: challenges.into(), ..Problem::new(StatusCode::UNAUTHORIZED, detail) }
    }

    pub(super) fn too_large() -> Problem {
        let detail = format!("The body is longer than {NOTIFICATION_BODY_BYTES_MAX} bytes: send it in several requests.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// `switch` names the setting that turns the source on.
    pub(super) fn refused(refused: Refused, switch: &str) -> Problem {
        match refused {
            Refused::SwitchedOff => Problem::new(StatusCode::NOT_FOUND, format!("This source is switched off: set {switch} to true.")),
            Refused::Overloaded => Problem {
                headers: vec![(header::RETRY_AFTER, "1")],
                ..Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "More changes wait than limits.inbox_max allows: send all of it again in a second.",
                )
            },
            Refused::Bad(BadBatch::NotJson(error)) => Problem::new(
                StatusCode::BAD_REQUEST,
                format!("Nothing was applied: the body is not JSON of an object or an array of objects ({error})."),
            ),
            Refused::Bad(BadBatch::TooMany) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("Nothing was applied: the array has more than {NOTIFICATIONS_MAX} entries, send it in several requests."),
            ),
            Refused::Bad(BadBatch::Entries { named, count }) => {
                let errors = named.into_iter().map(|(index, detail)| json!({ "index": index, "detail": detail })).collect();
                let entries = if count == 1 { "entry is" } else { "entries are" };
                Problem {
                    more: Some(("errors", errors)),
                    ..Problem::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        format!("Nothing was applied: {count} {entries} wrong, correct them and send all of it again."),
                    )
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some((name, value)) = self.more {
            body[name] = value;
        }
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    }
}
