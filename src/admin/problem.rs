//! Errors of the internal address as RFC 9457 problem+json. Each detail is one sentence that says what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::api::etag;
use crate::config::limits::NOTIFICATIONS_MAX;
use crate::logic::policy::{self, Problems};
use crate::notify::intake::{BadBatch, Refused};
use crate::store::{Role, StoreError};

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// Members beside the standard ones.
    more: Vec<(&'static str, Value)>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), more: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// There is no such thing.
    pub(super) fn missing(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("There is no {what}."))
    }

    pub(super) fn unauthorized() -> Problem {
        let detail = "Send the token of internal.token_file, or one made by \"pushgate token new\", as \"Authorization: Bearer TOKEN\", or \
                      as the password of Basic.";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header(header::WWW_AUTHENTICATE, "Bearer realm=\"pushgate\"")
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"pushgate\"")
    }

    pub(super) fn forbidden(has: Role, needs: Role) -> Problem {
        let detail = format!("This token is of the role {}; ask somebody with the role {} for it.", has.name(), needs.name());
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn another_site() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "Another site's page sent this: nothing was changed. Use pushgate's own pages, or a program.")
    }

    pub(super) fn precondition_required() -> Problem {
        let detail =
            "Read it first, and send its ETag as If-Match, so that nobody else's change is lost (or *, to overwrite whatever it is).";
        Problem::new(StatusCode::PRECONDITION_REQUIRED, detail)
    }

    /// The revision that was read is not the present one, which is told.
    pub(super) fn stale(present: u64) -> Problem {
        let detail =
            format!("Somebody changed it meanwhile: it is at revision {present} now. Read it again, and repeat what is still wanted.");
        Problem::new(StatusCode::PRECONDITION_FAILED, detail).with("revision", present.into()).header(header::ETAG, &etag(present))
    }

    pub(super) fn too_large(bytes_max: usize) -> Problem {
        let detail = format!("The body is longer than {bytes_max} bytes: send it in several requests.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// One more member.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Problem {
        self.more.push((name, value));
        self
    }

    fn header(mut self, name: header::HeaderName, value: &str) -> Problem {
        self.headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        self
    }

    /// `switch` names the setting that turns the source on.
    pub(super) fn refused(refused: Refused, switch: &str) -> Problem {
        match refused {
            Refused::SwitchedOff => Problem::new(StatusCode::NOT_FOUND, format!("This source is switched off: set {switch} to true.")),
            Refused::Overloaded => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "More changes wait than limits.inbox_max allows: send all of it again in a second.",
            )
            .header(header::RETRY_AFTER, "1"),
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
                let detail = format!("Nothing was applied: {count} {entries} wrong, correct them and send all of it again.");
                Problem::unprocessable(detail).with("errors", errors)
            }
        }
    }
}

/// Every bad setting at once, each with its range.
impl From<Problems> for Problem {
    fn from(problems: Problems) -> Problem {
        let told = |problem: &policy::Problem| {
            let definition = problem.setting().map(|setting| setting.definition());
            json!({
                "setting": definition.map(|definition| definition.name),
                "key": definition.map(|definition| definition.key),
                "range": definition.map(|definition| definition.kind.to_string()),
                "detail": format!("{problem}."),
            })
        };
        let errors: Vec<Value> = problems.0.iter().map(told).collect();
        let settings = if errors.len() == 1 { "1 setting is".to_owned() } else { format!("{} settings are", errors.len()) };
        Problem::unprocessable(format!("Nothing was changed: {settings} wrong, correct all of them.")).with("errors", errors.into())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let detail = sentence(&error.to_string());
        match error {
            StoreError::Unavailable(_) | StoreError::Uncertain(_) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(header::RETRY_AFTER, "5")
            }
            StoreError::Conflict { revision } => Problem::stale(revision),
            StoreError::Missing(_) => Problem::new(StatusCode::NOT_FOUND, detail),
            StoreError::Exists(_) | StoreError::Foreign(_) | StoreError::InTheWay(_) | StoreError::Full(_) | StoreError::Unreadable => {
                Problem::new(StatusCode::CONFLICT, detail)
            }
            StoreError::InUse(by) => Problem::new(StatusCode::CONFLICT, detail).with("used_by", by.into()),
            StoreError::Unsuitable(_) => Problem::unprocessable(detail),
            StoreError::Broken(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
        }
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        for (name, value) in self.more {
            body[name] = value;
        }
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}
