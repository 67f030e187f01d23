//! The database goes away while devices fetch their policy.

use pushgate::logic::eas::Version;
use pushgate::logic::policy::provisioning::Application;

use super::scene::{Administrates, Obedient, PASSWORD, id, mailbox, settled_phone};
use crate::postgres::Server;
use crate::scene::{backend, device, gateway, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_its_policy_while_the_database_is_away_and_it_is_written_later() {
    let mut database = Server::new(&[], |_| ());
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("store.url", format!("{:?}", database.url("postgres"))).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut known = settled_phone(&gateway, Version::V14_1).await;
    known.hold(&gateway).await;

    database.stop();
    until("it noticed", async || !gateway.store().health().is_connected).await;
    let ready = gateway.call("GET", "/readyz", String::new()).await;
    let text = String::from_utf8(ready.body).unwrap();
    assert!(ready.status == 200 && text.contains("the database is away"), "{text}");
    gateway.holds(&["Phone1"]).await;
    let mut new = device().named("New1").at(&gateway);
    new.device.policy_key = Some(0);
    new.settles().await;
    new.hold(&gateway).await;
    assert!(gateway.store().health().changes > 0);

    database.start();
    until("it written", async || gateway.store().health().is_connected && gateway.store().health().changes == 0).await;
    let stored = async || gateway.store().device(&mailbox("hew"), &id("New1")).await.ok().flatten();
    until("it readable", async || stored().await.is_some()).await;
    let partnership = stored().await.unwrap().partnership;
    assert_eq!(partnership.provisioning.application(), Application::AppliedInFull);
    gateway.holds(&["New1", "Phone1"]).await;
    // With the key that was given meanwhile.
    new.take_line();
    new.synchronise().await;
}
