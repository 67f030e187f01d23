//! What callers send: paths, queries and bodies → values, or a problem that says what to write instead.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::admin::problem::Problem;
use crate::config::limits::{ADMIN_BODY_BYTES_MAX, INTERNAL_REQUEST_TIME};

/// Parameters of the path, percent-decoded.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Path(value))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path."))
    }
}

/// The query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|axum::extract::Query(value)| Query(value))
            .map_err(|rejection| Problem::bad_request(format!("Correct the query: {}.", reason(&rejection))))
    }
}

/// A body of JSON. Only what says that it is JSON: a form of another site's page can say nothing but what forms are.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/json")?;
        let body = whole(request.into_body(), ADMIN_BODY_BYTES_MAX).await?;
        let value: serde_json::Value =
            serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("The body is not JSON: {error}.")))?;
        let value = serde_json::from_value(value).map_err(|error| Problem::unprocessable(format!("Nothing was changed: {error}.")))?;
        Ok(Json(value))
    }
}

/// A body of CSV.
pub(super) struct Csv(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Csv {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "text/csv")?;
        let body = whole(request.into_body(), ADMIN_BODY_BYTES_MAX).await?;
        String::from_utf8(body.into())
            .map(Csv)
            .map_err(|_| Problem::bad_request("The file is not UTF-8: save it as UTF-8 and send it again."))
    }
}

fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Send the body as {wanted} and say so in Content-Type.")))
}

/// Reads a body within its bounds in size and time.
pub(in crate::admin) async fn whole(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Problem::too_large(bytes_max));
    }
    let read = tokio::time::timeout(INTERNAL_REQUEST_TIME, Limited::new(body, bytes_max).collect()).await;
    match read {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::bad_request("The body ended before its end: send it again.")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not come in time: send it again.")),
    }
}

/// The innermost reason.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}
