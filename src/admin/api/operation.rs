//! One operation: where it is, who may do it, what it takes and gives, and what runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::caller::Caller;
use super::refusals::NeedsRole;
use super::shape::{self, Shape};
use crate::admin::router::Internal;
use crate::store::Role;

pub(in crate::admin) const JSON: &str = "application/json";
pub(in crate::admin) const TEXT: &str = "text/plain";
pub(in crate::admin) const CSV: &str = "text/csv";

/// An operation.
pub(in crate::admin) struct Operation {
    pub(super) method: MethodFilter,
    pub(super) path: &'static str,
    /// Its name in the OpenAPI document.
    pub(super) name: &'static str,
    /// Who may; `None`: anybody, without a token.
    pub(super) role: Option<Role>,
    /// One sentence.
    pub(super) doc: &'static str,
    pub(super) query: Option<Shape>,
    pub(super) takes: Option<(&'static str, Shape)>,
    /// `If-Match` must say which revision was read.
    pub(super) needs_revision: bool,
    /// `If-Match` may say which revision was read.
    pub(super) takes_revision: bool,
    /// Statuses when it is done, each with the content type and the shape of its body.
    pub(super) gives: Vec<(StatusCode, Option<(&'static str, Shape)>)>,
    /// The answer has an ETag.
    pub(super) is_tagged: bool,
    handler: MethodRouter<Arc<Internal>>,
}

impl Operation {
    pub(super) fn new<H, T>(
        method: MethodFilter,
        path: &'static str,
        name: &'static str,
        role: impl Into<Option<Role>>,
        doc: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Internal>>,
        T: 'static,
    {
        let role = role.into();
        let handler = on(method, handler);
        let handler = match role {
            Some(role) => handler.route_layer(middleware::from_fn_with_state(role, require)),
            None => handler,
        };
        Operation {
            method,
            path,
            name,
            role,
            doc,
            query: None,
            takes: None,
            needs_revision: false,
            takes_revision: false,
            gives: Vec::new(),
            is_tagged: false,
            handler,
        }
    }

    /// Takes a query of this type.
    pub(super) fn query<T: schemars::JsonSchema>(mut self) -> Self {
        self.query = Some(shape::inline::<T>);
        self
    }

    /// Takes a JSON body of this type.
    pub(super) fn takes<T: schemars::JsonSchema>(mut self) -> Self {
        self.takes = Some((JSON, shape::named::<T>));
        self
    }

    /// Takes a body of text.
    pub(super) fn takes_text(mut self, content_type: &'static str) -> Self {
        self.takes = Some((content_type, shape::text));
        self
    }

    /// Refused unless `If-Match` says which revision was read.
    pub(super) fn needs_revision(mut self) -> Self {
        self.needs_revision = true;
        self
    }

    /// Refused if `If-Match` says another revision than the present one; it may say none.
    pub(super) fn takes_revision(mut self) -> Self {
        self.takes_revision = true;
        self
    }

    /// Gives a JSON body of this type.
    pub(super) fn gives<T: schemars::JsonSchema>(self, status: StatusCode) -> Self {
        self.gives_as(status, JSON, shape::named::<T>)
    }

    /// Gives a body of another content type.
    pub(super) fn gives_as(mut self, status: StatusCode, content_type: &'static str, shape: Shape) -> Self {
        self.gives.push((status, Some((content_type, shape))));
        self
    }

    /// Gives nothing but a status.
    pub(super) fn gives_nothing(mut self, status: StatusCode) -> Self {
        self.gives.push((status, None));
        self
    }

    /// The answer's ETag is the revision.
    pub(super) fn tagged(mut self) -> Self {
        self.is_tagged = true;
        self
    }

    /// Puts it into a router.
    pub(in crate::admin) fn mount(self, router: Router<Arc<Internal>>) -> Router<Arc<Internal>> {
        router.route(self.path, self.handler)
    }

    /// Whether a token is needed.
    pub(in crate::admin) fn is_guarded(&self) -> bool {
        self.role.is_some()
    }
}

async fn require(State(role): State<Role>, caller: Caller, request: Request, next: Next) -> Response {
    match caller.check(role) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut refused = problem.into_response();
            refused.extensions_mut().insert(NeedsRole(role));
            refused
        }
    }
}
