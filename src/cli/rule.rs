//! `pushgate rule`: what New-, Get-, Set- and Remove-ActiveSyncDeviceAccessRule did.

use clap::ValueEnum;
use http::Method;
use serde_json::Value;

use super::arguments::administration::{About, Access, Reach, Rule};
use super::client::{Ask, Gateway};
use super::confirm::confirm;
use super::listing::show;
use super::table::table;
use super::{Failure, Outcome, block_on};
use crate::admin::api::rules::{ForeseenView, RuleView, RulesView};
use crate::logic::policy::access::{self, Pattern, Trait};

const PATH: &str = "/v1/access-rules";

/// Runs one of them.
pub fn run(command: &Rule) -> Outcome {
    match command {
        Rule::List(reach) => {
            let gateway = Gateway::of(&reach.target)?;
            block_on(async { show(reach, gateway.fetch(PATH).await?, text) })
        }
        Rule::Add { about, pattern, access, yes, reach } => {
            let (about, pattern) = (look_at(*about), meant(pattern)?);
            change(reach, *yes, move |rules| {
                rules.rules.retain(|rule| rule.about != about || rule.pattern != pattern);
                rules.rules.push(RuleView { about, pattern, access: say(*access) });
                Ok(())
            })
        }
        Rule::Remove { about, pattern, yes, reach } => {
            let (about, pattern) = (look_at(*about), meant(pattern)?);
            change(reach, *yes, move |rules| {
                let before = rules.rules.len();
                rules.rules.retain(|rule| rule.about != about || rule.pattern != pattern);
                if rules.rules.len() < before { Ok(()) } else { Err(Failure::Failed("there is no such rule".into())) }
            })
        }
        Rule::Default { access, yes, reach } => change(reach, *yes, |rules| {
            rules.default = say(*access);
            Ok(())
        }),
    }
}

/// Reads the rules, changes them, and puts them back if nobody else was faster. Asks first if devices would be kept out.
fn change(reach: &Reach, yes: bool, edit: impl FnOnce(&mut RulesView) -> Outcome) -> Outcome {
    let gateway = Gateway::of(&reach.target)?;
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, PATH)).await?;
        let mut rules: RulesView = read.read(&gateway)?;
        edit(&mut rules)?;
        let body = serde_json::to_value(&rules).map_err(|error| Failure::Failed(error.to_string()))?;
        if !yes {
            let foreseen: ForeseenView = gateway.post(&format!("{PATH}/foresee"), &body).await?;
            if let Some(what) = loss(&foreseen) {
                confirm(&what, false)?;
            }
        }
        let changed: Value = gateway.send(Ask::new(Method::PUT, PATH).json(&body).if_match(read.etag.clone())).await?.read(&gateway)?;
        show(reach, changed, text)
    })
}

/// Devices that sync now and could not any more; `None`: none.
fn loss(foreseen: &ForeseenView) -> Option<String> {
    let kinds =
        [(foreseen.blocked, "blocked"), (foreseen.quarantined, "quarantined"), (foreseen.discovery, "asked to describe themselves first")];
    let count: u64 = kinds.iter().map(|(count, _)| count).sum();
    let told: Vec<String> = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let at_least = if foreseen.is_part { "at least " } else { "" };
    let devices = if count == 1 { "device" } else { "devices" };
    (count > 0).then(|| format!("This changes what {at_least}{count} {devices} may do, at once: {}.", told.join(", ")))
}

fn text(rules: &RulesView) -> String {
    let word = |access: access::Access| say_back(access).to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let rows: Vec<[String; 3]> =
        rules.rules.iter().map(|rule| [rule.about.to_string(), rule.pattern.as_str().to_owned(), word(rule.access)]).collect();
    format!("{}\nEvery other device: {}\n", table(["ABOUT", "PATTERN", "ACCESS"], &rows), word(rules.default))
}

fn meant(pattern: &str) -> Result<Pattern, Failure> {
    Pattern::new(pattern).map_err(|error| Failure::Usage(error.to_string()))
}

fn look_at(about: About) -> Trait {
    match about {
        About::DeviceType => Trait::DeviceType,
        About::UserAgent => Trait::UserAgent,
        About::Os => Trait::Os,
        About::Model => Trait::Model,
    }
}

fn say(access: Access) -> access::Access {
    match access {
        Access::Allow => access::Access::Allow,
        Access::Block => access::Access::Block,
        Access::Quarantine => access::Access::Quarantine,
    }
}

fn say_back(access: access::Access) -> Access {
    match access {
        access::Access::Allow => Access::Allow,
        access::Access::Block => Access::Block,
        access::Access::Quarantine => Access::Quarantine,
    }
}
