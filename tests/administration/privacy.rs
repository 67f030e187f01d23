//! What the log gives away: of a gateway that says all it can say, and of one that says as little as it may.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pushgate::logic::eas::settings::{RecoveryPassword, SettingsRequest};
use pushgate::logic::eas::{Command, PingAnswer};
use pushgate::standin::cas::{Cas, CasOptions};
use pushgate::standin::device::{Device, DeviceOptions, Obeys, Provisioned, SyncWish};
use pushgate::standin::tls::{Trust, client_config};
use tokio::runtime::Runtime;

use crate::scene::{Served, gateway_with};

const USER: &str = "Alice";
const DEVICE: &str = "PHONEOFALICE";
const AGENT: &str = "AgentOfAlice/1";
const PASSWORD: &str = "correct-horse-7";
const WRONG: &str = "incorrect-horse-8";
const RECOVERY: &str = "recovery-horse-9";
/// Where the phone is; nothing else is there.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));

/// A backend, a gateway before it, and what drives them.
struct World {
    runtime: Runtime,
    backend: Cas,
    served: Served,
}

fn world(log: &str) -> World {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = CasOptions { domain: "example.org".into(), password: PASSWORD.into(), ..CasOptions::default() };
    let backend = runtime.block_on(Cas::start(options)).unwrap();
    // The mail server is away, so that mails to people fail and say so.
    let more = format!("drain.drain_s = 0\nmail.server = \"smtp:127.0.0.1:9\"\n{log}");
    let served = gateway_with(&backend.url(), &more);
    World { runtime, backend, served }
}

impl World {
    fn device(&self, user: &str) -> Device {
        let tls = client_config(Trust::Root(self.served.certificate().certificate.clone()), false).unwrap();
        let options =
            DeviceOptions { user_agent: AGENT.into(), password: PASSWORD.into(), ..DeviceOptions::new(self.served.https(), Some(tls)) };
        let mut device = Device::new(Arc::new(options), user, DEVICE).from_source(HOME);
        device.policy_key = Some(0);
        device
    }

    /// A phone is set up, waits, is woken, and waits again when it loses the network.
    fn lives(&self) -> Device {
        self.runtime.block_on(async {
            let mut phone = self.device(USER);
            phone.options().await.unwrap();
            assert_eq!(phone.folder_sync().await.unwrap().status, 142);
            assert!(matches!(phone.fetch_policy(Obeys::InFull).await.unwrap(), Provisioned::Policy(_)));
            let password = Some(RecoveryPassword::new(RECOVERY.into()));
            let request = SettingsRequest { device_password: password, ..SettingsRequest::default() };
            phone.command(Command::Settings, request.encode()).await.unwrap();
            phone.folder_sync().await.unwrap();
            let inbox = phone.folder_of_type(2).unwrap();
            phone.sync_all(&inbox).await.unwrap();
            let (waits, watched) = (Duration::from_secs(30), [inbox.clone()]);
            let notify = async {
                self.until_held().await;
                self.backend.deliver(USER, "Inbox");
                self.say("notify --mailbox alice@example.org --folder INBOX").await;
            };
            let (answer, ()) = tokio::join!(phone.ping(Some(900), Some(&watched), waits, || {}), notify);
            assert!(matches!(answer.unwrap(), PingAnswer::Changes(_)));
            phone.sync_all(&inbox).await.unwrap();
            let hangs_up = phone.ping(Some(900), Some(&watched), waits, || {});
            tokio::select! {
                answer = hangs_up => panic!("{answer:?}"),
                () = self.until_held() => {}
            }
            phone.disconnect();
            // And in the other way.
            let wish = SyncWish { heartbeat_s: Some(900), ..SyncWish::default() };
            let hanging = phone.sync(&inbox, &wish);
            let _ = tokio::time::timeout(Duration::from_secs(2), hanging).await;
            phone.disconnect();
            phone
        })
    }

    /// What the gateway refuses, slows or cannot understand.
    fn errs(&self, phone: &mut Device) {
        self.runtime.block_on(async {
            for _ in 0..3 {
                assert!(self.device(USER).with_password(WRONG).folder_sync().await.is_err());
            }
            for command in [Command::Ping, Command::Sync, Command::FolderSync, Command::Provision, Command::Settings] {
                let answer = phone.command(command, b"Alice and alice@example.org".to_vec()).await;
                assert!(answer.is_ok(), "{answer:?}");
                phone.disconnect();
            }
            let credential = BASE64.encode(format!("{USER}:{PASSWORD}"));
            let head = format!("Host: localhost\r\nAuthorization: Basic {credential}\r\nUser-Agent: {AGENT}\r\n");
            let path = "/Microsoft-Server-ActiveSync";
            let query = format!("User={USER}&DeviceId={DEVICE}&DeviceType=SmartPhone");
            for line in [
                format!("GET /{USER} HTTP/1.1"),
                format!("POST {path}?{query} HTTP/1.1"),
                format!("POST {path}?Cmd={USER}&{query} HTTP/1.1"),
                format!("POST {path}?Cmd=Ping&{query}%00%zz HTTP/1.1"),
                format!("POST {path}?AAAA{USER} HTTP/1.1"),
                format!("BREW {path}?Cmd=Ping&{query} HTTP/1.1"),
                format!("POST {path}?Cmd=Ping&{query} HTTP/1.1\r\nAuthorization: Basic {credential}"),
                format!("POST {path}?Cmd=Ping&{query} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
                format!("POST {path}?Cmd=Ping&{query} HTTP/1.1\nX-{USER}: {USER}"),
            ] {
                // Some are answered, some cost the connection.
                let _ = self.device(USER).raw(format!("{line}\r\n{head}\r\n").into_bytes()).await;
            }
            // A device that begins anew over and over.
            for _ in 0..14 {
                let mut again = self.device(USER);
                again.policy_key = phone.policy_key;
                let _ = again.folder_sync().await;
            }
        });
        // Who does not speak TLS, or speaks it badly.
        for bytes in [format!("GET /{USER} HTTP/1.1\r\n\r\n").into_bytes(), [22, 3, 1, 0, 5, 1, 0, 0, 1, 65].to_vec()] {
            let mut stream = TcpStream::connect(self.served.https()).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    }

    /// What administrators and mail servers do.
    fn is_administered(&self, mut phone: Device) {
        let served = &self.served;
        served.write("wrong", "no-token-of-this-gateway");
        served.run("device list --token-file wrong").failed(1);
        served.run("notify --mailbox @").failed(1);
        for line in ["mailbox show alice", "device list --mailbox alice", "device show alice PHONEOFALICE", "audit", "status"] {
            served.say(line);
        }
        assert_eq!(served.say("device recovery-password alice PHONEOFALICE").trim(), RECOVERY);
        served.say("mailbox debug alice --for 1m");
        served.say("mailbox debug alice --end");
        served.say("device wipe alice PHONEOFALICE --yes");
        self.runtime.block_on(async {
            let _ = phone.folder_sync().await;
            assert_eq!(phone.fetch_policy(Obeys::InFull).await.unwrap(), Provisioned::Wipe);
            phone.acknowledge_wipe(false, 1).await.unwrap();
        });
        served.until_logged("mail not sent");
    }

    async fn until_held(&self) {
        loop {
            if self.say("status --json").await.contains("\"held\":1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A command beside what runs here.
    async fn say(&self, line: &str) -> String {
        tokio::task::block_in_place(|| self.served.say(line))
    }
}

/// A policy that lets devices store a recovery password.
fn policy(served: &Served) {
    served.say("policy new Strict DevicePasswordEnabled=true PasswordRecoveryEnabled=true --default");
}

#[test]
fn a_log_with_pseudonyms_names_nobody_whatever_happens() {
    for format in ["text", "json"] {
        let mut world = world(&format!("log = {{ level = \"trace\", redact = \"hash\", format = \"{format}\" }}"));
        policy(&world.served);
        let mut phone = world.lives();
        world.errs(&mut phone);
        world.is_administered(phone);
        let shown = world.served.json("mailbox show alice");
        let alice = shown["in_log"].as_str().unwrap().to_owned();
        world.served.leave();
        let log = world.served.log();
        // It did say what it can say.
        for said in [
            "a request is held",
            "a held request ends",
            "a device hung up",
            "the same over and over",
            "rejects a password",
            "policy sent",
            "recovery password taken",
            "refused: malformed Ping",
            "refused: bad query",
            "handshake failed",
            "read in two ways",
            "told to erase",
            "says that it erases",
            "mail not sent",
            "refused: wrong token",
            "a change of the mailbox was reported",
        ] {
            assert!(log.contains(said), "the log does not say {said:?}:\n{log}");
        }
        assert!(log.contains(&alice) && log.contains("d-") && log.contains("a-"), "{alice}");
        let credential = |password: &str| BASE64.encode(format!("{USER}:{password}")).to_lowercase();
        let (right, wrong) = (credential(PASSWORD), credential(WRONG));
        let (token, home) = (world.served.token().to_lowercase(), HOME.to_string());
        for secret in ["alice", PASSWORD, WRONG, RECOVERY, &right, &wrong, &token, &home, "inbox"] {
            let line = log.lines().find(|line| line.to_lowercase().contains(secret));
            assert_eq!(line, None, "{secret} is in the log");
        }
        if format == "json" {
            log.lines().for_each(|line| assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}"));
        }
    }
}

#[test]
fn names_are_logged_or_not_from_one_line_to_the_next() {
    let world = world("log = { level = \"debug\", redact = \"off\" }");
    let sync = |user: &str| world.runtime.block_on(async { drop(world.device(user).folder_sync().await) });
    sync("plain");
    world.served.until_logged("mailbox=plain@example.org");
    assert!(world.served.json("mailbox show plain")["in_log"].is_null());
    world.served.reconfigure("redact = \"off\"", "redact = \"hash\", redact_key = \"0123456789 and then some\"");
    sync("masked");
    let in_log = world.served.json("mailbox show masked")["in_log"].as_str().unwrap().to_owned();
    world.served.until_logged(&format!("mailbox={in_log}"));
    assert!(!world.served.log().contains("masked"), "{}", world.served.log());
    // Another process with the same key says the same.
    let other = self::world("log = { redact = \"hash\", redact_key = \"0123456789 and then some\" }");
    assert_eq!(other.served.json("mailbox show masked")["in_log"], in_log.as_str());
    let another = self::world("log.redact = \"hash\"");
    assert_ne!(another.served.json("mailbox show masked")["in_log"], in_log.as_str());
}

#[test]
fn a_debug_log_is_of_one_mailbox_and_ends() {
    let world = world("log.level = \"info\"");
    let served = &world.served;
    let sync = |user: &str| world.runtime.block_on(async { drop(world.device(user).folder_sync().await) });
    assert_eq!(served.json("mailbox debug"), serde_json::json!([]));
    assert!(served.say("mailbox debug alice").contains("has no debug log"));
    let begun = served.say("mailbox debug alice --for 30m");
    assert!(begun.contains("alice@example.org is logged until") && begun.contains("debugging=true"), "{begun}");
    sync("bob");
    sync("Alice");
    served.until_logged("status=200 debugging=true");
    let log = served.log();
    let debugging: Vec<&str> = log.lines().filter(|line| line.contains("debugging=true")).collect();
    assert!(debugging.len() >= 2 && debugging.iter().all(|line| line.contains("DEBUG") && line.contains("alice@example.org")), "{log}");
    assert!(!log.contains("mailbox=bob"), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains(&BASE64.encode(format!("{USER}:{PASSWORD}"))), "no secret, for nobody");
    assert_eq!(served.json("mailbox debug")[0]["mailbox"], "alice@example.org");
    assert!(served.say("mailbox debug alice --end").contains("ended"));
    assert!(served.run("mailbox debug alice --end").failed(1).contains("404"));
    let lines = served.log().matches("debugging=true").count();
    sync("alice");
    served.until_logged("the debug log of a mailbox ends");
    assert_eq!(served.log().matches("debugging=true").count(), lines);
    let trail = served.say("audit --mailbox alice");
    assert!(trail.contains("mailbox debug") && trail.contains("for 30 minutes") && trail.contains("ended"), "{trail}");
}

#[test]
fn debug_logs_are_few_and_short() {
    let world = world("");
    let served = &world.served;
    for number in 0..16 {
        served.say(&format!("mailbox debug user{number} --for 1m"));
    }
    assert!(served.run("mailbox debug onemore --for 1m").failed(1).contains("16 debug logs"));
    served.say("mailbox debug user3 --for 2h");
    served.say("mailbox debug user4 --end");
    served.say("mailbox debug onemore --for 24h");
    assert_eq!(served.json("mailbox debug").as_array().unwrap().len(), 16);
    for line in [
        "mailbox debug a --for 25h",
        "mailbox debug a --for 0m",
        "mailbox debug a --for long",
        "mailbox debug --for 1m",
        "mailbox debug a --for 1m --end",
    ] {
        served.run(line).failed(2);
    }
}

#[test]
fn what_a_peer_can_cause_is_counted_instead_of_written() {
    const TRIES: usize = 160;
    const LINE: &str = "the mail server rejects a password";
    let mut world = world("");
    for number in 0..TRIES {
        let user = format!("user{number}");
        world.runtime.block_on(async { drop(world.device(&user).with_password(WRONG).folder_sync().await) });
    }
    world.served.leave();
    let log = world.served.log();
    let left_out: usize = log.lines().filter_map(|line| line.split("left_out=").nth(1)?.split(' ').next()?.parse::<usize>().ok()).sum();
    let written = log.matches(LINE).count();
    // Fifty in each window of ten seconds; this takes a few.
    assert!(written < TRIES, "{log}");
    assert_eq!(written + left_out, TRIES, "none is lost without being counted:\n{log}");
}
