//! Every ready scenario, as it is delivered, for a few seconds: it loads, its devices come, and whatever it does to them is done.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushgate-loadtest");

/// A mail server that holds Pings and wakes them by itself, and somebody who is told of mails.
struct Server {
    process: Child,
    address: String,
    control: SocketAddr,
    told: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().expect("the scene");
        let control = TcpListener::bind("127.0.0.1:0").expect("the scene").local_addr().expect("the scene");
        let mut command = Command::new(PROGRAM);
        command.args(["cas", "--like", "other", "--listen", "127.0.0.1:0", "--json", "--control", &control.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the scene");
        let mut lines = BufReader::new(process.stdout.take().expect("the scene")).lines();
        let first: Value = serde_json::from_str(&lines.next().expect("the scene").expect("the scene")).expect("the scene");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        fs::write(folder.path().join("token"), "hush").expect("the scene");
        let address = first["listening"].as_str().expect("the scene").to_owned();
        Server { process, address, control, told: listener(), folder }
    }

    /// Plays a scenario in a short form; code and report.
    fn play(&self, name: &str, shorter: &[&str]) -> (Option<i32>, Value) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("toml");
        let out = self.folder.path().join(name);
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg(file).arg("--out").arg(&out);
        let mut settings =
            vec![format!("target.url=http://{}", self.address), "target.insecure=".into(), "target.ca=".into(), "server=".into()];
        if name != "ramp-to-n" {
            settings.push(format!("changes.lines.to={}", self.control));
            settings.push(format!("changes.webhook.url=http://{}", self.told));
            settings.push(format!("changes.webhook.token_file={}", self.folder.path().join("token").display()));
        }
        for setting in settings.iter().map(String::as_str).chain(shorter.iter().copied()) {
            command.args(["--set", setting]);
        }
        let output = command.output().expect("it runs");
        let report = fs::read_to_string(out.join("report.json")).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), serde_json::from_str(&report).expect("JSON"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("the scene");
        self.process.wait().expect("the scene");
    }
}

/// Takes every notification and does nothing about it.
fn listener() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the scene");
    let address = listener.local_addr().expect("the scene");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut line, mut length) = (String::new(), 0);
                    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                        if let Some((name, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                            length = value.trim().parse().unwrap_or_else(|_| panic!("{name} is no number"));
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if length == 0 || reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    let answer = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"accepted\":1,\"woken\":1}  ";
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn labels(report: &Value) -> Vec<&str> {
    report["marks"].as_array().expect("marks").iter().filter_map(|mark| mark["label"].as_str()).collect()
}

#[test]
fn ramp_to_n_brings_everybody() {
    let server = Server::start();
    let ramp = "ramp={ steps = [{ for_s = 1, per_second = 10 }, { for_s = 1, per_second = 20 }] }";
    let (code, report) = server.play("ramp-to-n", &["devices.count=30", ramp, "run.duration_s=6"]);
    assert_eq!((code, &report["totals"]["held_once"]), (Some(0), &Value::from(30)), "{report}");
}

#[test]
fn wake_all_waits_until_everybody_is_held_and_wakes_them_twice() {
    let server = Server::start();
    // This server tells of a mail as soon as it is there, and does not wait for word of it: none comes before.
    let events = r#"events=[{ held_s = 2, what = "wake_all" }, { held_s = 2, what = "wake_all" }]"#;
    let (code, report) = server.play("wake-all", &["devices.count=30", "ramp.per_second=30", events]);
    assert_eq!(labels(&report), ["steady", "wake all", "wake all"], "{report}");
    assert!(report["totals"]["lost"] == 0 && code == Some(0), "{code:?} {report}");
    assert!(report["seconds"].as_f64().is_some_and(|seconds| seconds < 120.0), "it ends when everybody is held again");
}

#[test]
fn after_the_storm_everybody_is_held() {
    let server = Server::start();
    let event = r#"events=[{ at_s = 3, what = "storm", within_s = 0.1 }]"#;
    let shorter = ["devices.count=30", "ramp.per_second=30", event, "run.duration_s=10", "changes.per_second=2"];
    let (_, report) = server.play("storm", &shorter);
    assert_eq!(labels(&report), ["steady", "storm"]);
    let totals = &report["totals"];
    assert_eq!((&totals["held_once"], &totals["lost"]), (&Value::from(30), &Value::from(0)), "{report}");
    assert!(totals["connections"].as_u64() >= Some(60), "{report}");
}

#[test]
fn a_day_has_devices_of_every_kind_and_mails_for_them() {
    let server = Server::start();
    let ramp = "ramp={ per_second = 20 }";
    let (_, report) = server.play("day", &["devices.count=40", ramp, "run.duration_s=12", "changes.per_device_hour=600"]);
    let totals = &report["totals"];
    assert_eq!((&totals["held_once"], &totals["lost"]), (&Value::from(40), &Value::from(0)), "{report}");
    assert!(totals["wakes"].as_u64() > Some(5), "{report}");
}

#[test]
fn carriers_cut_connections_and_nothing_is_lost() {
    let server = Server::start();
    let networks = r#"networks=[{ name = "silently", share = 20, cut_after_s = 2, how = "silent" }, { name = "by reset", share = 40, cut_after_s = 3, how = "rst" }]"#;
    let (_, report) = server.play("carriers", &["devices.count=40", networks, "run.duration_s=15", "changes.per_second=4"]);
    let totals = &report["totals"];
    assert_eq!((&totals["held_once"], &totals["lost"]), (&Value::from(40), &Value::from(0)), "{report}");
    assert!(totals["errors"]["broken"].as_u64() > Some(0), "{report}");
}
