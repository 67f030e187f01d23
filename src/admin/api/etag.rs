//! Revisions as ETags: whoever changes something says which revision they read, and the second of two is told.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::admin::problem::Problem;

/// `If-Match`, as it came.
#[derive(Debug)]
pub(super) struct IfMatch(Option<String>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(IfMatch(None)),
            (Some(value), None) => Ok(IfMatch(Some(value.to_str().unwrap_or_default().trim().to_owned()))),
            (Some(_), Some(_)) => Err(Problem::bad_request("Send one If-Match, with one ETag.")),
        }
    }
}

impl IfMatch {
    /// The revision that the sender read, where they need not say one; `None`: whatever it is.
    pub(super) fn given(&self) -> Option<u64> {
        let tag = self.0.as_deref().filter(|tag| *tag != "*")?;
        // What is no revision of ours is that of nothing.
        let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|number| number.parse().ok());
        Some(number.filter(|number| etag(*number) == tag).unwrap_or(u64::MAX))
    }

    /// The revision that the sender read; `*` is the present one.
    ///
    /// # Errors
    /// None is given (428), or one that is not the present one (412).
    pub(super) fn revision(&self, present: u64) -> Result<u64, Problem> {
        match self.0.as_deref() {
            None => Err(Problem::precondition_required()),
            Some("*") => Ok(present),
            Some(tag) if tag == etag(present) => Ok(present),
            Some(_) => Err(Problem::stale(present)),
        }
    }
}

/// A revision as an ETag.
pub(in crate::admin) fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// An answer with its revision.
pub(super) struct Tagged<T>(pub(super) u64, pub(super) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.0))], Json(self.1)).into_response()
    }
}
