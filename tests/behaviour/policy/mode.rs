//! `provision.mode = "backend"`: everything is the backend's.

use pushgate::logic::eas::{Command, Version};
use pushgate::logic::policy::access::{Access, Rules};
use pushgate::standin::device::Provisioned;

use super::scene::{Administrates, Obedient, PASSWORD, anna, new_phone};
use crate::scene::{backend, gateway};

#[tokio::test]
async fn a_gateway_that_leaves_policies_to_the_backend_passes_everything() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("provision.mode", "\"backend\"").start().await;
    gateway.has_policy(PASSWORD).await;
    gateway.store().set_rules(&anna(), Rules { rules: Vec::new(), default: Access::Block }, 0).await.unwrap();
    let mut phone = new_phone(&gateway, Version::V14_1);
    assert_eq!(phone.obeys().await, Provisioned::NoPolicy);
    assert_eq!(backend.count(Command::Provision), 1);
    phone.synchronise().await;
    phone.hold(&gateway).await;
    assert!(gateway.partnership("Phone1").await.is_none());
}
