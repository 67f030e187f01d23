//! What arrives at the backend, and what comes back, byte for byte.

use pushgate::standin::cas::{Fault, FaultRule};

use crate::scene::{RawRequest, Reply, backend, device, eas, gateway, gzip, http, raw_backend, vector};

const NOTHING: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Every byte there is, some megabytes of them.
fn all_bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8)) as u8).collect()
}

fn nothing(_: &RawRequest) -> Reply {
    Reply::Send(NOTHING.to_vec())
}

#[tokio::test]
async fn line_headers_and_body_of_a_request_arrive_as_they_were_sent() {
    let backend = raw_backend(nothing).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let body = all_bytes(10_000);
    let target = "/EWS/Exchange.asmx?a=%2F&b=+%20&&c";
    let sent = http("PUT", target).header("X-Odd", "\"a\", b; c=\"\\\"d\"").header("Accept-Encoding", "br").body(body.clone());
    assert_eq!(gateway.line().await.ask(sent).await.status, 200);
    let arrived = backend.only_request();
    assert_eq!(arrived.line(), format!("PUT {target} HTTP/1.1"));
    assert_eq!(arrived.values("x-odd"), ["\"a\", b; c=\"\\\"d\""]);
    assert_eq!(arrived.values("accept-encoding"), ["br"]);
    assert_eq!(arrived.values("authorization"), ["Basic aGV3OnRlc3Q="]);
    assert_eq!(arrived.values("host"), ["localhost"]);
    assert_eq!(arrived.values("content-length"), ["10000"]);
    assert!(arrived.body == body);
}

#[tokio::test]
async fn an_eas_command_arrives_as_it_was_sent_packed_or_not() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let body = vector("12-");
    for request in [eas("FolderSync").body(body.clone()), eas("FolderSync").gzip(&body)] {
        line.ask(&request).await;
        let arrived = backend.recorded().pop().unwrap();
        assert_eq!(arrived.uri, "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=hew&DeviceId=Raw1&DeviceType=SmartPhone");
        assert!(request.bytes().ends_with(&arrived.body) && !arrived.body.is_empty());
        assert_eq!(arrived.headers.contains_key("content-encoding"), arrived.body == gzip(&body));
        assert_eq!(arrived.headers["ms-asprotocolversion"], "14.1");
    }
}

#[tokio::test]
async fn status_headers_and_body_of_an_answer_arrive_as_they_were_sent() {
    let body = all_bytes(100_000);
    let sent = body.clone();
    let backend = raw_backend(move |_| {
        let head = format!(
            "HTTP/1.1 449 Retry after provisioning\r\nContent-Length: {}\r\nX-MS-Location: https://other.example.org/x?y=%20\r\n\
             MS-Server-ActiveSync: 14.1\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\nServer: IIS\r\nContent-Encoding: br\r\n\r\n",
            sent.len()
        );
        Reply::Send([head.as_bytes(), &sent].concat())
    })
    .await;
    let gateway = gateway().behind(backend.url()).start().await;
    let answer = gateway.line().await.ask(eas("Search").body(Vec::new())).await;
    assert_eq!(answer.status, 449);
    assert_eq!(answer.header("x-ms-location"), Some("https://other.example.org/x?y=%20"));
    assert_eq!(answer.header("ms-server-activesync"), Some("14.1"));
    assert_eq!(answer.header("date"), Some("Thu, 01 Jan 2015 00:00:00 GMT"));
    assert_eq!((answer.header("server"), answer.header("content-encoding")), (Some("IIS"), Some("br")));
    assert!(answer.body == body);
}

#[tokio::test]
async fn cookies_go_both_ways_each_in_its_own_line() {
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; Secure\r\nSet-Cookie: b=\"2,3\"\r\nContent-Length: 0\r\n\r\n";
    let backend = raw_backend(|_| Reply::Send(answer.into())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let answer = gateway.line().await.ask(eas("Search").header("Cookie", "a=1; b=\"2,3\"").body(Vec::new())).await;
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let cookies: Vec<&str> = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value).collect();
    assert_eq!(cookies, ["a=1; Path=/; Secure", "b=\"2,3\""]);
    assert_eq!(backend.only_request().values("cookie"), ["a=1; b=\"2,3\""]);
}

#[tokio::test]
async fn chunked_and_sized_bodies_stay_what_they_are() {
    let backend = raw_backend(|request| {
        let is_chunked = !request.values("transfer-encoding").is_empty();
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde";
        Reply::Send(if is_chunked { chunked } else { sized }.into())
    })
    .await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    line.send(http("POST", "/x").header("Transfer-Encoding", "chunked").head()).await;
    line.send("4\r\nmail\r\n1\r\n!\r\n0\r\n\r\n").await;
    let answer = line.answer().await;
    assert_eq!((answer.header("transfer-encoding"), &answer.body[..]), (Some("chunked"), &b"abcde"[..]));
    let answer = line.ask(http("POST", "/x").body("mail!")).await;
    assert_eq!((answer.header("content-length"), &answer.body[..]), (Some("5"), &b"abcde"[..]));
    let arrived = backend.requests();
    let text = String::from_utf8_lossy(&arrived[0].body).replace("\r\n", " ");
    assert!(text.contains("mail") && text.ends_with("0  "), "{text}");
    assert_eq!((arrived[0].values("content-length").len(), arrived[1].values("transfer-encoding").len()), (0, 0));
    assert_eq!(arrived[1].body, b"mail!");
}

#[tokio::test]
async fn headers_of_one_hop_end_at_it() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n";
    let backend = raw_backend(|_| Reply::Send(answer.into())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let request = http("GET", "/x").header("Connection", "X-Outer, keep-alive").header("X-Outer", "1").header("TE", "trailers");
    let request =
        request.header("Upgrade", "h2c").header("Proxy-Authorization", "Basic eA==").header("Keep-Alive", "300").header("X-Kept", "1");
    let answer = gateway.line().await.ask(request).await;
    let arrived = backend.only_request();
    for name in ["x-outer", "te", "upgrade", "proxy-authorization", "keep-alive"] {
        assert!(arrived.values(name).is_empty(), "{name} crossed to the backend");
    }
    for name in ["x-inner", "keep-alive"] {
        assert!(answer.header(name).is_none(), "{name} crossed to the device");
    }
    assert_eq!((arrived.values("x-kept").len(), answer.header("x-kept")), (1, Some("1")));
}

#[tokio::test]
async fn the_backend_learns_who_the_device_is_from_us_alone() {
    let backend = raw_backend(nothing).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let forged = http("GET", "/x").header("X-Forwarded-For", "203.0.113.9").header("X-Forwarded-Proto", "gopher");
    let forged = forged.header("X-Real-IP", "203.0.113.9").header("Forwarded", "for=203.0.113.9");
    let forged = forged.header("X-Forwarded-Host", "evil.example.org").header("x-webobjects-remote-user", "root");
    gateway.line().await.ask(forged).await;
    let arrived = backend.only_request();
    assert_eq!(arrived.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!((arrived.values("x-forwarded-proto"), arrived.values("x-forwarded-host")), (vec!["https"], vec!["localhost"]));
    for name in ["x-real-ip", "forwarded", "x-webobjects-remote-user"] {
        assert!(arrived.values(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn autodiscover_and_other_paths_pass_too() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let request = http("POST", "/Autodiscover/Autodiscover.xml").header("Content-Type", "text/xml").body("<Autodiscover/>");
    let answer = line.ask(request).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml; charset=utf-8")));
    assert!(String::from_utf8(answer.body).unwrap().contains("MobileSync"));
    assert_eq!(backend.autodiscover_count(), 1);
    let answer = line.ask(http("GET", "/owa/")).await;
    assert_eq!((answer.status, backend.recorded().pop().unwrap().uri.path()), (404, "/owa/"));
    let answer = line.ask(http("GET", "/Microsoft-Server-ActiveSync")).await;
    assert_eq!(answer.status, 405, "a GET of our own path is the backend's to answer");
}

#[tokio::test]
async fn the_answer_to_head_has_a_length_and_no_body() {
    let backend = raw_backend(|_| Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_vec())).await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for _ in 0..2 {
        line.send(http("HEAD", "/owa/logo.gif")).await;
        let answer = line.answer_to_head().await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")));
    }
    assert!(backend.requests().iter().all(|request| request.line().starts_with("HEAD ")));
}

#[tokio::test]
async fn refusals_of_the_backend_reach_the_device_as_they_are() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let request = phone.request(pushgate::logic::eas::Command::FolderSync, &vector("12-"));
    for status in [403, 404, 449, 451, 500, 501, 503] {
        backend.set_faults(vec![FaultRule { command: None, times: None, fault: Fault::Status(status) }]);
        let answer = phone.line().await.ask(request.clone()).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/html")));
    }
}

#[tokio::test]
async fn requests_of_many_devices_at_once_do_not_mix() {
    let backend = raw_backend(|request| {
        let body = request.values("x-mark")[0].repeat(500);
        Reply::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into())
    })
    .await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut devices = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mut line = gateway.line().await;
        devices.spawn(async move {
            for round in 0..20 {
                let mark = format!("<{number}/{round}>");
                let answer = line.ask(http("POST", "/x").header("X-Mark", &mark).body(mark.as_str())).await;
                assert_eq!(String::from_utf8(answer.body).unwrap(), mark.repeat(500));
            }
        });
    }
    while let Some(done) = devices.join_next().await {
        done.unwrap();
    }
    assert_eq!(backend.requests().len(), 400);
}
