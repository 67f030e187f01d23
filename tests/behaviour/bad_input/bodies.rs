//! Bodies that are not what their command wants.

use pushgate::logic::eas::{Command, PingAnswer, status};

use crate::scene::{Answer, backend, device, eas, gateway, vector, vectors};

/// The Status that the answer of a command consists of.
fn is_status(answer: &Answer, command: Command, codes: &[u16]) -> bool {
    answer.status == 200 && codes.iter().any(|&code| status::answer(command, code).unwrap() == answer.body)
}

#[tokio::test]
async fn every_malformed_ping_is_answered_status_4_and_its_connection_goes_on() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let bad = vectors("bad-");
    assert_eq!(bad.len(), 20);
    for (number, (name, body)) in bad.iter().enumerate() {
        // Twenty in a row of one device would be a loop, and slowed.
        let device = format!("Raw{number}");
        for version in ["2.5", "12.1", "14.1", "16.1"] {
            let answer = line.ask(eas("Ping").device(&device).version(version).body(body.clone())).await;
            assert_eq!(answer.ping(), PingAnswer::Syntax, "{name}");
        }
    }
    assert_eq!((backend.count(Command::Ping), gateway.held().await.len()), (0, 0));
}

#[tokio::test]
async fn malformed_bodies_of_other_commands_are_400_up_to_12_1_and_a_status_from_14_0_and_end_here() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for (name, body) in vectors("bad-") {
        for command in [Command::FolderSync, Command::Sync, Command::Settings, Command::FolderCreate, Command::Provision] {
            // This one's fault is that it is a Sync, which is what it should be here.
            if name.starts_with("bad-19") && command == Command::Sync {
                continue;
            }
            // A device each: one of them that sent all this would be slowed.
            let device = format!("{}{command}", &name[..6].replace('-', ""));
            for version in ["2.5", "12.0", "12.1"] {
                let answer = line.ask(eas(command.name()).device(&device).version(version).body(body.clone())).await;
                assert_eq!(answer.status, 400, "{name} as {command} {version}");
            }
            for version in ["14.0", "14.1", "16.0", "16.1"] {
                let answer = line.ask(eas(command.name()).device(&device).version(version).body(body.clone())).await;
                assert!(is_status(&answer, command, &[102, 103]), "{name} as {command} {version}: {answer:?}");
            }
        }
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn broken_wbxml_is_102_and_another_commands_body_is_103() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let mut cut = vector("12-");
    cut.pop();
    let answer = line.ask(eas("FolderSync").body(cut)).await;
    assert!(is_status(&answer, Command::FolderSync, &[102]), "{answer:?}");
    let answer = line.ask(eas("FolderSync").body(vector("01-"))).await;
    assert!(is_status(&answer, Command::FolderSync, &[103]), "{answer:?}");
}

/// SOGo acts on the body's root whatever the query says: what we took for a Search would be a FolderSync there.
#[tokio::test]
async fn a_body_whose_root_is_not_the_command_never_reaches_the_backend() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let bodies = [("01-", Command::Ping), ("12-", Command::FolderSync), ("27-", Command::Settings), ("31-", Command::Sync)];
    let others = Command::ALL.into_iter().filter(|command| command.root().is_some() && *command != Command::Ping);
    for command in others {
        for (body, root) in bodies {
            if root == command {
                continue;
            }
            let answer = line.ask(eas(command.name()).body(vector(body))).await;
            assert!(is_status(&answer, command, &[103]), "{root} as {command}: {answer:?}");
        }
    }
    for body in ["12-", "27-", "31-"] {
        assert_eq!(line.ask(eas("Ping").body(vector(body))).await.ping(), PingAnswer::Syntax);
    }
    assert_eq!(backend.count(Command::FolderSync) + backend.count(Command::Sync) + backend.count(Command::Settings), 0);
}

/// Where commands have no WBXML body a body with a root would be taken for that command by SOGo.
#[tokio::test]
async fn mail_that_is_wbxml_in_disguise_does_not_change_folders() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for command in ["SendMail", "GetAttachment", "SmartReply"] {
        for version in ["12.1", "14.1"] {
            line.ask(eas(command).version(version).body(vector("12-"))).await;
        }
    }
    assert_eq!(backend.count(Command::FolderSync) + backend.requests(), 0);
}

#[tokio::test]
async fn a_ping_longer_than_is_read_gets_status_4() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.inspected_body_bytes_max", 4096).start().await;
    let mut line = gateway.line().await;
    let answer = line.ask(eas("Ping").body(vec![0x03; 4_097])).await;
    assert_eq!(answer.ping(), PingAnswer::Syntax);
    let mut line = gateway.line().await;
    let mut long = vector("01-");
    long.resize(2 << 20, 0);
    line.send(eas("Ping").header("Content-Length", &long.len().to_string()).head()).await;
    line.send(&long[..8_192]).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Syntax, "without waiting for the rest");
}

#[tokio::test]
async fn a_sync_longer_than_is_read_passes_if_its_beginning_is_a_sync() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.inspected_body_bytes_max", 4096).start().await;
    let mut line = gateway.line().await;
    let mut long = vector("31-");
    long.resize(10_000, 0x01);
    assert_eq!(line.ask(eas("Sync").body(long.clone())).await.status, 200);
    assert!(backend.recorded().pop().unwrap().body == long);
    let answer = line.ask(eas("FolderSync").body(long)).await;
    assert!(is_status(&answer, Command::FolderSync, &[103]), "{answer:?}");
    assert_eq!(backend.count(Command::FolderSync), 0);
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_request() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let before = backend.requests();
    for command in ["Ping", "Sync", "Settings"] {
        let mut line = gateway.line().await;
        line.send(eas(command).header("Content-Length", "100").head()).await;
        line.send("half").await;
        drop(line.into_socket());
    }
    crate::scene::until("the others gone", async || gateway.status().await.connections <= 2).await;
    assert_eq!(backend.requests(), before);
    gateway.holds(&["Phone1"]).await;
}
