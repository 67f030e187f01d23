//! `pushgate domain`: which domains have a policy. One is given by `pushgate mailbox set --domain`.

use super::Outcome;
use super::arguments::administration::Domain;
use super::listing::list_all;
use super::table::table;
use crate::admin::api::domains::DomainView;

/// Runs it.
pub fn run(command: &Domain) -> Outcome {
    let Domain::List(reach) = command;
    list_all(reach, "/v1/domains", |domains: &[DomainView]| {
        let rows: Vec<[String; 2]> = domains.iter().map(|domain| [domain.domain.clone(), domain.policy.clone()]).collect();
        table(["DOMAIN", "POLICY"], &rows)
    })
}
