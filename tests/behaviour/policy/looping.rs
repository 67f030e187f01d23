//! Devices that never get anywhere are slowed, and shown.

use pushgate::logic::eas::{Command, Version};

use super::scene::{Administrates, Obedient, PASSWORD, Told, commands, new_phone};
use crate::scene::{backend, gateway};

#[tokio::test]
async fn a_device_that_ignores_449_is_slowed_and_shown() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = new_phone(&gateway, Version::V12_1);
    for _ in 0..11 {
        assert_eq!(phone.told().await, Told::Http(449));
    }
    let answer = phone.device.command(Command::FolderSync, Vec::new()).await.unwrap();
    assert_eq!(answer.status, 503);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let looping = gateway.inner().looping();
    assert_eq!(looping.len(), 1);
    assert_eq!((looping[0].mailbox.to_string().as_str(), looping[0].count), ("hew@example.org", 11));
    assert_eq!(commands(&backend), 0);
}

/// Some devices do not know the statuses of 14.0: all of them know 449.
#[tokio::test]
async fn a_device_that_ignores_statuses_is_told_449() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = new_phone(&gateway, Version::V14_1);
    let mut tellings = Vec::new();
    for _ in 0..5 {
        tellings.push(phone.told().await);
    }
    assert_eq!(tellings[..3], [Told::Status(142); 3]);
    assert_eq!(tellings[3..], [Told::Http(449); 2]);
    phone.settles().await;
    assert!(gateway.inner().looping().is_empty());
}
