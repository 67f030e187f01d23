//! Recovery passwords: sealed in the database, shown on demand, lost with their key and nothing else with them.

use pushgate::config::StoreUrl;
use pushgate::logic::eas::settings::RecoveryPassword;
use pushgate::store::{AuditFilter, DeviceChange, Recorded, StoreError};

use crate::over_both;
use crate::scene::*;

over_both!(a_recovery_password_is_sealed_and_shown, without_its_key_only_the_password_is_lost);

const SECRET: &str = "correct horse battery staple";

async fn with_password(database: &Database) -> (pushgate::store::Store, pushgate::logic::eas::DeviceId) {
    let store = database.open().await;
    let id = comes(&store, &mailbox("hew"), "abc").await;
    let password = DeviceChange::RecoveryPassword(Some(RecoveryPassword::new(SECRET.into())));
    assert_eq!(store.record(&mailbox("hew"), &id, &phone(), vec![password]).await, Recorded::Saved);
    (store, id)
}

async fn a_recovery_password_is_sealed_and_shown(database: Database) {
    let (store, id) = with_password(&database).await;
    let hew = mailbox("hew");
    assert!(store.device(&hew, &id).await.unwrap().unwrap().partnership.recovery_password_at.is_some());
    assert_eq!(*store.show_recovery_password(&anna(), &hew, &id).await.unwrap(), SECRET);
    let trail = store.audit_trail(AuditFilter::default(), None, 5).await.unwrap();
    assert_eq!((trail[0].act.as_str(), trail[0].outcome.as_str()), ("recovery password show", "done"));
    assert!(!format!("{trail:?}").contains(SECRET));
    let clear = vec![DeviceChange::RecoveryPassword(None)];
    assert_eq!(store.record(&hew, &id, &phone(), clear).await, Recorded::Saved);
    assert!(matches!(store.show_recovery_password(&anna(), &hew, &id).await, Err(StoreError::Missing(_))));
    store.close().await;
    if let StoreUrl::Sqlite(path) = &database.url {
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "in the clear on the disk");
        }
    }
}

async fn without_its_key_only_the_password_is_lost(database: Database) {
    let (store, id) = with_password(&database).await;
    store.close().await;
    std::fs::remove_file(database.key_file()).unwrap();
    let store = database.open().await;
    let lost = store.show_recovery_password(&anna(), &mailbox("hew"), &id).await;
    assert!(matches!(&lost, Err(StoreError::Unreadable)), "{lost:?}");
    assert!(lost.unwrap_err().to_string().contains("restore the store.key_file"));
    assert!(store.device(&mailbox("hew"), &id).await.unwrap().is_some());
    let again = vec![DeviceChange::RecoveryPassword(Some(RecoveryPassword::new("new".into())))];
    assert_eq!(store.record(&mailbox("hew"), &id, &phone(), again).await, Recorded::Saved);
    assert_eq!(*store.show_recovery_password(&anna(), &mailbox("hew"), &id).await.unwrap(), "new");
}
