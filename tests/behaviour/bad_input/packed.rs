//! Bodies packed with gzip: good ones, broken ones and bombs.

use pushgate::logic::eas::{Command, PingAnswer, status};

use crate::scene::{backend, device, eas, gateway, gzip, mailbox, vector};

#[tokio::test]
async fn a_packed_ping_is_held_and_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let phone = device().named("Raw1").in_step_at(&gateway).await;
    let mut line = gateway.line().await;
    line.send(eas("Ping").gzip(&phone.ping_body(Some(600), Some(&[phone.inbox()])))).await;
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn a_packed_ping_that_is_broken_gets_status_4() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let good = gzip(&vector("01-"));
    let mut damaged = good.clone();
    damaged[good.len() - 5] ^= 0xFF;
    let bodies = [good[..good.len() - 3].to_vec(), damaged, [&good[..], b"more"].concat(), vector("01-"), gzip(b"")];
    for body in bodies.iter().take(4) {
        let answer = line.ask(eas("Ping").header("Content-Encoding", "gzip").body(body.clone())).await;
        assert_eq!(answer.ping(), PingAnswer::Syntax);
    }
    let answer = line.ask(eas("Ping").header("Content-Encoding", "deflate").body(good)).await;
    assert_eq!(answer.ping(), PingAnswer::Syntax, "an encoding nobody agreed on");
}

/// 50 kB that would be 50 MB.
#[tokio::test]
async fn a_bomb_is_refused_in_every_command_and_stays_small() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let bomb = gzip(&vec![0; 50_000_000]);
    let packed = |command: &str| eas(command).header("Content-Encoding", "gzip").body(bomb.clone());
    assert_eq!(line.ask(packed("Ping")).await.ping(), PingAnswer::Syntax);
    for command in [Command::Sync, Command::FolderSync, Command::Settings, Command::Search] {
        let answer = line.ask(packed(command.name())).await;
        assert_eq!((answer.status, Some(answer.body)), (200, status::answer(command, 102)), "{command}");
        assert_eq!(line.ask(packed(command.name()).version("12.1")).await.status, 400, "{command}");
    }
    // A verdict may have been asked for; no command was forwarded.
    assert_eq!(backend.requests() - backend.options_count() - backend.unauthorized_count(), 0);
}

#[tokio::test]
async fn the_root_of_a_packed_body_is_looked_at_too() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let answer = line.ask(eas("Settings").gzip(&vector("12-"))).await;
    assert_eq!(Some(answer.body), status::answer(Command::Settings, 103));
    assert_eq!(line.ask(eas("Settings").gzip(&vector("27-"))).await.status, 200);
    assert_eq!((backend.count(Command::FolderSync), backend.recorded().len()), (0, 1));
}
