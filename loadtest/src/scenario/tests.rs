use super::*;
use crate::scenario::devices::{Kind, WaitsBy};

const LEAST: &str = r#"
[target]
url = "https://127.0.0.1:1"
insecure = true
[devices]
count = 10
[run]
duration_s = 5
"#;

fn plan(more: &str) -> Result<Plan, Vec<String>> {
    Plan::parse("test", &format!("{LEAST}\n{more}"), &[])
}

#[test]
fn the_least_has_a_default_for_everything_else() {
    let plan = plan("").unwrap();
    assert_eq!((plan.target.server_name.as_str(), plan.target.plain, plan.processes()), ("127.0.0.1", false, 1));
    assert_eq!(plan.users.by_pattern(0).unwrap().mailbox, "user1@example.org".into());
    assert_eq!((plan.devices.mix.len(), plan.devices.mix[0].kind, plan.changes.is_none(), plan.limits.len()), (1, Kind::Plain, true, 0));
    assert_eq!(plan.starts_at(9).as_millis(), 90, "100 a second");
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = r#"
        colour = "red"
        [target]
        url = "ftp://x"
        [devices]
        count = 0
        size = 3
        [[devices.mix]]
        kind = "iphone"
        [changes]
        per_second = -1
        [[events]]
        at_s = 1
        what = "rain"
        [run]
        processes = "two"
        [thresholds]
        beauty = "> 3"
        lost = "none"
        wake_p99_ms = "< 1 %"
    "#;
    let problems = Plan::parse("test", text, &["run".into()]).unwrap_err();
    for expected in [
        "colour: is no key of a scenario",
        "target.url: begins with https:// or http://",
        "devices.count: is 1 to 10,000,000",
        "devices.size: is no key of a scenario",
        "devices.mix[0].kind: ",
        "changes.per_second: is a number above 0",
        "changes.webhook: or lmtp, command, lines: one of them at least",
        "events[0].what: ",
        "run.processes: ",
        "run.duration_s: is missing",
        "thresholds.beauty: is no figure",
        "thresholds.lost: begins with <, <=, =, >= or >",
        "thresholds.wake_p99_ms: only errors",
        "--set run: write KEY=VALUE",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "no \"{expected}\" in {problems:#?}");
    }
}

#[test]
fn what_is_set_on_the_command_line_wins() {
    let settings = ["devices.count=7", "target.url=https://127.0.0.1:2", "run.sources=127.0.1.0/24"].map(str::to_owned);
    let plan = Plan::parse("test", LEAST, &settings).unwrap();
    assert_eq!((plan.devices.count, plan.target.address.port()), (7, 2));
    assert!(plan.run.sources.is_some());
    assert!(Plan::parse("test", LEAST, &["run.duration_s.x=1".into()]).is_err());
}

#[test]
fn the_mix_is_kept_in_every_stretch_and_networks_have_devices_of_every_kind() {
    let plan = plan(
        r#"
        [[devices.mix]]
        kind = "ios"
        share = 3
        [[devices.mix]]
        kind = "outlook"
        share = 1
        heartbeat = { fixed_s = 60 }
        [[networks]]
        name = "strict"
        share = 25
        cut_after_s = 300
        how = "rst"
        "#,
    )
    .unwrap();
    for start in [0, 5_000, 123_456] {
        let outlook = (start..start + 100).filter(|&device| plan.devices.mix_of(device) == 1).count();
        assert!((22..=28).contains(&outlook), "{outlook}");
    }
    let behind: Vec<usize> = (0..10_000).filter(|&device| Network::of_device(&plan.networks, device).is_some()).collect();
    let outlook = behind.iter().filter(|&&device| plan.devices.mix_of(device) == 1).count();
    assert!((2_400..2_600).contains(&behind.len()) && (550..700).contains(&outlook), "{} {outlook}", behind.len());
    assert_eq!((plan.devices.mix[1].waits_by, plan.devices.mix[1].behaviour().heartbeat_s), (WaitsBy::Sync, 60));
}

#[test]
fn a_ramp_goes_by_steps_and_its_last_step_goes_on() {
    let plan = plan("[ramp]\nsteps = [{ for_s = 2, per_second = 2 }, { for_s = 1, per_second = 4 }]").unwrap();
    let starts: Vec<u128> = [0, 3, 4, 8, 9].iter().map(|&device| plan.starts_at(device).as_millis()).collect();
    assert_eq!(starts, [0, 1_500, 2_000, 3_000, 3_250]);
    assert!(super::Plan::parse("x", &format!("{LEAST}[ramp]\n"), &[]).unwrap_err()[0].starts_with("ramp.per_second"));
}

#[test]
fn one_change_may_go_to_several_gateways_after_its_mail() {
    let event = "[[events]]\nat_s = 4\nwhat = \"wake_all\"\nmail_before_s = 3\n";
    let lines = "[changes.lines]\nto = \"127.0.0.1:1\"\n";
    let webhook = "[changes.webhook]\nurl = [\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]\ntoken = \"hush\"\n";
    let ways = plan(&format!("{event}{lines}{webhook}")).unwrap().changes.unwrap().ways;
    let [Notify::Lines { .. }, Notify::Webhook { addresses, .. }] = &ways[..] else { panic!("{ways:?}") };
    assert_eq!(addresses.iter().map(|address| address.port()).collect::<Vec<_>>(), [2, 3]);
    // Who delivers mails before has to say when it is time.
    assert_eq!(plan(&format!("{event}{lines}")).unwrap_err().len(), 1);
    assert_eq!(
        plan(&format!("{}{lines}{webhook}", event.replace('3', "4"))).unwrap_err(),
        ["events[0].mail_before_s: is before the beginning"]
    );
    assert!(plan(&webhook.replace("[\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]", "[]")).unwrap_err()[0].ends_with("is an empty list"));
}

#[test]
fn secrets_stay_out_of_the_report() {
    let plan = plan("[users]\npassword = \"hush\"\n[server]\nmetrics = \"http://127.0.0.1:9/metrics\"\ntoken = \"hush\"").unwrap();
    assert!(!plan.text.contains("hush") && plan.text.contains("password = \"...\""), "{}", plan.text);
}

#[test]
fn many_devices_are_spread_over_processes() {
    let mut plan = plan("").unwrap();
    plan.devices.count = 200_000;
    assert_eq!(plan.processes(), 13);
    plan.run.processes = 2;
    assert_eq!(plan.processes(), 12, "a process has room for 18,000");
}

/// Every scenario that comes with the program, with what a user would set.
#[test]
fn the_ready_scenarios_and_the_reference_are_right() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let users = directory.path().join("users.csv");
    std::fs::write(&users, "ann,one\n").unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, pushgate::standin::tls::ThrowAway::new(&["localhost"]).unwrap().certificate_pem).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut settings = vec!["target.url=https://127.0.0.1:8443".to_owned()];
        for (key, file) in [("ca", &ca), ("token_file", &token)] {
            let tables = ["target", "changes.webhook", "server"].iter().filter(|table| uses(&text, table, key));
            settings.extend(tables.map(|table| format!("{table}.{key}={}", file.display())));
        }
        let plan = Plan::read(&path, &settings).unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()));
        assert!(!plan.limits.is_empty(), "{}: a scenario says what is good enough", path.display());
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
}

/// Whether a table of a scenario has that key.
fn uses(text: &str, table: &str, key: &str) -> bool {
    let mut value = &Value::Table(text.parse::<Table>().unwrap());
    for name in table.split('.').chain([key]) {
        let Some(inner) = value.get(name) else { return false };
        value = inner;
    }
    true
}
