//! Devices that come for the first time: what they may ask before they have a policy, and how rules treat them.

use pushgate::logic::eas::Version;
use pushgate::logic::policy::access::{Access, AccessState, AccessWhy, Pattern, Rule, Rules, Trait};

use super::scene::{Administrates, Obedient, PASSWORD, Told, anna, commands, new_phone};
use crate::scene::{Gateway, Reply, backend, device, gateway, http, raw_backend, until};

fn rule(about: Trait, pattern: &str, access: Access) -> Rule {
    Rule { about, pattern: Pattern::try_from(pattern.to_owned()).unwrap(), access }
}

async fn state(gateway: &Gateway, device: &str) -> Option<AccessState> {
    gateway.partnership(device).await.map(|known| known.access_state)
}

#[tokio::test]
async fn a_new_device_finds_its_way_without_a_key() {
    let backend =
        raw_backend(|_| Reply::Send(b"HTTP/1.1 200 OK\r\nMS-ASProtocolVersions: 14.1\r\nContent-Length: 2\r\n\r\nok".to_vec())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut line = gateway.line().await;
    assert_eq!(line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
    for target in ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"] {
        let asks = http("POST", target).header("Content-Type", "text/xml").body(b"<Autodiscover/>".to_vec());
        assert_eq!(line.ask(asks).await.status, 200, "{target}");
    }
    assert!(backend.requests().iter().any(|request| request.line().contains("/autodiscover/autodiscover.xml")));
}

#[tokio::test]
async fn a_rule_about_models_waits_until_the_device_has_described_itself() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let rules = vec![rule(Trait::Model, "Stand-*", Access::Allow)];
    gateway.store().set_rules(&anna(), Rules { rules, default: Access::Quarantine }, 0).await.unwrap();
    let mut phone = new_phone(&gateway, Version::V14_1);
    // It may provision, and nothing else, until it has said what it is.
    let told = phone.told().await;
    assert_ne!(told, Told::Status(1));
    assert_eq!(commands(&backend), 0);
    until("it discovered", async || state(&gateway, "Phone1").await == Some(AccessState::Discovery)).await;
    phone.settles().await;
    assert_eq!(state(&gateway, "Phone1").await, Some(AccessState::Allowed));
}

#[tokio::test]
async fn a_device_that_a_rule_quarantines_waits_for_somebody_or_for_another_rule() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let rules = vec![rule(Trait::UserAgent, "pushgate-standin*", Access::Quarantine)];
    gateway.store().set_rules(&anna(), Rules { rules, default: Access::Allow }, 0).await.unwrap();
    let (mut one, mut other) = (device().named("One1").at(&gateway), device().named("Other1").at(&gateway));
    assert_eq!((one.told().await, other.told().await), (Told::Status(129), Told::Status(129)));
    until("both shown", async || state(&gateway, "Other1").await.is_some() && state(&gateway, "One1").await.is_some()).await;
    let known = gateway.partnership("One1").await.unwrap();
    assert_eq!(known.access_state, AccessState::Quarantined);
    assert!(matches!(known.access_why, AccessWhy::Rule(_)), "{:?}", known.access_why);
    assert_eq!(commands(&backend), 0);
    gateway.sets_access("One1", Some(Access::Allow)).await;
    one.synchronise().await;
    assert_eq!(other.told().await, Told::Status(129), "nobody said anything of this one");
    gateway.store().set_rules(&anna(), Rules::default(), 1).await.unwrap();
    until("the rules applied", async || state(&gateway, "Other1").await == Some(AccessState::Allowed)).await;
    other.synchronise().await;
    other.hold(&gateway).await;
}
