//! What a file and the environment come to.

use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    Config::parse(text, environment.iter().map(|(k, v)| (k.to_string(), v.to_string())))
}

#[test]
fn an_empty_file_is_the_documented_default() {
    let empty = parse("", &[]).expect("defaults are valid");
    let reference = parse(&reference_toml(), &[]).expect("the reference is valid");
    assert_eq!(format!("{empty:?}"), format!("{reference:?}"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "[ping]\nheartbeat_min_s = 900\nheartbeat_max_s = 60\nfolder_max = 3\n[tsl]\nx = 1\n[backend]\nurl = [\"ftp://x\"]\nkind = \"cyrus\"\n";
    let problems = parse(text, &[("PUSHGATE_PING__NOPE", "1")]).expect_err("five mistakes");
    let places: Vec<_> = problems.iter().map(|p| p.place.as_str()).collect();
    for place in ["ping.heartbeat_min_s", "ping.folder_max", "tsl", "backend.url", "backend.kind", "PUSHGATE_PING__NOPE"] {
        assert!(places.contains(&place), "{place} missing in {places:?}");
    }
    assert!(problems.iter().any(|p| p.message.contains("did you mean \"folders_max\"")), "{problems:?}");
}

#[test]
fn the_environment_wins_over_the_file() {
    let config =
        parse("[ping]\nfolders_max = 5\n", &[("PUSHGATE_PING__FOLDERS_MAX", "7"), ("PUSHGATE_LISTEN__ADDRESS", "127.0.0.1:1,127.0.0.1:2")]);
    let config = config.expect("valid");
    assert_eq!((config.ping.folders_max, config.listen.address.len()), (7, 2));
}

#[test]
fn the_kind_sets_check_heartbeat_and_rates_unless_they_were_written() {
    let heartbeat = |text| parse(text, &[]).expect("valid").backend.check_heartbeat_s;
    assert_eq!(heartbeat("[backend]\nkind = \"sogo\"\n"), 10);
    assert_eq!(heartbeat("[backend]\nkind = \"z-push\"\n"), 1);
    assert_eq!(heartbeat("[backend]\nkind = \"sogo\"\ncheck_heartbeat_s = 15\n"), 15);
    let per_s = |text| parse(text, &[]).expect("valid").backend.requests_per_s;
    assert_eq!(per_s(""), 0);
    assert_eq!(per_s("[backend]\nkind = \"sogo\"\nurl = [\"http://a\", \"http://b\"]\n"), 400);
    assert_eq!(per_s("[backend]\nkind = \"sogo\"\nrequests_per_s = 50\n"), 50);
    let resolve_per_s = |text| parse(text, &[]).expect("valid").backend.resolve_per_s;
    assert_eq!((resolve_per_s(""), resolve_per_s("[backend]\nkind = \"sogo\"\n")), (20, 50));
    assert_eq!(resolve_per_s("[backend]\nkind = \"sogo\"\nresolve_per_s = 20\n"), 20);
}

#[test]
fn the_checked_in_reference_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/reference.toml");
    if std::env::var_os("PUSHGATE_BLESS").is_some() {
        std::fs::write(&path, reference_toml()).expect("written");
    }
    let checked_in = std::fs::read_to_string(&path).expect("deploy/reference.toml");
    assert_eq!(checked_in, reference_toml(), "run PUSHGATE_BLESS=1 cargo test --lib reference");
}

#[test]
fn a_password_in_a_backends_url_is_refused_and_not_repeated() {
    for url in ["https://u:hush@cas.example.org", "https://u:hush@cas.example.org/SOGo", "u:hush@cas"] {
        let problems = Config::parse(&format!("[backend]\nurl = [\"{url}\"]\n"), std::iter::empty()).expect_err("refused");
        assert!(problems.iter().any(|problem| problem.place == "backend.url"), "{problems:?}");
        assert!(!format!("{problems:?}").contains("hush"), "{problems:?}");
    }
}
