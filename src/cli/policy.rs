//! `pushgate policy`: what New-, Get-, Set- and Remove-ActiveSyncMailboxPolicy did.

use http::Method;
use serde_json::{Map, Value, json};

use super::arguments::administration::{Policy, PolicySettings, Reach};
use super::client::{Ask, Gateway, part};
use super::confirm::confirm;
use super::listing::{self, list_all};
use super::table::{sheet, table};
use super::{Failure, Outcome, block_on, say};
use crate::admin::api::policies::PolicyView;
use crate::logic::policy::{Changes, Kind, Setting, settings_reference};

/// Runs one of them.
pub fn run(command: &Policy) -> Outcome {
    match command {
        Policy::List(reach) => list_all(reach, "/v1/policies", |policies: &[PolicyView]| {
            table(["POLICY", "DEFAULT", "REVISION", "CHANGED", "SETTINGS", "USED BY"], &policies.iter().map(row).collect::<Vec<_>>())
        }),
        Policy::Show { name, all, reach } => show(name, *all, reach),
        Policy::New(arguments) => create(arguments),
        Policy::Set(arguments) => set(arguments),
        Policy::Remove { name, yes, reach } => remove(name, *yes, reach),
        Policy::Settings => say(&settings_reference()),
    }
}

fn row(policy: &PolicyView) -> [String; 6] {
    [
        policy.name.clone(),
        if policy.is_default { "yes" } else { "" }.to_owned(),
        policy.revision.to_string(),
        policy.changed_at.to_string(),
        policy.settings.len().to_string(),
        policy.used_by.join(", "),
    ]
}

fn show(name: &str, all: bool, reach: &Reach) -> Outcome {
    let gateway = Gateway::of(&reach.target)?;
    block_on(async {
        let answer = gateway.send(Ask::new(Method::GET, path(name))).await?;
        listing::show(reach, answer.read(&gateway)?, |policy| text(policy, all))
    })
}

fn create(arguments: &PolicySettings) -> Outcome {
    if arguments.no_default {
        return Err(Failure::Usage("a new policy is not the default unless --default says so".into()));
    }
    let body = json!({ "name": arguments.name, "settings": given(&arguments.settings)? });
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let answer = gateway.send(Ask::new(Method::POST, "/v1/policies").json(&body)).await?;
        let policy = answer.read(&gateway)?;
        done(&gateway, arguments, policy).await
    })
}

fn set(arguments: &PolicySettings) -> Outcome {
    let settings = given(&arguments.settings)?;
    if settings.is_empty() && !arguments.default && !arguments.no_default {
        let what = "say what to set: SETTING=VALUE …, --default or --no-default; pushgate policy settings lists all settings";
        return Err(Failure::Usage(what.into()));
    }
    let gateway = Gateway::of(&arguments.reach.target)?;
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, path(&arguments.name))).await?;
        let present: PolicyView = read.read(&gateway)?;
        if arguments.no_default && !present.is_default {
            return Err(Failure::Failed(format!("{} is not the default policy: nothing was changed", present.name)));
        }
        let change = Ask::new(Method::PATCH, path(&arguments.name)).json(&json!({ "settings": settings })).if_match(read.etag.clone());
        let policy = gateway.send(change).await?.read(&gateway)?;
        done(&gateway, arguments, policy).await
    })
}

/// Makes it the default, or no more so, if that was asked for, and shows it.
async fn done(gateway: &Gateway, arguments: &PolicySettings, mut policy: Value) -> Outcome {
    if arguments.default || arguments.no_default {
        let chosen = arguments.default.then_some(&arguments.name);
        let read = gateway.send(Ask::new(Method::GET, "/v1/default-policy")).await?;
        let choice = Ask::new(Method::PUT, "/v1/default-policy").json(&json!({ "policy": chosen })).if_match(read.etag.clone());
        gateway.send(choice).await?;
        policy = gateway.fetch(&path(&arguments.name)).await?;
    }
    listing::show(&arguments.reach, policy, |policy| text(policy, false))
}

fn remove(name: &str, yes: bool, reach: &Reach) -> Outcome {
    confirm(&format!("This removes the policy {name}."), yes)?;
    let gateway = Gateway::of(&reach.target)?;
    block_on(async {
        let read = gateway.send(Ask::new(Method::GET, path(name))).await?;
        gateway.send(Ask::new(Method::DELETE, path(name)).if_match(read.etag.clone())).await?;
        listing::done(reach, "Removed.\n")
    })
}

/// `SETTING=VALUE` … as the gateway takes them; everything that is wrong with them, before anything is sent.
fn given(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut settings = Map::new();
    let mut lines = String::new();
    for pair in pairs.iter().filter(|pair| !pair.contains('=')) {
        lines += &format!("\n  {pair:?} is not SETTING=VALUE, such as MinDevicePasswordLength=6");
    }
    let changes = Changes::parse(pairs.iter().filter_map(|pair| pair.split_once('='))).unwrap_or_else(|problems| {
        lines.extend(problems.0.iter().map(|problem| format!("\n  {problem}")));
        Changes::new()
    });
    if !lines.is_empty() {
        return Err(Failure::Usage(format!("nothing was changed:{lines}")));
    }
    for (setting, value) in changes.iter() {
        settings.insert(setting.definition().key.to_owned(), value.map_or(Value::Null, |value| value.to_json(setting)));
    }
    Ok(settings)
}

fn path(name: &str) -> String {
    format!("/v1/policies/{}", part(name))
}

fn text(policy: &PolicyView, all: bool) -> String {
    let head = sheet(&[
        ("Policy", Some(policy.name.clone())),
        ("Revision", Some(format!("{} of {}", policy.revision, policy.changed_at))),
        ("Default", Some(if policy.is_default { "yes" } else { "no" }.to_owned())),
        ("Used by", Some(if policy.used_by.is_empty() { "nothing".to_owned() } else { policy.used_by.join(", ") })),
    ]);
    let shown = if all { &policy.effective } else { &policy.settings };
    let rows: Vec<[String; 2]> = Setting::ALL
        .iter()
        .filter_map(|setting| Some([setting.name().to_owned(), plain(*setting, shown.get(setting.definition().key)?)]))
        .collect();
    if rows.is_empty() {
        return format!("{head}\nEvery setting is at its default; see all of them with --all.\n");
    }
    format!("{head}\n{}", table(["SETTING", "VALUE"], &rows))
}

/// As it may be given back, with its unit.
fn plain(setting: Setting, value: &Value) -> String {
    match value {
        Value::Number(number) => match setting.definition().kind {
            Kind::Number { unit, .. } => format!("{number}{}", unit.suffix()),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
