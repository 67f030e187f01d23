//! Who is believed, for how long, and after how many questions.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::config::Auth;

const PING: &str = "/Microsoft-Server-ActiveSync?Cmd=Ping&User=hew&DeviceId=dev1&DeviceType=X";

/// A backend that knows hew's password, and counts what it is asked: (method, path and query) of each question.
struct Knowing {
    cas: Cas,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
    trouble: Arc<AtomicUsize>,
}

impl Knowing {
    /// `guards_options`: whether OPTIONS needs the password as well.
    async fn new(guards_options: bool) -> Self {
        let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let trouble = Arc::new(AtomicUsize::new(0));
        let (log, status) = (Arc::clone(&asked), Arc::clone(&trouble));
        let cas = serving(move |request: Request<Incoming>| {
            let is_right = request.headers().get("authorization") == Some(&basic("hew", "right"));
            log.lock().expect("lock").push(format!("{} {}", request.method(), request.uri()));
            let status = match status.load(Ordering::SeqCst) {
                0 if is_right || (request.method() == "OPTIONS" && !guards_options) => 200,
                0 => 401,
                trouble => u16::try_from(trouble).expect("a status"),
            };
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut response = Response::new(full("please log in"));
                *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                if status == 401 {
                    response.headers_mut().insert("www-authenticate", "Basic realm=\"mail\"".parse().expect("value"));
                }
                response
            }
        })
        .await;
        Knowing { cas, asked, trouble }
    }

    fn verdicts(&self, ttl: Duration) -> Verdicts {
        Verdicts::new(
            backend(&[&self.cas], |_| ()),
            &Auth { verdict_ttl: ttl, bearer_claim: Vec::new(), shield_min: Duration::ZERO, shield_max: Duration::ZERO },
        )
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("lock").clone()
    }
}

fn basic(user: &str, password: &str) -> http::HeaderValue {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))).parse().expect("value")
}

fn credentials(password: &str) -> Credentials {
    Credentials::from_header(&basic("hew", password)).expect("Basic")
}

async fn ask(verdicts: &Verdicts, password: &str) -> u16 {
    match verdicts.verdict(&credentials(password), &head("POST", PING), &route()).await {
        Verdict::Accepted => 200,
        Verdict::Refused(refusal) => refusal.status().as_u16(),
        Verdict::Unknown { .. } => 0,
    }
}

const LONG: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_right_password_is_asked_about_once() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    for _ in 0..5 {
        assert_eq!(ask(&verdicts, "right").await, 200);
    }
    let options = "OPTIONS /Microsoft-Server-ActiveSync";
    assert_eq!(knowing.asked(), [options, options], "once with a wrong password, once with the right one");
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_the_backends_own_answer() {
    let knowing = Knowing::new(true).await;
    let Verdict::Refused(refusal) = knowing.verdicts(LONG).verdict(&credentials("wrong"), &head("POST", PING), &route()).await else {
        panic!("not refused");
    };
    let response = refusal.response();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["www-authenticate"]),
        (401, &"Basic realm=\"mail\"".parse().expect("value"))
    );
    assert_eq!(text(response).await, "please log in");
}

#[tokio::test]
async fn a_refusal_is_shared_by_those_who_ask_at_once_and_is_not_a_credential_for_others() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    assert_eq!((ask(&verdicts, "wrong").await, ask(&verdicts, "wrong").await), (401, 401));
    assert_eq!(knowing.asked().len(), 2);
    assert_eq!((ask(&verdicts, "right").await, ask(&verdicts, "wrong2").await), (200, 401));
    assert_eq!(knowing.asked().len(), 4);
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_question() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    ask(&verdicts, "wrong").await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let verdicts = verdicts.clone();
            tokio::spawn(async move { ask(&verdicts, "right").await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), 200);
    }
    assert_eq!(knowing.asked().len(), 3);
}

#[tokio::test]
async fn a_device_that_hangs_up_does_not_take_the_answer_from_the_others() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    let first = verdicts.clone();
    let first = tokio::spawn(async move { ask(&first, "right").await });
    tokio::time::sleep(Duration::from_millis(5)).await;
    first.abort();
    assert_eq!(ask(&verdicts, "right").await, 200);
    assert_eq!(knowing.asked().len(), 2);
}

#[tokio::test]
async fn what_is_remembered_ends() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(Duration::from_millis(200));
    assert_eq!((ask(&verdicts, "right").await, ask(&verdicts, "right").await), (200, 200));
    assert_eq!(knowing.asked().len(), 2);
    tokio::time::sleep(Duration::from_millis(310)).await;
    assert_eq!(ask(&verdicts, "right").await, 200);
    assert_eq!(knowing.asked().len(), 3);
}

#[tokio::test]
async fn a_forwarded_command_teaches_and_a_401_makes_forget() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    verdicts.remember(&credentials("right"));
    assert_eq!(ask(&verdicts, "right").await, 200);
    assert!(knowing.asked().is_empty());
    verdicts.forget(&credentials("right"));
    assert_eq!(ask(&verdicts, "right").await, 200);
    assert_eq!(knowing.asked().len(), 2);
}

#[tokio::test]
async fn a_backend_that_answers_options_to_anybody_is_asked_with_a_command() {
    let knowing = Knowing::new(false).await;
    let verdicts = knowing.verdicts(LONG);
    assert_eq!((ask(&verdicts, "wrong").await, ask(&verdicts, "right").await), (401, 200));
    let settings = "POST /Microsoft-Server-ActiveSync?Cmd=Settings&User=hew&DeviceId=dev1&DeviceType=X";
    assert_eq!(knowing.asked(), ["OPTIONS /Microsoft-Server-ActiveSync", settings, settings]);
}

#[tokio::test]
async fn a_backend_in_trouble_decides_nothing_and_nothing_is_remembered() {
    let knowing = Knowing::new(true).await;
    let verdicts = knowing.verdicts(LONG);
    for trouble in [500, 503] {
        knowing.trouble.store(trouble, Ordering::SeqCst);
        assert_eq!(ask(&verdicts, "right").await, 0, "not even how to ask is known");
    }
    knowing.trouble.store(0, Ordering::SeqCst);
    assert_eq!(ask(&verdicts, "right").await, 200);
    for (status, expected) in [(403, 403), (456, 456), (457, 457), (451, 451), (449, 200), (404, 0), (302, 0), (503, 0)] {
        knowing.trouble.store(status, Ordering::SeqCst);
        verdicts.forget(&credentials("right"));
        assert_eq!(ask(&verdicts, &format!("other{status}")).await, expected, "{status}");
    }
}

#[tokio::test]
async fn a_dead_backend_is_unknown_as_a_502() {
    let cas = Cas { url: "http://127.0.0.1:1".into(), accepted: Arc::default() };
    let verdicts = Verdicts::new(
        backend(&[&cas], |_| ()),
        &Auth { verdict_ttl: LONG, bearer_claim: Vec::new(), shield_min: Duration::ZERO, shield_max: Duration::ZERO },
    );
    let verdict = verdicts.verdict(&credentials("right"), &head("POST", PING), &route()).await;
    assert!(matches!(verdict, Verdict::Unknown { status, .. } if status == 502), "{verdict:?}");
}

#[tokio::test]
async fn guesses_do_not_pile_up() {
    let silent = scripted(|stream, _| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let verdicts = Verdicts::new(
        backend(&[&silent], |_| ()),
        &Auth { verdict_ttl: LONG, bearer_claim: Vec::new(), shield_min: Duration::ZERO, shield_max: Duration::ZERO },
    );
    for number in 0..crate::config::limits::VERDICT_QUESTIONS_MAX {
        let (credentials, head, route) = (credentials(&number.to_string()), head("POST", PING), route());
        let mut question = std::pin::pin!(verdicts.verdict(&credentials, &head, &route));
        let has_answer = std::future::poll_fn(|cx| std::task::Poll::Ready(question.as_mut().poll(cx).is_ready())).await;
        assert!(!has_answer);
    }
    let asked = std::time::Instant::now();
    assert_eq!(ask(&verdicts, "one more").await, 0);
    assert!(asked.elapsed() < Duration::from_millis(500), "turned away without waiting");
}

#[tokio::test]
async fn a_silent_backend_keeps_all_who_ask_waiting_only_once() {
    let silent = scripted(|stream, _| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let backend = backend(&[&silent], |config| config.backend.answer_timeout = Duration::from_millis(100));
    let verdicts = Verdicts::new(
        backend,
        &Auth { verdict_ttl: LONG, bearer_claim: Vec::new(), shield_min: Duration::ZERO, shield_max: Duration::ZERO },
    );
    let asked = std::time::Instant::now();
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let verdicts = verdicts.clone();
            tokio::spawn(async move { ask(&verdicts, &number.to_string()).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), 0);
    }
    assert!(asked.elapsed() < Duration::from_millis(1_000), "{:?}", asked.elapsed());
}

#[test]
fn a_remembered_verdict_is_small() {
    let verdicts = || {
        let cas = Cas { url: "http://127.0.0.1:1".into(), accepted: Arc::default() };
        Verdicts::new(
            backend(&[&cas], |_| ()),
            &Auth { verdict_ttl: LONG, bearer_claim: Vec::new(), shield_min: Duration::ZERO, shield_max: Duration::ZERO },
        )
    };
    // Other tests allocate meanwhile: the median of several rounds is not theirs.
    let mut rounds: Vec<isize> = (0..7)
        .map(|round| {
            let verdicts = verdicts();
            let before = heap_bytes();
            (0..20_000).for_each(|number| verdicts.remember(&credentials(&format!("{round} {number}"))));
            assert!(verdicts.is_remembered(&credentials(&format!("{round} 19999"))));
            (heap_bytes() - before) / 20_000
        })
        .collect();
    rounds.sort_unstable();
    assert!((20..=100).contains(&rounds[3]), "bytes a verdict: {rounds:?}");
}

/// Bytes that this process has allocated, from glibc.
fn heap_bytes() -> isize {
    #[expect(unsafe_code, reason = "glibc's own count is the only one there is, and mallinfo2 has no preconditions")]
    let info = unsafe { libc::mallinfo2() };
    isize::try_from(info.uordblks + info.hblkhd).expect("fits")
}
