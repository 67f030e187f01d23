//! Request lines, queries and headers.

use crate::scene::{backend, device, eas, gateway, http, vector};

const EAS: &str = "/Microsoft-Server-ActiveSync";

#[tokio::test]
async fn a_query_that_cannot_be_read_is_400() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let long = format!("Cmd=Ping&User=hew&DeviceId={}&DeviceType=x", "a".repeat(256));
    for query in [
        "",
        "Cmd=Ping",
        "Cmd=Ping&User=hew&DeviceType=x",
        "Cmd=Ping&User=hew&DeviceId=a",
        "Cmd=Ping&User=hew&DeviceId=&DeviceType=x",
        "Cmd=Ping&Cmd=Sync&User=hew&DeviceId=a&DeviceType=x",
        "Cmd=Ping&cmd=Sync&User=hew&DeviceId=a&DeviceType=x",
        "Cmd=Ping&User=hew&DeviceId=a&deviceid=b&DeviceType=x",
        "Cmd=Nonsense&User=hew&DeviceId=a&DeviceType=x",
        "Cmd=%FF&User=hew&DeviceId=a&DeviceType=x",
        "Cmd=Ping&User=%FF%FE&DeviceId=a&DeviceType=x",
        &long,
        "!!!!",
        "eRIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0",
        "AAIJBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM=",
        "ef8JBApXTTZERVYwMDAxBGBI6k0IUG9ja2V0UEM=",
    ] {
        let request = http("POST", &format!("{EAS}?{query}")).header("MS-ASProtocolVersion", "14.1").body(Vec::new());
        let answer = line.ask(request).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/plain; charset=utf-8")), "{query}");
    }
    for version in ["0", "99.9", "14.1, 16.1"] {
        assert_eq!(line.ask(eas("Ping").version(version).body(Vec::new())).await.status, 400, "{version}");
    }
    assert_eq!(backend.requests(), 0);
}

/// Servers take more spellings of the path than one; each is held to the same rules.
#[tokio::test]
async fn a_command_does_not_pass_by_unread_because_its_path_is_spelt_differently() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    for path in [
        "/microsoft-server-activesync",
        "/Microsoft-Server-ActiveSync/",
        "//Microsoft-Server-ActiveSync",
        "/./Microsoft-Server-ActiveSync",
        "/Microsoft-Server-ActiveSync/default.eas",
        "/Microsoft-Server-ActiveSync;x=1",
        "/Microsoft%2DServer%2DActiveSync",
        "/%4Dicrosoft-Server-ActiveSync%2F",
        "/SOGo/Microsoft-Server-ActiveSync",
        "/x%5CMicrosoft-Server-ActiveSync",
    ] {
        let other = http("POST", &format!("{path}?Cmd=Settings&User=hew&DeviceId=a&DeviceType=x")).header("MS-ASProtocolVersion", "12.1");
        let answer = line.ask(other.body(vector("12-"))).await;
        assert_eq!(answer.status, 400, "{path}: the body of a FolderSync is no Settings");
        for method in ["PUT", "PATCH", "PROPFIND", "DELETE", "post"] {
            assert_eq!(line.ask(http(method, path)).await.status, 405, "{method} {path}");
        }
    }
    assert_eq!(backend.requests(), 0);
    assert_eq!(line.ask(http("POST", "/Microsoft-Server-ActiveSyncs").body(Vec::new())).await.status, 404);
    assert_eq!(backend.requests(), 1, "another path is not ours");
}

#[tokio::test]
async fn only_a_message_that_is_one_goes_without_a_root() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let mail = |command| eas(command).version("12.1").header("Content-Type", "message/rfc822");
    for request in [mail("Settings").body("Subject: x\r\n\r\nx"), mail("SendMail").body(vector("12-"))] {
        assert_eq!(line.ask(request).await.status, 400);
    }
    assert_eq!(backend.requests(), 0);
    assert_eq!(line.ask(mail("SendMail").body("Subject: x\r\n\r\nx")).await.status, 200);
}

#[tokio::test]
async fn a_giant_head_is_431_and_a_large_one_is_fine() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_bytes_max", 16384).start().await;
    let options = http("OPTIONS", EAS);
    assert_eq!(gateway.line().await.ask(options.clone().header("X-Large", &"a".repeat(12_000))).await.status, 200);
    let mut line = gateway.line().await;
    // It may be refused before all of it is sent.
    let _ = line.try_send(options.header("X-Large", &"a".repeat(100_000))).await;
    assert_eq!(line.answer().await.status, 431);
}

#[tokio::test]
async fn the_smallest_head_limit_that_may_be_set_works() {
    let smallest = (1..=65_536).find(|bytes| {
        let text = format!("limits.head_bytes_max = {bytes}");
        pushgate::config::Config::parse(&text, std::iter::empty()).is_ok()
    });
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_bytes_max", smallest.unwrap()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
}

#[tokio::test]
async fn heads_that_are_not_http_are_400_and_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for nonsense in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nA B: c\r\n\r\n"] {
        let mut line = gateway.line().await;
        line.send(nonsense).await;
        assert_eq!(line.answer().await.status, 400, "{nonsense:?}");
        line.ends().await;
    }
    assert_eq!(backend.requests(), 0);
}

/// A backend that reads the other one would teach us that somebody else's password is right, or take mail for a command.
#[tokio::test]
async fn a_header_that_decides_and_is_there_twice_is_400() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let body = vector("12-");
    for (name, value) in [
        ("Authorization", "Basic YW5uYTp3cm9uZw=="),
        ("authorization", "Bearer x"),
        ("Content-Type", "message/rfc822"),
        ("Content-Encoding", "gzip"),
        ("Host", "other.example.org"),
        ("MS-ASProtocolVersion", "2.5"),
    ] {
        let head = String::from_utf8(eas("FolderSync").header("Content-Encoding", "identity").body(body.clone()).head()).unwrap();
        let mut request = head.replacen("\r\n", &format!("\r\n{name}: {value}\r\n"), 1).into_bytes();
        request.extend_from_slice(&body);
        assert_eq!(line.ask(request).await.status, 400, "{name}");
    }
    assert_eq!(backend.requests(), 0);
}

/// Two servers that disagree about a length disagree about where the next request begins.
#[tokio::test]
async fn requests_with_two_lengths_never_reach_the_backend() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for headers in ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6", "Content-Length: -1", "Transfer-Encoding: gzip"] {
        let mut line = gateway.line().await;
        line.send(format!("POST /x HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\nabcdef")).await;
        assert_eq!(line.answer().await.status, 400, "{headers}");
        line.ends().await;
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for line_text in ["CONNECT example.org:443 HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        let mut line = gateway.line().await;
        line.send(format!("{line_text}\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(line.answer().await.status, 400, "{line_text}");
    }
    assert_eq!(backend.requests(), 0);
}
