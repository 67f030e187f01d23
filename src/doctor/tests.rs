//! Real files and wrong ones.

use super::*;

fn needs() -> Needs {
    Needs {
        heartbeat_max: Duration::from_secs(3_540),
        check_heartbeat: Duration::from_secs(10),
        checks_max: 4,
        backend_connections_max: 256,
        connections_max: 100_000,
        backlog: 4_096,
        leaves_within: Duration::from_secs(25),
        own_ports: vec![8_443, 8_080],
    }
}

/// Setting, value and verdict of everything found.
fn found(text: &str) -> Vec<(String, String, Verdict)> {
    let findings = examine(text, &needs()).expect("a known kind");
    findings.into_iter().map(|finding| (finding.setting, finding.value, finding.verdict)).collect()
}

fn verdicts(text: &str) -> Vec<(String, Verdict)> {
    found(text).into_iter().map(|(setting, _, verdict)| (setting, verdict)).collect()
}

fn is(setting: &str, verdict: Verdict) -> (String, Verdict) {
    (setting.to_owned(), verdict)
}

const NGINX: &str = include_str!("examples/nginx.conf");
const NGINX_SITE: &str = include_str!("examples/nginx-site.conf");
const HAPROXY: &str = include_str!("examples/haproxy.cfg");
const APACHE: &str = include_str!("examples/apache-sogo.conf");
const SOGO: &str = include_str!("examples/sogo.conf");

#[test]
fn kinds_are_known_by_what_is_in_them() {
    let kinds = [NGINX, NGINX_SITE, HAPROXY, APACHE, SOGO].map(|text| Kind::of(text).expect("known"));
    assert_eq!(kinds, [Kind::Nginx, Kind::Nginx, Kind::Haproxy, Kind::Apache, Kind::Sogo]);
    let braces = "defaults\n  timeout server 50s\nfrontend a\n  use_backend eas if { path_beg /Microsoft-Server-ActiveSync }\nbackend eas\n  \
        http-response set-header Strict-Transport-Security \"max-age=1;\"\n  server s 127.0.0.1:8443\n";
    assert_eq!(Kind::of(braces), Some(Kind::Haproxy));
    assert!(verdicts(braces).contains(&is("timeout server", Verdict::Cuts)), "{:?}", verdicts(braces));
    assert_eq!(Kind::of("[Unit]\n[Service]\nType=simple\n"), Some(Kind::Unit));
    for text in ["", "hello\nworld\n", "# nginx\n", "\u{0}\u{1}"] {
        assert_eq!(Kind::of(text), None, "{text:?}");
    }
}

#[test]
fn debians_nginx_passes_nothing_on_and_says_where_to_look() {
    assert_eq!(
        found(NGINX),
        [(
            "include".to_owned(),
            "/etc/nginx/modules-enabled/*.conf /etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/*".to_owned(),
            Verdict::Look
        )]
    );
}

#[test]
fn nginx_with_its_default_of_a_minute_cuts_and_an_hour_does_not() {
    let site = |lines: &str| {
        format!("server {{ listen 443 ssl; location / {{ {lines} proxy_pass https://127.0.0.1:8443; }} client_max_body_size 50m; }}")
    };
    assert_eq!(found(&site("")), [("proxy_read_timeout".to_owned(), "60 s (default)".to_owned(), Verdict::Cuts)]);
    for (written, verdict) in [
        ("3600s", Verdict::Fine),
        ("1h", Verdict::Fine),
        ("\"59m 30s\"", Verdict::Fine),
        ("3569", Verdict::Cuts),
        ("15m", Verdict::Cuts),
        ("3600000ms", Verdict::Fine),
        ("$time", Verdict::Look),
    ] {
        assert_eq!(verdicts(&site(&format!("proxy_read_timeout {written};"))), [is("proxy_read_timeout", verdict)], "{written}");
    }
}

#[test]
fn what_is_written_outside_holds_inside_and_what_is_written_inside_wins() {
    let text = "http { proxy_read_timeout 1h; client_max_body_size 0; server { location / { proxy_pass http://127.0.0.1:8080; } } server { proxy_read_timeout 1m; location / { proxy_pass http://127.0.0.1:8080; } } }";
    assert_eq!(verdicts(text), [is("proxy_read_timeout", Verdict::Fine), is("proxy_read_timeout", Verdict::Cuts)]);
}

#[test]
fn the_location_for_activesync_is_the_one_that_counts() {
    let found = found(NGINX_SITE);
    assert_eq!(
        found.iter().map(|(setting, value, verdict)| (setting.as_str(), value.as_str(), *verdict)).collect::<Vec<_>>(),
        [("proxy_read_timeout", "3600s", Verdict::Fine),]
    );
}

#[test]
fn behind_the_gateway_a_minute_is_enough_for_a_check() {
    let text = "server { client_max_body_size 50m; location /Microsoft-Server-ActiveSync { proxy_pass http://127.0.0.1:20000/SOGo/Microsoft-Server-ActiveSync; } }";
    assert_eq!(verdicts(text), [is("proxy_read_timeout", Verdict::Fine)]);
    let php = "location ~ /Microsoft-Server-ActiveSync { fastcgi_pass unix:/run/php/php-fpm.sock; fastcgi_read_timeout 20s; client_max_body_size 50m; }";
    assert_eq!(verdicts(php), [is("fastcgi_read_timeout", Verdict::Cuts)]);
}

#[test]
fn streams_have_a_timeout_of_their_own_and_small_bodies_are_said() {
    let stream = "stream { server { listen 443; proxy_pass 127.0.0.1:8443; } }";
    assert_eq!(found(stream), [("proxy_timeout".to_owned(), "600 s (default)".to_owned(), Verdict::Cuts)]);
    let small = "server { location / { proxy_pass http://127.0.0.1:8080; proxy_read_timeout 1h; } }";
    assert_eq!(verdicts(small), [is("proxy_read_timeout", Verdict::Fine), is("client_max_body_size", Verdict::Look)]);
}

#[test]
fn comments_quotes_and_variables_do_not_mislead() {
    let text = "server { # proxy_read_timeout 1h; }\n set $a \"proxy_read_timeout 1h; }\"; client_max_body_size 1g;\n location / { proxy_set_header X ${a}b; proxy_pass http://127.0.0.1:8080; } }";
    assert_eq!(verdicts(text), [is("proxy_read_timeout", Verdict::Cuts)]);
}

#[test]
fn debians_haproxy_counts_milliseconds() {
    let text = format!("{HAPROXY}\nfrontend eas\n  bind :443\n  default_backend gate\nbackend gate\n  server one 192.0.2.1:8443 check\n");
    assert_eq!(found(&text), [("timeout server".to_owned(), "50000 (ms)".to_owned(), Verdict::Cuts)]);
    // An hour in seconds, by somebody who did not know.
    let wrong = text.replace("timeout server  50000", "timeout server  3600");
    assert_eq!(verdicts(&wrong), [is("timeout server", Verdict::Cuts)]);
    let right = text.replace("timeout server  50000", "timeout server  1h");
    assert_eq!(verdicts(&right), [is("timeout server", Verdict::Fine)]);
}

#[test]
fn in_tcp_mode_the_tunnel_counts_and_else_both_sides_should_be_long() {
    let with = |lines: &str| format!("listen eas\n  bind :443\n  mode tcp\n{lines}  server one 192.0.2.1:8443 send-proxy\n");
    assert_eq!(verdicts(&with("  timeout server 1m\n  timeout client 1m\n  timeout tunnel 1h\n")), [is("timeout tunnel", Verdict::Fine)]);
    assert_eq!(
        verdicts(&with("  timeout server 1h\n  timeout client 1m\n")),
        [is("timeout server", Verdict::Fine), is("timeout client", Verdict::Look)]
    );
    assert_eq!(verdicts(&with("")), [is("timeout server", Verdict::Look)], "none is for ever");
}

#[test]
fn sections_inherit_from_the_defaults_they_name() {
    let text = "defaults long\n mode http\n timeout server 1h\ndefaults short\n mode http\n timeout server 10s\nbackend a from long\n server x 127.0.0.1:8080\nbackend b\n server x 127.0.0.1:8080\n";
    assert_eq!(verdicts(text), [is("timeout server", Verdict::Fine), is("timeout server", Verdict::Cuts)]);
}

#[test]
fn the_apache_that_sogo_recommends_stands_behind_and_is_fine() {
    assert_eq!(found(APACHE), [("timeout=".to_owned(), "360".to_owned(), Verdict::Fine)]);
}

#[test]
fn apache_in_front_cuts_by_the_innermost_of_three_settings() {
    let host = |lines: &str| format!("Timeout 300\n<VirtualHost *:443>\n{lines}\n</VirtualHost>\n");
    let pass = "ProxyPass / https://127.0.0.1:8443/";
    assert_eq!(found(&host(pass)), [("Timeout".to_owned(), "300".to_owned(), Verdict::Cuts)]);
    assert_eq!(verdicts(&host(&format!("ProxyTimeout 3600\n{pass}"))), [is("ProxyTimeout", Verdict::Fine)]);
    assert_eq!(verdicts(&host(&format!("ProxyTimeout 3600\n{pass} \\\n  timeout=60"))), [is("timeout=", Verdict::Cuts)]);
    let location = "<Location /Microsoft-Server-ActiveSync>\nProxyPass https://127.0.0.1:8443/Microsoft-Server-ActiveSync timeout=1h\n</Location>\nProxyPass / http://127.0.0.1:99/";
    assert_eq!(verdicts(&host(location)), [is("timeout=", Verdict::Fine)]);
    assert_eq!(verdicts("ServerName x\nProxyPass / https://127.0.0.1:8443/\n"), [is("Timeout", Verdict::Cuts)]);
    assert_eq!(
        verdicts("ServerName x\nIncludeOptional sites-enabled/*.conf\nRequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500\n"),
        [is("RequestReadTimeout", Verdict::Look), is("include", Verdict::Look)]
    );
}

#[test]
fn sogos_watchdog_counts_minutes() {
    let verdict = |text: &str, setting: &str| verdicts(text).into_iter().find(|(found, _)| found == setting).expect("there").1;
    assert_eq!(verdict(SOGO, "SOGoMaximumPingInterval"), Verdict::Fine, "its ten seconds are what a check takes");
    assert_eq!(verdict(SOGO, "WOWatchDogRequestTimeout"), Verdict::Fine);
    assert_eq!(verdict(SOGO, "WOWorkersCount"), Verdict::Look);
    let long = "{ SOGoMaximumPingInterval = 3540;\n SOGoMaximumSyncInterval = 3540;\n WOWorkersCount = 50;\n}";
    assert_eq!(verdict(long, "WOWatchDogRequestTimeout"), Verdict::Cuts, "ten minutes");
    assert_eq!(verdict(&long.replace('{', "{\n WOWatchDogRequestTimeout = 60;"), "WOWatchDogRequestTimeout"), Verdict::Fine);
    assert_eq!(verdict("SOGoMaximumPingInterval=5\n", "SOGoMaximumPingInterval"), Verdict::Cuts);
}

#[test]
fn a_unit_must_allow_the_files_and_the_time_to_leave() {
    let unit = "[Unit]\nDescription=x\n[Service]\nType=notify-reload\nLimitNOFILE=1048576\nTimeoutStopSec=60\n";
    assert!(verdicts(unit).iter().all(|(_, verdict)| *verdict == Verdict::Fine));
    let bad = "[Service]\nTimeoutStopSec=5s\nLimitNOFILE=1024:4096\n";
    assert_eq!(verdicts(bad), [is("LimitNOFILE", Verdict::Look), is("TimeoutStopSec", Verdict::Cuts), is("Type", Verdict::Look)]);
}

#[test]
fn a_machine_is_looked_at_and_what_cannot_be_read_is_left_out() {
    assert!(host::examine(&host::Facts::default(), &needs()).is_empty());
    let small = host::Facts {
        open_files: Some(1_024),
        somaxconn: Some(128),
        local_ports: Some((60_000, 60_100)),
        conntrack_s: Some(600),
        ..host::Facts::default()
    };
    let findings = host::examine(&small, &needs());
    let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Look, Verdict::Look, Verdict::Look, Verdict::Cuts]);
    let large = host::Facts { open_files: Some(1 << 20), somaxconn: Some(4_096), conntrack_s: Some(432_000), ..host::Facts::default() };
    assert!(host::examine(&large, &needs()).iter().all(|finding| finding.verdict == Verdict::Fine));
}

/// What the project itself recommends.
#[test]
fn our_own_recipes_cut_nothing() {
    let needs = Needs { own_ports: vec![443, 8_080], connections_max: 1_100_000, ..needs() };
    for text in [
        include_str!("../../deploy/recipes/nginx-http.conf"),
        include_str!("../../deploy/recipes/nginx-stream.conf"),
        include_str!("../../deploy/recipes/haproxy-http.cfg"),
        include_str!("../../deploy/recipes/haproxy-tcp.cfg"),
        include_str!("../../deploy/systemd/pushgate.service"),
    ] {
        let findings = examine(text, &needs).expect("known");
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Fine), "{findings:?}");
        let shorter = text.replace("61m", "10m").replace("TimeoutStopSec=60", "TimeoutStopSec=6");
        assert!(examine(&shorter, &needs).expect("known").iter().any(|finding| finding.verdict == Verdict::Cuts), "{shorter}");
    }
}

#[test]
fn an_upstream_stands_where_its_servers_do() {
    let text = "http { upstream gate { server 127.0.0.1:8080; } upstream mail { server 127.0.0.1:20000; } client_max_body_size 0; server { location /a { proxy_pass http://gate; } location /b { proxy_pass http://mail; } } }";
    assert_eq!(verdicts(text), [is("proxy_read_timeout", Verdict::Cuts), is("proxy_read_timeout", Verdict::Fine)]);
}

/// An hour, as long as nothing says that it is behind.
#[test]
fn where_a_target_is_unknown_it_may_be_in_front() {
    for target in ["https://127.0.0.1:8443$request_uri", "http://pushgate", "http://$gate", "http://$gate/x"] {
        let text = format!("http {{ client_max_body_size 0; server {{ location / {{ proxy_pass {target}; }} }} }}");
        assert_eq!(verdicts(&text), [is("proxy_read_timeout", Verdict::Cuts)], "{target}");
    }
    for target in ["http://localhost:20000", "http://mail.example.org", "http://[::1]:20000"] {
        let text = format!("http {{ client_max_body_size 0; server {{ location / {{ proxy_pass {target}; }} }} }}");
        assert_eq!(verdicts(&text), [is("proxy_read_timeout", Verdict::Fine)], "{target}");
    }
}

#[test]
fn each_program_reads_its_times_in_its_own_way() {
    let apache = |line: &str| verdicts(&format!("{line}\nProxyPass /Microsoft-Server-ActiveSync http://127.0.0.1:8080/\n"));
    assert_eq!(apache("Timeout 1h"), [is("Timeout", Verdict::Cuts)], "one second");
    assert_eq!(apache("Timeout 3600"), [is("Timeout", Verdict::Fine)]);
    assert_eq!(apache("ProxyTimeout 60mi"), [is("ProxyTimeout", Verdict::Fine)]);
    let unit = |line: &str| verdicts(&format!("[Service]\nType=notify\nLimitNOFILE=infinity\nTimeoutStopSec=60\n{line}\n"));
    assert_eq!(unit("TimeoutSec=5s")[1], is("TimeoutStopSec", Verdict::Cuts), "it sets both");
    assert_eq!(unit("TimeoutStopSec=0")[1], is("TimeoutStopSec", Verdict::Fine), "never");
}

/// Whatever a file says, the doctor only reads it.
#[test]
fn broken_files_are_read_as_far_as_they_go() {
    let deep = "a {".repeat(10_000);
    for text in [
        &deep,
        "server { location / { proxy_pass http://x",
        "}}}};",
        "defaults\n timeout server",
        "<VirtualHost",
        "</x>\nServerName a\n\\",
        "\"",
        "location ~ ^/(a|b){2}$ { proxy_pass http://127.0.0.1:8080; }",
    ] {
        for kind in [nginx::examine, haproxy::examine, apache::examine, sogo::examine, unit::examine] {
            kind(text, &needs());
        }
    }
}
