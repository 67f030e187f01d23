//! Routes of the internal address: what is where, who may call it, what is counted and logged.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::Instrument;

use super::api;
use super::life::Life;
use super::problem::Problem;
use super::token::Token;
use super::view::GatewayView;
use crate::config;
use crate::logic::eas::Mailbox;
use crate::notify::Intake;
use crate::store::Store;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::INTERNAL_REQUESTS_TOTAL;

/// What the routes work with.
pub struct Internal {
    /// Who knows it may call; replaced by a reload.
    pub token: Arc<ArcSwap<Token>>,
    /// Where notifications go.
    pub intake: Intake,
    /// What is shown.
    pub view: Arc<dyn GatewayView>,
    /// What `/metrics` renders.
    pub metrics: PrometheusHandle,
    /// Policies, partnerships, tokens, the audit trail.
    pub store: Store,
    /// Who is told to reload and to leave.
    pub life: Arc<dyn Life>,
    /// How a mailbox in a query is made one name.
    pub mailboxes: config::Mailbox,
}

impl Internal {
    /// A mailbox as somebody wrote it.
    pub(super) fn mailbox(&self, name: &str) -> Result<Mailbox, Problem> {
        let bad = || Problem::bad_request("The mailbox is a user name such as hew or hew@example.org.");
        self.mailboxes.mailbox(name).ok_or_else(bad)
    }
}

/// Every route. `/healthz` and `/readyz` are open, because balancers have no token; all else, unknown paths
/// included, needs it.
pub fn router(internal: Internal) -> Router {
    let internal = Arc::new(internal);
    let (guarded, open): (Vec<_>, Vec<_>) = api::all().into_iter().partition(api::Operation::is_guarded);
    let mount = |operations: Vec<api::Operation>| operations.into_iter().fold(Router::new(), |router, operation| operation.mount(router));
    let guarded = mount(guarded)
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path takes another method: see Allow."))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path."))
        .layer(middleware::from_fn_with_state(api::Refusals::new(internal.clone()), api::enter_refusals))
        .layer(middleware::from_fn_with_state(internal.clone(), api::authenticate));
    let open = mount(open)
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path takes another method: see Allow."));
    open.merge(guarded).layer(middleware::from_fn(observe)).with_state(internal)
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
