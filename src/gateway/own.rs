//! The gateway's own answers: no banner, nothing to be guessed about them, and HTTPS from then on.

use http::header::{CONTENT_TYPE, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use super::backend::AnswerBody;
use super::body::full;
use crate::logic::answer::{HTTPS_ONLY, WBXML_TYPE};

/// 200 with what an EAS command is answered.
pub(super) fn wbxml(body: Vec<u8>) -> Response<AnswerBody> {
    let mut response = Response::new(full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(WBXML_TYPE));
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    response
}

/// A status, and one sentence for whoever looks; a browser takes it for nothing else.
pub(super) fn plain(status: StatusCode, sentence: &str) -> Response<AnswerBody> {
    let mut response = Response::new(full(format!("{sentence}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Asks the device to come again then.
pub(super) fn retry_later(status: StatusCode, seconds: u32) -> Response<AnswerBody> {
    let mut response = plain(status, "Please try again later.");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
