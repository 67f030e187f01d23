//! Who calls, and what they may do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::admin::token::{self, Token};
use crate::store::{By, Role, Store, TOKEN_FILE};

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Caller {
    name: String,
    token: Option<String>,
    role: Role,
    source: String,
}

impl Caller {
    /// As the audit trail names them.
    pub(super) fn by(&self) -> By {
        By { actor: self.name.clone(), source: self.source.clone(), token: self.token.clone() }
    }

    /// What they may.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Whether they may do what needs this role.
    pub(super) fn check(&self, needed: Role) -> Result<(), Problem> {
        if self.role >= needed { Ok(()) } else { Err(Problem::forbidden(self.role, needed)) }
    }
}

/// Lets nobody in without a token; handlers find the [`Caller`].
pub(in crate::admin) async fn authenticate(State(internal): State<Arc<Internal>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let source = peer.map_or_else(|| "unknown".to_owned(), |ConnectInfo(peer)| peer.ip().to_string());
    let mut authorizations = request.headers().get_all(header::AUTHORIZATION).iter();
    let authorization = authorizations.next();
    if authorizations.next().is_some() {
        // Whoever passed it on may have looked at the other one.
        return Problem::bad_request("There is more than one Authorization header: send one.").into_response();
    }
    let known = match authorization {
        Some(value) => who(value.as_bytes(), &internal.token.load(), &internal.store).await,
        None => None,
    };
    let Some((name, role, token)) = known else {
        tracing::warn!("refused: {}", if authorization.is_some() { "wrong token" } else { "no token" });
        return Problem::unauthorized().into_response();
    };
    if is_of_another_site(&request) {
        return Problem::another_site().into_response();
    }
    request.extensions_mut().insert(Caller { name, token, role, source });
    next.run(request).await
}

async fn who(authorization: &[u8], file: &Token, store: &Store) -> Option<(String, Role, Option<String>)> {
    let secret = token::in_header(authorization)?;
    if file.is(&secret) {
        return Some((TOKEN_FILE.to_owned(), Role::Admin, None));
    }
    let used = store.prove_token(std::str::from_utf8(&secret).ok()?).await?;
    Some((used.name, used.role, Some(used.id)))
}

/// A browser that knows the password sends it along with whatever another site's page makes it send: such requests change nothing.
fn is_of_another_site(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site");
    !matches!(*request.method(), Method::GET | Method::HEAD) && site.is_some_and(|site| site != "same-origin" && site != "none")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthorized)
    }
}
