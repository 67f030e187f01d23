//! `pushgate token`: who may use the internal address.

use http::Method;
use serde_json::json;

use super::arguments::administration::Token;
use super::client::{Ask, Gateway, part};
use super::listing::{done, list_all, show};
use super::table::{or_dash, table};
use super::{Outcome, block_on};
use crate::admin::api::tokens::{MadeToken, TokenView};

/// Runs one of them.
pub fn run(command: &Token) -> Outcome {
    match command {
        Token::List(reach) => list_all(reach, "/v1/tokens", |tokens: &[TokenView]| {
            table(["ID", "NAME", "ROLE", "MADE", "BY", "LAST USED", "REVOKED"], &tokens.iter().map(row).collect::<Vec<_>>())
        }),
        Token::New { name, role, reach } => {
            let gateway = Gateway::of(&reach.target)?;
            block_on(async {
                let ask = Ask::new(Method::POST, "/v1/tokens").json(&json!({ "name": name, "role": role }));
                let made = gateway.send(ask).await?.read(&gateway)?;
                show(reach, made, |made: &MadeToken| {
                    format!("{}\n\nThis is shown once. Revoke it with: pushgate token revoke {}\n", made.token, made.id)
                })
            })
        }
        Token::Revoke { id, reach } => {
            let gateway = Gateway::of(&reach.target)?;
            block_on(async {
                gateway.send(Ask::new(Method::DELETE, format!("/v1/tokens/{}", part(id)))).await?;
                done(reach, "Revoked.\n")
            })
        }
    }
}

fn row(token: &TokenView) -> [String; 7] {
    [
        token.id.clone(),
        token.name.clone(),
        token.role.clone(),
        token.made_at.to_string(),
        token.made_by.clone(),
        or_dash(token.last_used_at),
        or_dash(token.revoked_at),
    ]
}
