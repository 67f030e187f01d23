//! Letters on their way to a stand-in LMTP server.

use std::time::{Duration, Instant as Clock};

use base64::Engine as _;
use tokio::sync::broadcast;

use super::*;
use crate::config::{LmtpAddress, Store as StoreSettings};
use crate::logic::eas::{DeviceId, DeviceInformation, DeviceType, Mailbox, Version};
use crate::logic::policy::access::{AccessState, AccessWhy};
use crate::logic::policy::wipe::{Wipe, WipeKind};
use crate::logic::policy::{Partnership, Timestamp};
use crate::notify::standin_lmtp::{Manner, StandinLmtp};
use crate::store::{By, DeviceChange, Recorded, Store};

const SOON: Duration = Duration::from_millis(20);

fn settings(address: LmtpAddress) -> Mail {
    Mail {
        way: MailWay::Lmtp(address),
        from: "pushgate@example.org".into(),
        administrators: vec!["admins@example.org".into()],
        wipe_to_user: true,
        quarantine_to_user: false,
    }
}

fn hews_phone() -> (Mailbox, DeviceId, DeviceType) {
    let mailbox = Mailbox::normalise("hew@example.org", None, true).unwrap();
    (mailbox, DeviceId::new(b"PHONE1").unwrap(), DeviceType::new(b"SmartPhone").unwrap())
}

fn erased(by: &str) -> News {
    let (mailbox, id, kind) = hews_phone();
    let mut device = Partnership::new(mailbox, id, kind, Timestamp(1_000));
    let mut wipe = Wipe::order(WipeKind::Device, None, None, by, Timestamp(2_000)).unwrap();
    wipe.sent(Timestamp(3_000));
    wipe.reported(true, true, Timestamp(4_000));
    device.wipe = Some(wipe);
    News { happened: Happened::WipeAcknowledged, device }
}

fn quarantined(number: u32) -> News {
    let (mailbox, _, kind) = hews_phone();
    let mut device = Partnership::new(mailbox, DeviceId::new(format!("P{number}").as_bytes()).unwrap(), kind, Timestamp(1_000));
    (device.access_state, device.access_why) = (AccessState::Quarantined, AccessWhy::Default);
    News { happened: Happened::Quarantined, device }
}

/// A postman at work who tries again at once, so many times.
fn at_work(settings: Mail, retries: usize) -> broadcast::Sender<News> {
    let sender = broadcast::Sender::new(64);
    let mut postman = Postman::new(settings);
    postman.retries = vec![SOON; retries];
    tokio::spawn(postman.run(sender.subscribe()));
    sender
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Clock::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn recipient(message: &str) -> &str {
    message.split("RCPT TO:<").nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default()
}

#[tokio::test]
async fn an_erased_device_is_reported_to_administrators_to_who_ordered_it_and_to_its_user() {
    let server = StandinLmtp::start(Manner::Good, |_| {}).await;
    let news = at_work(settings(server.address()), 0);
    news.send(erased("anna@example.org")).unwrap();
    until("three letters", || server.messages().len() == 3).await;
    let messages = server.messages();
    assert_eq!(
        messages.iter().map(|text| recipient(text)).collect::<Vec<_>>(),
        ["admins@example.org", "anna@example.org", "hew@example.org"]
    );
    for wanted in [
        "MAIL FROM:<>\r\n",
        "From: pushgate <pushgate@example.org>\r\nTo: <admins@example.org>\r\nSubject: A device of hew@example.org was erased\r\n",
        "This device says that it erases itself, as it was told to.",
        "Device id:  phone1\r\n",
        "Ordered:    1970-01-01T00:33:20Z by anna@example.org\r\nTold:       1970-01-01T00:50:00Z\r\nConfirmed:  1970-01-01T01:06:40Z\r\n",
        "pushgate device cancel-wipe hew@example.org phone1\r\n",
    ] {
        assert!(messages[0].contains(wanted), "{wanted}\n{}", messages[0]);
    }
    assert!(messages[2].contains("Subject: Your device was erased") && !messages[2].contains("cancel-wipe"), "{}", messages[2]);
}

#[tokio::test]
async fn a_server_that_is_away_gets_the_mail_later_and_once() {
    let server = StandinLmtp::start(Manner::HangsUp, |_| {}).await;
    let news = at_work(Mail { wipe_to_user: false, ..settings(server.address()) }, 10_000);
    news.send(erased("anna")).unwrap();
    tokio::time::sleep(SOON * 3).await;
    assert!(server.messages().is_empty());
    server.set(Manner::Good);
    until("the letter", || !server.messages().is_empty()).await;
    // Anything that came twice would be in front of the next.
    news.send(quarantined(1)).unwrap();
    until("the next", || server.messages().len() > 1).await;
    assert!(server.messages()[1].contains("is in quarantine"));
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again_and_the_rest_is_given_up_in_the_end() {
    for (manner, tries) in [(Manner::RefusesRecipient, 1), (Manner::RefusesMessage, 4)] {
        let server = StandinLmtp::start(manner, |_| {}).await;
        let mut postman = Postman::new(Mail { wipe_to_user: false, ..settings(server.address()) });
        postman.retries = vec![Duration::ZERO; 3];
        postman.write(&erased("anna"));
        let mut tried = 0;
        while let Some(waiting) = postman.next_due() {
            let result = hand_over(postman.settings.way.clone(), &waiting.letter).await;
            assert!(result.is_err());
            postman.handed_over(waiting, result);
            tried += 1;
        }
        assert_eq!((tried, postman.waiting.len()), (tries, 0), "{manner:?}");
    }
}

#[tokio::test]
async fn whoever_invents_devices_fills_no_mailbox_and_no_memory() {
    let mut postman = Postman::new(settings(LmtpAddress::Tcp("127.0.0.1".into(), 9)));
    (0..100).for_each(|number| postman.write(&quarantined(number)));
    assert_eq!(postman.waiting.len(), QUARANTINE_MAILS_AN_HOUR as usize);
    assert!(postman.waiting[0].letter.message.contains("pushgate device allow hew@example.org p0\r\n"));
    let last = &postman.waiting.back().unwrap().letter.message;
    assert!(last.contains("no more mail about quarantine for up to an hour"), "{last}");
    postman.quarantines.since = Instant::now().checked_sub(HOUR).unwrap();
    postman.write(&quarantined(100));
    let next = &postman.waiting.back().unwrap().letter.message;
    assert!(next.contains("Before it 70 more were put in quarantine"), "{next}");

    (0..MAILS_MAX).for_each(|_| postman.write(&erased("anna")));
    assert_eq!(postman.waiting.len(), MAILS_MAX);
}

#[test]
fn what_a_device_says_of_itself_cannot_leave_its_line() {
    let mut news = quarantined(1);
    news.device.information.friendly_name = Some("x\r\n.\r\nMAIL FROM:<a@b>\r\nBcc: c@d".into());
    news.device.device_id = DeviceId::new(b"x'; rm -rf $HOME").unwrap();
    let letter = &letter::letters(&news, &settings(LmtpAddress::Tcp("h".into(), 1)), Remark::None)[0];
    assert!(letter.message.contains("Name:       x??.??MAIL FROM:<a@b>??Bcc: c@d\r\n"), "{}", letter.message);
    assert!(letter.message.contains("pushgate device allow hew@example.org 'x'\\''; rm -rf $home'\r\n"), "{}", letter.message);
    assert!(!letter.message.contains("\r\n."));

    news.device.information = DeviceInformation { friendly_name: Some("Jürgens Telefon".into()), ..DeviceInformation::default() };
    let letter = &letter::letters(&news, &settings(LmtpAddress::Tcp("h".into(), 1)), Remark::None)[0];
    assert!(letter.message.is_ascii());
    let (head, body) = letter.message.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Transfer-Encoding: base64"));
    let decoded = base64::engine::general_purpose::STANDARD.decode(body.replace("\r\n", "")).unwrap();
    assert!(String::from_utf8(decoded).unwrap().contains("Name:       Jürgens Telefon\r\n"));
}

/// The store tells each once, when it is committed, whatever the number of requests that say so.
#[tokio::test]
async fn the_store_brings_the_news() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("store.url = \"sqlite:{0}/s.db\"\nstore.key_file = \"{0}/key\"", folder.path().display());
    let store_settings: StoreSettings = crate::config::Config::parse(&text, std::iter::empty()).unwrap().store;
    let store = Store::open(&store_settings).await.unwrap();
    let mut news = store.news();
    let (mailbox, id, kind) = hews_phone();
    let record = async |changes| assert_eq!(store.record(&mailbox, &id, &kind, changes).await, Recorded::Saved);
    let waits = DeviceChange::Access { state: AccessState::Quarantined, why: AccessWhy::Default };
    record(vec![waits.clone()]).await;
    record(vec![waits]).await;
    record(vec![DeviceChange::Seen { version: Version::V14_1, user_agent: None }]).await;
    let anna = By { actor: "anna".into(), source: String::new(), token: None };
    store.order_wipe(&anna, &mailbox, &id, WipeKind::Device).await.unwrap();
    record(vec![DeviceChange::WipeSent { from: None }]).await;
    record(vec![DeviceChange::WipeReported { is_done: false, with_credentials: true, from: None }]).await;
    for _ in 0..2 {
        record(vec![DeviceChange::WipeReported { is_done: true, with_credentials: true, from: None }]).await;
    }
    let mut told = Vec::new();
    while let Ok(News { happened, device }) = news.try_recv() {
        assert_eq!(device.mailbox, mailbox);
        told.push(happened);
    }
    assert_eq!(told, [Happened::Quarantined, Happened::WipeFailed, Happened::WipeAcknowledged]);
    store.close().await;
}
