//! `pushgate-loadtest run` as its user runs it, against the stand-in mail server of the same program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use pushgate::standin::tls::ThrowAway;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushgate-loadtest");

/// A mail server of its own, over TLS; it ends with the test.
struct Server {
    process: Child,
    address: String,
    control: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start() -> Server {
        Server::start_with(&[])
    }

    /// `more`: arguments beside those that all have.
    fn start_with(more: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("the scene");
        let made = ThrowAway::new(&["localhost"]).expect("the scene");
        let (ca, key) = (folder.path().join("ca.pem"), folder.path().join("key.pem"));
        fs::write(&ca, &made.certificate_pem).expect("the scene");
        fs::write(&key, &made.key_pem).expect("the scene");
        // Free a moment ago; nobody else on the machine takes the next one that the system gives.
        let control = TcpListener::bind("127.0.0.1:0").expect("the scene").local_addr().expect("the scene");
        let mut command = Command::new(PROGRAM);
        command.args(["cas", "--like", "other", "--listen", "127.0.0.1:0", "--json", "--control", &control.to_string()]);
        command.arg("--cert").arg(&ca).arg("--key").arg(&key).args(more);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the scene");
        let mut lines = BufReader::new(process.stdout.take().expect("the scene")).lines();
        let first: Value = serde_json::from_str(&lines.next().expect("the scene").expect("the scene")).expect("the scene");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = first["listening"].as_str().expect("the scene").to_owned();
        Server { process, address, control, folder }
    }

    /// Runs a scenario; `more` is appended to what all of them have.
    fn run(&self, more: &str, arguments: &[&str]) -> Output {
        let scenario = self.folder.path().join("scenario.toml");
        let text = format!(
            r#"
            [target]
            url = "https://{}"
            server_name = "localhost"
            ca = "{}"
            [changes.lines]
            to = "{}"
            {more}
            "#,
            self.address,
            self.folder.path().join("ca.pem").display(),
            self.control,
        );
        fs::write(&scenario, text).expect("the scene");
        let out = self.folder.path().join("out");
        Command::new(PROGRAM).arg("run").arg(scenario).arg("--out").arg(out).args(arguments).output().expect("the scene")
    }

    fn report(&self) -> Value {
        read(&self.folder.path().join("out/report.json"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("the scene");
        self.process.wait().expect("the scene");
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("the scene")).expect("the scene")
}

#[test]
fn devices_of_every_kind_are_held_and_woken_through_a_storm_and_nothing_is_lost() {
    let server = Server::start();
    let more = r#"
        [devices]
        count = 60
        [[devices.mix]]
        kind = "ios"
        [[devices.mix]]
        kind = "android-old"
        [[devices.mix]]
        kind = "windows-mobile"
        [[devices.mix]]
        kind = "outlook"
        [ramp]
        per_second = 60
        [changes]
        per_second = 40
        [[networks]]
        name = "short"
        share = 10
        cut_after_s = 1.5
        how = "rst"
        [[events]]
        at_s = 2
        what = "wake_all"
        [[events]]
        at_s = 3.5
        what = "storm"
        [run]
        duration_s = 7
        sources = "127.0.1.0/24"
        [thresholds]
        held_once = "= 60"
        lost = "= 0"
        wakes = ">= 60"
        wake_p50_ms = "< 5000"
    "#;
    let output = server.run(more, &["--processes", "2"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report = server.report();
    assert_eq!((&report["processes"], &report["ended"]), (&2.into(), &"completed".into()));
    let totals = &report["totals"];
    assert!(totals["connections"].as_u64().unwrap() >= 110, "everybody came twice: {totals}");
    assert!(totals["changes"].as_u64().unwrap() >= 200, "{totals}");
    let labels: Vec<_> = report["marks"].as_array().unwrap().iter().map(|mark| mark["label"].clone()).collect();
    assert_eq!(labels, ["steady", "wake all", "storm"]);
    for (kind, count) in totals["errors"].as_object().unwrap() {
        assert_eq!(kind, "broken", "only the network breaks connections: {count}");
    }
}

#[test]
fn a_threshold_that_is_not_kept_is_exit_status_1() {
    let server = Server::start();
    let more = "[devices]\ncount = 5\n[ramp]\nper_second = 50\n[changes]\nper_second = 20\n[run]\nduration_s = 2\n\
                [thresholds]\nwake_p99_ms = \"< 0.001\"\nlost = \"= 0\"";
    let output = server.run(more, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("✗ MISSED  wake_p99_ms < 0.001") && said.contains("✓ kept    lost = 0"), "{said}");
    let thresholds = &server.report()["thresholds"];
    assert_eq!((&thresholds[0]["kept"], &thresholds[1]["kept"]), (&true.into(), &false.into()), "{thresholds}");
}

#[test]
fn a_change_that_nobody_hears_of_is_lost_however_short_the_run() {
    let server = Server::start();
    let nowhere = server.folder.path().join("nowhere");
    fs::write(&nowhere, "").unwrap();
    let more = "[devices]\ncount = 5\n[ramp]\nper_second = 50\n[changes]\nper_second = 20\n[run]\nduration_s = 2\nlost_after_s = 3\n\
                [thresholds]\nheld_once = \"= 5\"\nlost = \"= 0\"";
    let output = server.run(more, &["--set", &format!("changes.lines.to={}", nowhere.display())]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("✓ kept    held_once = 5") && said.contains("✗ MISSED  lost = 0"), "{said}");
    let report = server.report();
    let totals = &report["totals"];
    assert!(totals["changes"].as_u64().unwrap() > 0 && totals["lost"] == totals["changes"], "{totals}");
    let text = report["scenario"]["text"].as_str().unwrap();
    assert!(text.contains("#   --set changes.lines.to=") && text.contains("lost_after_s = 3"), "{text}");
}

#[test]
fn a_program_makes_the_changes_and_one_that_fails_is_counted() {
    let server = Server::start();
    // Delivers as a script of an operator would, and fails unless the answer is "ok".
    let deliver = "exec 3<>/dev/tcp/127.0.0.1/$1; echo deliver $2 Inbox >&3; read -r answer <&3; [ $answer = ok ]";
    let run = |port: u16| {
        let changes =
            format!("changes={{ per_second = 10, command = {{ words = ['bash', '-c', '{deliver}', 'deliver', '{port}', '{{user}}'] }} }}");
        let more = "[devices]\ncount = 5\n[ramp]\nper_second = 50\n[run]\nduration_s = 2\nlost_after_s = 2\n\
                    [thresholds]\nwakes = \"> 0\"\nlost = \"= 0\"\nerrors = \"= 0\"";
        let output = server.run(more, &["--set", &changes]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), server.report()["totals"].clone())
    };
    let (code, said, _) = run(server.control.port());
    assert_eq!(code, Some(0), "{said}");
    let (code, said, totals) = run(1);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!((&totals["lost"], &totals["errors"]["change"]), (&totals["changes"], &totals["changes"]), "{totals}");
    assert!(totals["first_error"].as_str().unwrap().contains("bash ended with exit status"), "{totals}");
}

#[test]
fn devices_of_every_kind_take_the_policy_that_the_server_wants() {
    let server = Server::start_with(&["--policy"]);
    let more = r#"
        [devices]
        count = 12
        [[devices.mix]]
        kind = "ios"
        [[devices.mix]]
        kind = "android-old"
        [[devices.mix]]
        kind = "windows-mobile"
        [[devices.mix]]
        kind = "outlook"
        [changes]
        per_second = 10
        [run]
        duration_s = 6
        [thresholds]
        held_once = "= 100 %"
        wakes = "> 0"
        lost = "= 0"
        errors = "= 0"
    "#;
    let output = server.run(more, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn a_wrong_scenario_is_exit_status_2_and_says_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("wrong.toml");
    fs::write(&scenario, "[target]\nurl = \"x\"\n[devices]\ncount = 0\nhue = 1\n").unwrap();
    let output = Command::new(PROGRAM).arg("run").arg(scenario).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in ["target.url", "devices.count", "devices.hue", "run: is missing"] {
        assert!(said.contains(expected), "no {expected}: {said}");
    }
}

#[test]
fn ctrl_c_ends_a_run_with_its_report() {
    let server = Server::start();
    let more = "[devices]\ncount = 5\n[run]\nduration_s = 600\n[thresholds]\nheld_once = \"= 5\"";
    let scenario = server.folder.path().join("scenario.toml");
    // Written, and refused: a run of its own is started below, to be interrupted.
    assert_eq!(server.run(more, &["--set", "run.duration_s=0"]).status.code(), Some(2));
    let out = server.folder.path().join("out");
    let mut running = Command::new(PROGRAM);
    running.arg("run").arg(scenario).arg("--out").arg(&out).stdout(Stdio::piped());
    let mut running = running.spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("held 5")), "it says where it stands");
    let killed = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(running.wait().unwrap().code(), Some(0), "{rest:?}");
    assert_eq!(server.report()["ended"], "interrupted");
}
