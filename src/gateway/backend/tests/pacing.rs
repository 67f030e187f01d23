//! `backend.requests_per_s`: what a storm of devices comes to at the backend, and what those are told who have to wait.

use std::sync::Mutex;
use std::time::Instant;

use super::*;

/// A backend that notes when each request came.
struct Counting {
    cas: Cas,
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Counting {
    async fn new() -> Self {
        let came: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let log = Arc::clone(&came);
        let cas = serving(move |_| {
            log.lock().expect("lock").push(Instant::now());
            async { Response::new(full("ok")) }
        })
        .await;
        Counting { cas, came }
    }

    fn count(&self) -> usize {
        self.came.lock().expect("lock").len()
    }

    /// The most requests that came within any stretch of this length.
    fn most_within(&self, stretch: Duration) -> usize {
        let mut came = self.came.lock().expect("lock").clone();
        came.sort_unstable();
        (0..came.len()).map(|at| came[at..].iter().take_while(|later| **later - came[at] < stretch).count()).max().unwrap_or(0)
    }
}

fn of(mailbox: &str, claim: Claim) -> Route {
    Route { mailbox: Mailbox::normalise(mailbox, None, true), claim, ..route() }
}

fn paced(cas: &Cas, per_s: u32) -> Backend {
    backend(&[cas], |config| config.backend.requests_per_s = per_s)
}

/// One request of each of these; the answers, in the order of the requests.
async fn all_at_once(backend: &Backend, routes: impl Iterator<Item = Route>) -> Vec<(u16, Option<u32>)> {
    let ask = |route: Route| {
        let backend = backend.clone();
        tokio::spawn(async move {
            let response = backend.forward(head("POST", EAS), BackendBody::Empty, route).await;
            let retry_after_s = response.headers().get("retry-after").map(|value| value.to_str().expect("ASCII").parse().expect("seconds"));
            (response.status().as_u16(), retry_after_s)
        })
    };
    let asked: Vec<_> = routes.map(ask).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.expect("answered"));
    }
    answers
}

#[tokio::test]
async fn a_storm_reaches_the_backend_at_the_set_rate() {
    let counting = Counting::new().await;
    let backend = paced(&counting.cas, 100);
    let answers = all_at_once(&backend, (0..150).map(|user| of(&format!("user{user}@example.org"), Claim::Known))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(counting.count(), 150);
    // 100 a second, a tenth of a second's worth at once, and what a busy machine delivers late.
    assert!(counting.most_within(Duration::from_secs(1)) <= 120, "{}", counting.most_within(Duration::from_secs(1)));
}

#[tokio::test]
async fn those_for_whom_there_is_no_room_are_told_different_times_to_come_back() {
    let counting = Counting::new().await;
    let backend = paced(&counting.cas, 10);
    // Ten seconds' worth of places, half of them for newcomers.
    let storm = tokio::spawn({
        let backend = backend.clone();
        async move { all_at_once(&backend, (0..250).map(|user| of(&format!("user{user}@example.org"), Claim::Stranger))).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!((40..=50).contains(&backend.waiting()), "{}", backend.waiting());
    // Who is known is in the first second what a newcomer is in the sixth.
    let began = Instant::now();
    let known = all_at_once(&backend, std::iter::once(of("hew@example.org", Claim::Known))).await;
    assert_eq!(known, [(200, None)]);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let answers = storm.await.expect("answered");
    let mut told: Vec<u32> = answers.iter().filter(|(status, _)| *status == 503).map(|(_, after)| after.expect("when")).collect();
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count() + told.len(), 250);
    assert!((195..=200).contains(&told.len()), "{}", told.len());
    told.sort_unstable();
    assert!(told[0] >= 5, "not before the line has moved: {}", told[0]);
    for second in told[0]..=told[told.len() - 1] {
        let count = told.iter().filter(|after| **after == second).count();
        assert!(count <= 10, "{count} are told {second} s, and 10 can go");
    }
}

#[tokio::test]
async fn a_device_that_hangs_up_takes_no_turn_from_the_others() {
    let counting = Counting::new().await;
    let backend = paced(&counting.cas, 10);
    let gone: Vec<_> = (0..60)
        .map(|user| {
            let (backend, route) = (backend.clone(), of(&format!("user{user}@example.org"), Claim::Known));
            tokio::spawn(async move { backend.forward(head("POST", EAS), BackendBody::Empty, route).await.status() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    let began = Instant::now();
    assert_eq!(all_at_once(&backend, std::iter::once(of("hew@example.org", Claim::Known))).await, [(200, None)]);
    assert!(began.elapsed() < Duration::from_secs(2), "60 who left would take 6 s: {:?}", began.elapsed());
}

#[tokio::test]
async fn without_a_rate_nobody_waits() {
    let counting = Counting::new().await;
    let backend = paced(&counting.cas, 0);
    let answers = all_at_once(&backend, (0..150).map(|_| of("hew@example.org", Claim::Stranger))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(backend.waiting(), 0);
}

/// While a backend stands still nobody is let go who would only wait for a connection, where no mailbox has a turn.
#[tokio::test]
async fn a_backend_that_stands_still_is_not_met_by_all_who_waited_meanwhile() {
    let answers = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&answers);
    let slow = serving(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("open").forget();
            Response::new(full("ok"))
        }
    })
    .await;
    let backend = backend(&[&slow], |config| {
        (config.backend.requests_per_s, config.backend.connections_max) = (1_000, 2);
        config.backend.answer_timeout = Duration::from_secs(5);
    });
    let asked = tokio::spawn({
        let backend = backend.clone();
        async move { all_at_once(&backend, (0..100).map(|user| of(&format!("user{user}@example.org"), Claim::Known))).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(backend.waiting() >= 80, "{} still in line", backend.waiting());
    answers.add_permits(100);
    assert!(asked.await.expect("answered").iter().all(|(status, _)| *status == 200));
}
