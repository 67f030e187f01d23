//! Tokens: `/v1/tokens`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::input::{Json, Path};
use super::page::Page;
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::logic::policy::Timestamp;
use crate::store::{Role, Token};

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(crate) struct TokenView {
    /// What it is revoked by.
    pub(crate) id: String,
    /// Whose or what for: the actor in the audit trail.
    pub(crate) name: String,
    /// What it may do.
    #[schemars(schema_with = "super::shape::role")]
    pub(crate) role: String,
    /// When it was made.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) made_at: Timestamp,
    /// By whom.
    pub(crate) made_by: String,
    /// When it was last used.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) revoked_at: Option<Timestamp>,
    /// By whom.
    pub(crate) revoked_by: Option<String>,
}

/// A token to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Whose or what for.
    #[schemars(length(min = 1, max = 64))]
    name: String,
    /// What it may do.
    #[schemars(schema_with = "super::shape::role")]
    role: String,
}

/// A token just made: the only time that its secret is shown.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeToken {
    /// What it is revoked by.
    pub(crate) id: String,
    /// All of it, for `Authorization: Bearer`.
    pub(crate) token: String,
}

/// All of them: their number is bounded.
pub(super) async fn list(State(internal): State<Arc<Internal>>) -> Result<axum::Json<Page<TokenView>>, Problem> {
    let tokens = internal.store.tokens().await?;
    Ok(axum::Json(Page { items: tokens.into_iter().map(view).collect(), next: None }))
}

pub(super) async fn create(State(internal): State<Arc<Internal>>, caller: Caller, Json(new): Json<NewToken>) -> Result<Response, Problem> {
    let role =
        new.role.parse::<Role>().map_err(|()| Problem::unprocessable("Nothing was changed: the role is viewer, helpdesk or admin."))?;
    let made = internal.store.make_token(&caller.by(), &new.name, role).await?;
    let shown = MadeToken { id: made.id, token: made.token.as_str().to_owned() };
    Ok((StatusCode::CREATED, axum::Json(shown)).into_response())
}

pub(super) async fn revoke(State(internal): State<Arc<Internal>>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    internal.store.revoke_token(&caller.by(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(token: Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        role: token.role.name().to_owned(),
        made_at: token.made_at,
        made_by: token.made_by,
        last_used_at: token.last_used_at,
        revoked_at: token.revoked_at,
        revoked_by: token.revoked_by,
    }
}
