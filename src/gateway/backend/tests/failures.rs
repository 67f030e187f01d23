//! Backends that are down, slow or rude: what the device is told, what is tried again, and where.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An address where nobody listens.
async fn nobody() -> Cas {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    Cas { url: format!("http://{}", listener.local_addr().expect("address")), accepted: Arc::default() }
}

fn for_mailbox(name: &str) -> Route {
    Route { mailbox: Mailbox::normalise(name, None, true), ..route() }
}

/// A mailbox whose first choice is the first of these backends.
fn mailbox_of_first(cases: &[&Cas]) -> Route {
    let names: Vec<_> = cases.iter().map(|cas| cas.url.trim_start_matches("http://")).collect();
    let is_first = |name: &String| choice::ranked(names.iter().copied(), name.as_bytes())[0] == 0;
    for_mailbox(&(0..).map(|number| format!("user{number}@example.org")).find(is_first).expect("one of many"))
}

/// A backend whose first connection answers one request, then closes when the second arrives; later ones answer always.
async fn closing_on_the_second() -> Cas {
    scripted(|mut stream, number| async move {
        for round in 0.. {
            if read_request(&mut stream).await.is_empty() || (number == 0 && round == 1) {
                return;
            }
            stream.write_all(OK.as_bytes()).await.expect("written");
        }
    })
    .await
}

async fn status(backend: &Backend, body: BackendBody, route: Route) -> u16 {
    let response = backend.forward(head("POST", EAS), body, route).await;
    let status = response.status().as_u16();
    text(response).await;
    status
}

#[tokio::test]
async fn a_backend_that_refuses_is_a_502_that_tells_nothing() {
    let response = backend(&[&nobody().await], |_| ()).forward(head("GET", EAS), BackendBody::Empty, route()).await;
    assert_eq!((response.status().as_u16(), response.extensions().get()), (502, Some(&Failure::Unreachable)));
    assert_eq!(text(response).await, "The mail server cannot be reached.\n");
}

#[tokio::test]
async fn a_backend_without_tls_where_tls_is_expected_is_a_502() {
    let mut cas = answering(OK).await;
    cas.url = cas.url.replace("http:", "https:");
    assert_eq!(status(&backend(&[&cas], |_| ()), BackendBody::Empty, route()).await, 502);
}

#[tokio::test]
async fn a_backend_that_takes_no_handshake_is_a_502_after_the_connect_time() {
    let mut cas = scripted(|stream, _| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    cas.url = cas.url.replace("http:", "https:");
    let backend = backend(&[&cas], |config| config.backend.connect_timeout = Duration::from_millis(80));
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 502);
}

#[tokio::test]
async fn silence_is_a_504_and_a_ping_may_be_silent_for_longer() {
    let cas = scripted(|mut stream, _| async move {
        while !read_request(&mut stream).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(stream.write_all(OK.as_bytes()).await);
        }
    })
    .await;
    let backend = backend(&[&cas], |config| config.backend.answer_timeout = Duration::from_millis(80));
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 504);
    let patient = Route { answer_timeout: Some(Duration::from_secs(1)), ..route() };
    assert_eq!(status(&backend, BackendBody::Empty, patient).await, 200);
}

#[tokio::test]
async fn the_time_for_an_answer_begins_when_the_body_has_gone() {
    let cas = serving(|request: Request<Incoming>| async move {
        Response::new(full(&request.into_body().collect().await.expect("whole").to_bytes().len().to_string()))
    })
    .await;
    let address = gateway(backend(&[&cas], |config| config.backend.answer_timeout = Duration::from_millis(100))).await;
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n").await.expect("written");
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"x").await.expect("written");
    }
    let mut seen = vec![0; 15];
    stream.read_exact(&mut seen).await.expect("an answer");
    assert_eq!(seen, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_idle_connection_that_closed_costs_a_repeatable_request_nothing() {
    for body in [BackendBody::Empty, BackendBody::Replayable(Bytes::from_static(b"sync"))] {
        let cas = closing_on_the_second().await;
        let backend = backend(&[&cas], |_| ());
        assert_eq!(status(&backend, BackendBody::Empty, route()).await, 200);
        assert_eq!(status(&backend, body, route()).await, 200);
        assert_eq!(cas.connections(), 2);
    }
}

#[tokio::test]
async fn a_body_that_has_gone_is_not_sent_again() {
    let cas = closing_on_the_second().await;
    let backend = backend(&[&cas], |_| ());
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 200);
    let once = BackendBody::stream(full("mail"));
    let mut head = head("POST", EAS);
    head.headers.insert("content-length", 4.into());
    let response = backend.forward(head, once, route()).await;
    assert_eq!((response.status().as_u16(), response.extensions().get()), (502, Some(&Failure::BrokenOff)));
    assert_eq!(cas.connections(), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_not_tried_again() {
    let cas = scripted(|mut stream, _| async move { drop(read_request(&mut stream).await) }).await;
    assert_eq!(status(&backend(&[&cas], |_| ()), BackendBody::Empty, route()).await, 502);
    assert_eq!(cas.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_had_begun_is_not_asked_for_again() {
    let cas = scripted(|mut stream, number| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.expect("written");
        read_request(&mut stream).await;
        assert_eq!(number, 0);
        stream.write_all(b"HTTP/1.1 20").await.expect("written");
    })
    .await;
    let backend = backend(&[&cas], |_| ());
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 200);
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 502);
    assert_eq!(cas.connections(), 1);
}

#[tokio::test]
async fn a_mailbox_keeps_its_backend() {
    let (one, two) = (answering(OK).await, answering(OK).await);
    let backend = backend(&[&one, &two], |_| ());
    for _ in 0..5 {
        assert_eq!(status(&backend, BackendBody::Empty, mailbox_of_first(&[&one, &two])).await, 200);
    }
    assert_eq!((one.connections(), two.connections()), (1, 0));
}

#[tokio::test]
async fn a_dead_backend_is_left_out_and_comes_back() {
    let (dead, alive) = (nobody().await, answering(OK).await);
    let backend = backend(&[&dead, &alive], |config| config.backend.down = Duration::from_millis(150));
    let route = mailbox_of_first(&[&dead, &alive]);
    let mut head = head("POST", EAS);
    head.headers.insert("content-length", 4.into());
    let response = backend.forward(head, BackendBody::stream(full("mail")), route.clone()).await;
    assert_eq!(text(response).await, "ok", "nothing was sent to the dead one, so even a body that streams moves on");
    let address = dead.url.trim_start_matches("http://").to_owned();
    let revived = scripted_on(TcpListener::bind(address).await.expect("bound again"), |mut stream, _| async move {
        while !read_request(&mut stream).await.is_empty() {
            stream.write_all(OK.as_bytes()).await.expect("written");
        }
    });
    assert_eq!(status(&backend, BackendBody::Empty, route.clone()).await, 200);
    assert_eq!(revived.connections(), 0, "still left out");
    tokio::time::sleep(Duration::from_millis(180)).await;
    assert_eq!(status(&backend, BackendBody::Empty, route).await, 200);
    assert_eq!(revived.connections(), 1);
}

#[tokio::test]
async fn a_backend_that_fails_three_times_in_a_row_is_left_out() {
    let (bad, good) = (answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").await, answering(OK).await);
    let backend = backend(&[&bad, &good], |_| ());
    let route = mailbox_of_first(&[&bad, &good]);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(status(&backend, BackendBody::Empty, route.clone()).await);
    }
    assert_eq!(seen, [503, 503, 503, 200, 200]);
}

#[tokio::test]
async fn when_all_are_down_they_are_still_tried() {
    let cas = nobody().await;
    let backend = backend(&[&cas], |_| ());
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 502);
    let address = cas.url.trim_start_matches("http://").to_owned();
    let _revived = scripted_on(TcpListener::bind(address).await.expect("bound again"), |mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.expect("written");
    });
    assert_eq!(status(&backend, BackendBody::Empty, route()).await, 200);
}
