//! What a crowd comes to at the backend, and what those are told who have to wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pushgate::logic::eas::{FolderId, PingAnswer};

use crate::scene::{Phone, backend, device, gateway, mailbox, until};

/// Phones that nobody here knows, each with a mailbox of its own, each with the Inbox of `in_step`.
fn strangers(count: usize, gateway: &crate::scene::Gateway) -> Vec<Phone> {
    (0..count).map(|number| device().of(&format!("user{number}")).named(&format!("Crowd{number}")).at(gateway)).collect()
}

/// Restarted, a gateway knows nobody's password: all Ping at once, and each has to be asked about.
#[tokio::test]
async fn a_crowd_that_nobody_knows_reaches_the_backend_at_its_rate_and_hurts_nobody_who_is_held() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("backend.requests_per_s", 20).set("backend.resolve_per_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let inbox = [FolderId::new("5").unwrap()];
    let before = backend.requests();
    let began = Instant::now();
    let mut crowd = strangers(250, &gateway);
    let pings: Vec<Vec<u8>> = crowd.iter().map(|phone| phone.ping_request(Some(600), Some(&inbox))).collect();
    for (phone, ping) in crowd.iter_mut().zip(pings) {
        phone.line().await.send(ping).await;
    }
    until("a line", async || gateway.inner().backend_waiting() > 20).await;
    assert!(gateway.metric("pushgate_backend_waiting", "").await > 20.0);
    let ready = String::from_utf8(gateway.call("GET", "/readyz", String::new()).await.body.to_vec()).unwrap();
    assert!(ready.contains("requests wait for the backend; backend.requests_per_s allows 20 a second."), "{ready}");
    // Who is held is told, and fetches before the crowd.
    let asked = Instant::now();
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    phone.synchronise_folders().await;
    assert!(asked.elapsed() < Duration::from_secs(3), "the line is five seconds long for newcomers: {:?}", asked.elapsed());
    // Those for whom there is no room hear of it at once, each another time.
    let mut told = BTreeSet::new();
    let mut refused = 0;
    for phone in &mut crowd {
        let Ok(answer) = tokio::time::timeout(Duration::from_millis(20), phone.line().await.answer()).await else { continue };
        if answer.status == 503 {
            refused += 1;
            told.insert(answer.header("retry-after").unwrap().parse::<u32>().unwrap());
        }
    }
    assert!(refused >= 100, "{refused} of 250 were sent away");
    assert!(told.len() >= 6 && told.first() >= Some(&4), "{told:?}");
    let (count, seconds) = (backend.requests() - before, began.elapsed().as_secs_f64());
    assert!(count as f64 <= 20.0 * seconds + 2.0 + 20.0, "{count} requests in {seconds:.1} s");
    gateway.drain().await;
}

#[tokio::test]
async fn a_message_to_everybody_wakes_them_at_the_set_pace_and_a_single_mail_passes() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.wakes_per_s", 10).set("limits.lots", 1).start().await;
    let mut crowd = Vec::new();
    for number in 0..30 {
        let mut phone = device().of(&format!("user{number}")).named(&format!("Crowd{number}")).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        crowd.push(phone);
    }
    let mut single = device().in_step_at(&gateway).await;
    single.hold(&gateway).await;
    let all: Vec<String> = (0..30).map(|number| format!("{{\"mailbox\":\"user{number}\",\"folder\":\"INBOX\"}}")).collect();
    let began = Instant::now();
    assert_eq!(gateway.call("POST", "/v1/notifications", format!("[{}]", all.join(","))).await.status, 202);
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(single.answer().await, PingAnswer::Changes(vec![single.inbox()]));
    assert!(began.elapsed() < Duration::from_millis(1_500), "not after the thirty: {:?}", began.elapsed());
    for phone in &mut crowd {
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    }
    // Three quarters of the gap is the shortest, and a tenth of a second's worth goes at once.
    assert!(began.elapsed() >= Duration::from_millis(2_000), "{:?}", began.elapsed());
}
