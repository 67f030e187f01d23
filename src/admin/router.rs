//! Routes of the internal address: what is where, who may call it, what is counted and logged.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::Instrument;

use super::problem::Problem;
use super::routes;
use super::token::Token;
use super::view::GatewayView;
use crate::config;
use crate::notify::Intake;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::INTERNAL_REQUESTS_TOTAL;

/// What the routes work with.
pub struct Internal {
    /// Who knows it may call.
    pub token: Token,
    /// Where notifications go.
    pub intake: Intake,
    /// What is shown.
    pub view: Arc<dyn GatewayView>,
    /// What `/metrics` renders.
    pub metrics: PrometheusHandle,
    /// How a mailbox in a query is made one name.
    pub mailboxes: config::Mailbox,
}

/// Every route. `/healthz` and `/readyz` are open, because balancers have no token; all else, unknown paths
/// included, needs it.
pub fn router(internal: Internal) -> Router {
    let internal = Arc::new(internal);
    let open = Router::new().route("/healthz", get(routes::healthz)).route("/readyz", get(routes::readyz));
    let guarded = Router::new()
        .route("/metrics", get(routes::metrics))
        .route("/v1/notifications", post(routes::notifications))
        .route("/v1/dovecot", put(routes::dovecot).post(routes::dovecot))
        .route("/v1/pings", get(routes::pings))
        .route("/v1/status", get(routes::status))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path takes another method: see Allow."))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path."))
        .layer(middleware::from_fn_with_state(internal.clone(), authenticate));
    open.merge(guarded).layer(middleware::from_fn(observe)).with_state(internal)
}

async fn authenticate(State(internal): State<Arc<Internal>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION);
    if authorization.is_some_and(|value| internal.token.is_in(value.as_bytes())) {
        return next.run(request).await;
    }
    tracing::warn!("refused: {}", if authorization.is_some() { "wrong token" } else { "no token" });
    Problem::unauthorized().into_response()
}

/// Marks, counts and logs a request.
async fn observe(request: Request, next: Next) -> Response {
    let id = RequestId::next().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| tracing::field::display(*peer));
    let span = tracing::info_span!("request", id, peer, method = %request.method(), route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    metrics::counter!(INTERNAL_REQUESTS_TOTAL.name, "route" => route, "status" => status.as_u16().to_string()).increment(1);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
