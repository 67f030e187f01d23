//! Who may have a Ping held: those whose password the backend accepts.

use std::time::Duration;

use pushgate::logic::eas::{Command, FolderId, PingAnswer};
use pushgate::standin::cas::{Fault, FaultRule};

use crate::scene::{backend, device, eas, gateway, until, vector};

#[tokio::test]
async fn a_ping_with_a_wrong_password_gets_the_backends_401_and_is_not_held() {
    for asks_password in [true, false] {
        let backend = backend().with(|options| options.options_asks_password = asks_password).start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        let mut phone = device().in_step_at(&gateway).await;
        let request = eas("Ping").user("hew", "wrong").body(phone.ping_body(Some(600), Some(&[phone.inbox()])));
        let mut line = gateway.line().await;
        let answer = line.ask(&request).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"stand-in\"")));
        assert_eq!(gateway.held().await, Vec::<String>::new());
        phone.hold(&gateway).await;
        assert_eq!(line.ask(&request).await.status, 401);
        gateway.holds(&["Phone1"]).await;
    }
}

#[tokio::test]
async fn a_ping_without_credentials_gets_the_backends_401() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for request in [eas("Ping").without("Authorization"), eas("Ping").header("Authorization", "Basic !!!")] {
        let answer = line.ask(request.body(Vec::new())).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"stand-in\"")));
    }
}

#[tokio::test]
async fn a_401_to_any_command_passes_through_and_the_next_ping_asks_again() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let before = backend.requests();
    let folder_sync = phone.request(Command::FolderSync, &vector("12-"));
    backend.set_faults(vec![FaultRule { command: Some(Command::FolderSync), times: Some(1), fault: Fault::Status(401) }]);
    assert_eq!(gateway.line().await.ask(folder_sync).await.status, 401);
    phone.take_line();
    phone.hold(&gateway).await;
    assert!(backend.options_count() >= 1, "the backend was asked");
    assert_eq!(backend.requests() - before, 3, "FolderSync, a proof of the question, and the question");
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_ends_in_401() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("auth.verdict_ttl_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    backend.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Status(401) }]);
    let request = phone.ping_request(Some(1), Some(&[phone.inbox()]));
    until("the verdict forgotten", async || phone.line().await.ask(request.clone()).await.status == 401).await;
}

#[tokio::test]
async fn devices_that_ping_at_once_share_one_question() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    backend.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Delay(Duration::from_millis(300)) }]);
    let inbox = [FolderId::new("5").unwrap()];
    let mut phones: Vec<_> = (0..5).map(|number| device().named(&format!("Phone{number}")).at(&gateway)).collect();
    for phone in &mut phones {
        phone.ping(Some(600), Some(&inbox)).await;
    }
    for phone in &mut phones {
        assert_eq!(phone.answer().await, PingAnswer::Changes(inbox.to_vec()), "nothing is known of it: it is to Sync");
    }
    assert_eq!(backend.requests(), 2, "a wrong password to prove the question, and the question");
}

#[tokio::test]
async fn while_the_backend_cannot_say_a_stranger_comes_back_later_and_a_known_device_is_held() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut known = device().in_step_at(&gateway).await;
    backend.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Status(503) }]);
    let answer = gateway.line().await.ask(eas("Ping").user("anna", "test").body(vector("01-"))).await;
    let later: u32 = answer.header("retry-after").expect("when to come back").parse().expect("seconds");
    assert!(answer.status == 503 && (20..=40).contains(&later), "{} after {later} s", answer.status);
    known.hold(&gateway).await;
    gateway.holds(&["Phone1"]).await;
}

/// A backend that knows a session by its cookie may answer 200 to any password.
#[tokio::test]
async fn a_200_that_a_cookie_earned_is_not_remembered_for_the_password_beside_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let phone = device().in_step_at(&gateway).await;
    let ping = |password| eas("Ping").user("anna", password).body(phone.ping_body(Some(600), Some(&[phone.inbox()])));
    let folders = |password| eas("FolderSync").user("anna", password).body(vector("12-"));
    let mut line = gateway.line().await;
    assert_eq!(line.ask(folders("test").header("Cookie", "session=1")).await.status, 200);
    let before = backend.requests();
    line.send(ping("test")).await;
    until("the backend asked about the password", async || backend.requests() > before).await;
}

#[tokio::test]
async fn a_password_with_colons_and_a_user_with_umlauts_are_taken_as_they_are() {
    let backend = backend().with(|options| options.password = "a:b:ü".into()).start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().of("jörg@example.org").password("a:b:ü").in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    assert_eq!(gateway.pings("?mailbox=J%C3%96RG").await.pings.len(), 1);
}
