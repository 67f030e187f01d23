//! Several processes share one database: each hears within seconds what another did.

use pushgate::logic::policy::access::{Access, AccessState};
use pushgate::logic::policy::wipe::WipeKind;
use pushgate::store::{Removal, Role, Seen};

use crate::over_both;
use crate::scene::*;

over_both!(what_one_process_does_the_other_hears, processes_write_side_by_side);

async fn what_one_process_does_the_other_hears(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    one.create_policy(&anna(), name("Strict"), settings(&[])).await.unwrap();
    eventually("the policy", async || other.snapshot().policies.len() == 1).await;
    assert_conflict(other.change_policy(&anna(), name("Strict"), 9, settings(&[])).await, 1);

    let (hew, kind) = (mailbox("hew"), phone());
    let id = comes(&one, &hew, "abc").await;
    eventually("the device", async || other.known(&hew, &id, &kind).is_some()).await;
    other.order_wipe(&anna(), &hew, &id, WipeKind::Device).await.unwrap();
    eventually("the order", async || one.known(&hew, &id, &kind).unwrap().wipe_stands()).await;
    other.set_device_access(&anna(), &hew, &id, Some(Access::Block), None).await.unwrap();
    eventually("the block", async || one.known(&hew, &id, &kind).unwrap().access_state == AccessState::Blocked).await;
    let token = one.make_token(&anna(), "script", Role::Viewer).await.unwrap();
    eventually("the token", async || other.prove_token(&token.token).await.is_some()).await;
    other.revoke_token(&anna(), &token.id).await.unwrap();
    eventually("its end", async || one.prove_token(&token.token).await.is_none()).await;
    other.remove_device(&anna(), &hew, &id, Removal { forget_wipe: true, ..Removal::default() }).await.unwrap();
    eventually("the removal", async || one.known(&hew, &id, &kind).is_none()).await;
    assert_eq!(one.devices_of(&hew), 0);

    let seen = device_id("only-seen");
    other.note(&hew, &seen, &attempt(&kind), Seen::Attempt);
    eventually("a device that was only seen", async || one.known(&hew, &seen, &kind).is_some()).await;
}

async fn processes_write_side_by_side(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let hew = mailbox("hew");
    for n in 0..20 {
        let (left, right) = (format!("left{n}"), format!("right{n}"));
        tokio::join!(comes(&one, &hew, &left), comes(&other, &hew, &right));
    }
    eventually("both know all", async || one.devices_of(&hew) == 40 && other.devices_of(&hew) == 40).await;
}
