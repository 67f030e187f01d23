//! The recovery password: taken, kept from the backend, shown on demand only.

use pushgate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::{Command, Version};

use super::scene::{Administrates, anna, id, mailbox, settled_phone};
use crate::scene::{Phone, backend, gateway, until};

const SECRET: &str = "7Q4KD-RECOVER-ME";
const ALLOWED: &[(&str, &str)] = &[("device_password_enabled", "true"), ("password_recovery_enabled", "true")];

async fn says(phone: &mut Phone, request: &SettingsRequest) -> SettingsAnswer {
    let answer = phone.device.command(Command::Settings, request.encode()).await.unwrap();
    assert_eq!(answer.status, 200);
    SettingsAnswer::parse(&answer.body).unwrap()
}

fn with_password(password: &str) -> SettingsRequest {
    SettingsRequest { device_password: Some(RecoveryPassword::new(password.into())), ..SettingsRequest::default() }
}

#[tokio::test]
async fn a_recovery_password_is_taken_and_the_backend_never_sees_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(ALLOWED).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    let before = backend.count(Command::Settings);
    assert_eq!(says(&mut phone, &with_password(SECRET)).await.device_password, Some(1));
    assert_eq!(backend.count(Command::Settings), before, "there was nothing else to ask");
    // With a description beside it, which is the backend's as well.
    let both = SettingsRequest { device_information: Some(phone.device.information()), ..with_password(SECRET) };
    let answer = says(&mut phone, &both).await;
    assert_eq!((answer.status, answer.device_information, answer.device_password), (1, Some(1), Some(1)));
    assert_eq!(backend.count(Command::Settings), before + 1);
    let secret = SECRET.as_bytes();
    assert!(backend.recorded().iter().all(|request| !request.body.windows(secret.len()).any(|bytes| bytes == secret)));
    let partnership = gateway.partnership("Phone1").await.unwrap();
    assert!(partnership.recovery_password_at.is_some() && !format!("{partnership:?}").contains(SECRET));
    let shown = gateway.store().show_recovery_password(&anna(), &mailbox("hew"), &id("Phone1")).await.unwrap();
    assert_eq!(*shown, SECRET);
    assert_eq!(gateway.trail("Phone1").await, ["recovery password show"]);
    assert_eq!(says(&mut phone, &with_password("")).await.device_password, Some(1));
    assert!(gateway.store().show_recovery_password(&anna(), &mailbox("hew"), &id("Phone1")).await.is_err());
}

#[tokio::test]
async fn a_recovery_password_that_the_policy_does_not_allow_is_not_kept() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(super::scene::PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    assert_eq!(says(&mut phone, &with_password(SECRET)).await.device_password, Some(7));
    assert!(gateway.store().show_recovery_password(&anna(), &mailbox("hew"), &id("Phone1")).await.is_err());
}

#[tokio::test]
async fn a_device_that_describes_itself_in_settings_is_known_so() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = crate::scene::device().speaks(Version::V12_1).in_step_at(&gateway).await;
    let before = backend.count(Command::Settings);
    let request = SettingsRequest { device_information: Some(phone.device.information()), ..SettingsRequest::default() };
    assert_eq!(says(&mut phone, &request).await.device_information, Some(1));
    assert_eq!(backend.count(Command::Settings), before + 1);
    let model = async || gateway.partnership("Phone1").await.and_then(|known| known.information.model);
    until("it noted", async || model().await.as_deref() == Some("Stand-in")).await;
}
