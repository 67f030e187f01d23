//! `pushgate check`: every problem of a configuration at once, and of the files it names. Opens no socket, writes nothing.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::arguments::Check;
use super::{Failure, Outcome, chain, load, say, wrong};
use crate::admin::token;
use crate::config::{Canary, CanaryWay, Config, LmtpAddress, MailWay, Problem, Resolve};
use crate::logic::eas::{Class, ClassSet};

/// Reports problems (exit code 2), or what a gateway with this configuration would do, and which hops would not let it (exit code 1).
pub fn run(arguments: &Check) -> Outcome {
    if arguments.limits {
        return say(&super::limits::report(&arguments.config)?);
    }
    let report = check(&arguments.config)?;
    if !arguments.json {
        say(&report)?;
    }
    chain::run(&load(&arguments.config)?, &arguments.with, arguments.json)
}

fn check(path: &Path) -> Result<String, Failure> {
    let config = load(path)?;
    let problems = file_problems(&config);
    if problems.is_empty() { Ok(summary(path, &config)) } else { Err(wrong(path, &problems)) }
}

/// Problems of the files that the configuration names.
fn file_problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |place: &str, checked: Result<(), String>| {
        if let Err(message) = checked {
            problems.push(Problem { place: place.to_owned(), message });
        }
    };
    if needs_certificate(config) {
        for (index, (chain, key)) in config.tls.certificates.iter().enumerate() {
            check(if index == 0 { "tls.certificate" } else { "tls.more_certificates" }, pair(chain, key));
        }
    }
    if let Some(ca) = &config.tls.client_ca {
        check("tls.client_ca", authorities(ca));
    }
    if let Some(ca) = &config.backend.ca {
        check("backend.ca", authorities(ca));
    }
    if let Some(ca) = config.directory.as_ref().and_then(|directory| directory.ca.as_ref()) {
        check("directory.ca", authorities(ca));
    }
    if let Some(ca) = &config.store.ca {
        check("store.ca", authorities(ca));
    }
    if let Some(canary) = &config.notify.canary {
        match &canary.way {
            CanaryWay::Lmtp(address) => check("notify.canary.lmtp", reachable(address)),
            CanaryWay::Command(words) => check("notify.canary.command", program(words.first().map_or("", String::as_str))),
        }
    }
    match config.mail.as_ref().map(|mail| &mail.way) {
        Some(MailWay::Lmtp(address)) => check("mail.server", reachable(address)),
        Some(MailWay::Command(words)) => check("mail.command", program(words.first().map_or("", String::as_str))),
        _ => {}
    }
    check("internal.token_file", token_file(&config.internal.token_file));
    problems
}

/// With TLS ended by a balancer and the internal address on loopback no certificate is used.
fn needs_certificate(config: &Config) -> bool {
    !config.listen.address.is_empty() || !config.internal.address.ip().is_loopback()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Err(error) => Err(format!("{} cannot be read as PEM: {error}", path.display())),
        Ok(list) if list.is_empty() => Err(format!("{} holds no certificate (PEM)", path.display())),
        Ok(list) => Ok(list),
    }
}

/// A chain and a key that can be read and belong together.
fn pair(chain: &Path, key: &Path) -> Result<(), String> {
    let certificates = certificates(chain);
    // Both files are looked at even if the first is bad: the operator sees both mistakes at once.
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{} cannot be read as a private key (PEM): {error}", key.display()));
    let (certificates, private) = match (certificates, private) {
        (Ok(certificates), Ok(private)) => (certificates, private),
        (Err(one), Err(other)) => return Err(format!("{one}; {other}")),
        (Err(one), _) | (_, Err(one)) => return Err(one),
    };
    let checked = CertifiedKey::from_der(certificates, private, &default_provider());
    checked.map(drop).map_err(|error| format!("{} and {} cannot be used together: {error}", chain.display(), key.display()))
}

fn authorities(path: &Path) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| format!("{} holds a certificate that is no authority's: {error}", path.display()))?;
    }
    Ok(())
}

/// A socket file that is there; nobody is called.
fn socket(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => Err(format!("{} is no socket", path.display())),
        Err(error) => Err(format!("{} cannot be used: {error}", path.display())),
    }
}

/// Nobody is called over the network.
fn reachable(address: &LmtpAddress) -> Result<(), String> {
    match address {
        LmtpAddress::Unix(path) => socket(path),
        LmtpAddress::Tcp(..) => Ok(()),
    }
}

/// A program that may be run, by its path or found as the system would.
fn program(name: &str) -> Result<(), String> {
    let may_run = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let is_there = if name.contains('/') {
        may_run(Path::new(name))
    } else {
        !name.is_empty() && std::env::split_paths(&search).any(|folder| may_run(&folder.join(name)))
    };
    if is_there { Ok(()) } else { Err(format!("\"{name}\" is no program that can be run")) }
}

/// A token that can be read, or a place where one can be made.
fn token_file(path: &Path) -> Result<(), String> {
    if token::load(path).map_err(|error| error.to_string())?.is_some() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() { Ok(()) } else { Err(format!("cannot be made: there is no folder {}", folder.display())) }
}

/// What a gateway with this configuration would do.
fn summary(path: &Path, config: &Config) -> String {
    let mut lines = vec![format!("{} is in order. A gateway with it", path.display())];
    if !config.listen.address.is_empty() {
        lines.push(format!("takes devices over HTTPS on {}", join(&config.listen.address)));
    }
    if !config.listen.plain_address.is_empty() {
        let from = join(&config.listen.trusted_proxies);
        lines.push(format!("takes plain HTTP on {} from {from}", join(&config.listen.plain_address)));
    }
    let doubt = match config.backend.resolve {
        Resolve::Sync => "letting the device Sync".to_owned(),
        Resolve::Check => format!("a check of {} s", config.backend.check_heartbeat_s),
    };
    lines.push(format!("forwards to {}, and clears doubt by {doubt}", join(&config.backend.url)));
    lines.push(format!("accepts heartbeats of {} to {} s", config.ping.heartbeat_min_s, config.ping.heartbeat_max_s));
    for (source, covers) in [("the webhook", config.notify.webhook), ("Dovecot", config.notify.dovecot)] {
        if let Some(covers) = covers {
            lines.push(format!("believes {source} for {}", classes(covers)));
        }
    }
    if let Some(canary) = &config.notify.canary {
        lines.push(proof(canary));
    }
    let scheme = if config.internal.address.ip().is_loopback() { "http" } else { "https" };
    lines.push(format!(
        "shows itself at {scheme}://{}, with the token in {}",
        config.internal.address,
        config.internal.token_file.display()
    ));
    lines.join("\n  ") + "\n"
}

fn proof(canary: &Canary) -> String {
    let source = if canary.proves_dovecot { "Dovecot" } else { "the webhook" };
    let by = match &canary.way {
        CanaryWay::Lmtp(address) => format!("over LMTP to {address}"),
        CanaryWay::Command(words) => format!("by {}", words.first().map_or("", String::as_str)),
    };
    let (every_s, late_s) = (canary.every.as_secs(), canary.late.as_secs());
    format!("has {source} prove itself every {every_s} s with a message to {}, {by}, missing after {late_s} s", canary.recipient)
}

fn join<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn classes(set: ClassSet) -> String {
    let names: Vec<&str> = Class::ALL.into_iter().filter(|class| set.contains(*class)).map(Class::name).collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A folder with two certificates and keys, a.pem/a.key and b.pem/b.key, and a configuration beside them.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            let folder = Folder(tempfile::tempdir().expect("a folder"));
            for name in ["a", "b"] {
                let made = rcgen::generate_simple_self_signed(vec!["gate.example.org".into()]).expect("a certificate");
                folder.write(&format!("{name}.pem"), &made.cert.pem());
                folder.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
            }
            folder
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            fs::write(self.path(name), text).expect("written");
            self.path(name)
        }

        fn check(&self, certificate: &str, key: &str, more: &str) -> Result<String, Failure> {
            let text = format!(
                "[tls]\ncertificate = {:?}\nprivate_key = {:?}\n[internal]\ntoken_file = {:?}\n{more}",
                self.path(certificate),
                self.path(key),
                self.path("token")
            );
            check(&self.write("pushgate.toml", &text))
        }
    }

    fn usage(checked: Result<String, Failure>) -> String {
        match checked {
            Err(Failure::Usage(message)) => message,
            other => panic!("no complaint: {other:?}"),
        }
    }

    #[test]
    fn a_sound_configuration_says_what_it_will_do_and_touches_nothing() {
        let folder = Folder::new();
        let report = folder.check("a.pem", "a.key", "").expect("in order");
        for part in ["0.0.0.0:443", "https://cas.example.org", "http://127.0.0.1:9080", "60 to 3540", "Dovecot for Email"] {
            assert!(report.contains(part), "{part} is missing in {report}");
        }
        assert!(!folder.path("token").exists());
    }

    #[test]
    fn a_key_of_another_certificate_is_noticed() {
        let folder = Folder::new();
        assert!(usage(folder.check("a.pem", "b.key", "")).contains("cannot be used together"));
    }

    #[test]
    fn every_bad_file_is_named_at_once() {
        let folder = Folder::new();
        folder.write("empty.pem", "");
        let message = usage(folder.check("absent.pem", "a.pem", &format!("[backend]\nca = {:?}\n", folder.path("empty.pem"))));
        for part in ["2 problems", "absent.pem", "a.pem cannot be read as a private key", "backend.ca", "holds no certificate"] {
            assert!(message.contains(part), "{part} is missing in {message}");
        }
    }

    #[test]
    fn without_tls_of_our_own_no_certificate_is_needed() {
        let folder = Folder::new();
        let plain = "[listen]\naddress = []\nplain_address = [\"127.0.0.1:8080\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
        let report = folder.check("absent.pem", "absent.key", plain).expect("in order");
        assert!(report.contains("127.0.0.1:8080 from 127.0.0.1/32"), "{report}");
    }

    #[test]
    fn a_token_without_a_place_and_a_missing_file_are_problems() {
        let folder = Folder::new();
        assert!(usage(check(&folder.path("absent.toml"))).contains("cannot be read"));
        let text = format!(
            "[listen]\naddress = []\nplain_address = [\"127.0.0.1:1\"]\ntrusted_proxies = [\"127.0.0.1\"]\n[internal]\ntoken_file = {:?}\n",
            folder.path("no/token")
        );
        assert!(usage(check(&folder.write("pushgate.toml", &text))).contains("there is no folder"));
    }

    #[test]
    fn what_serve_would_stumble_over_is_noticed() {
        let folder = Folder::new();
        let more = "[directory]\nurl = \"ldaps://ldap.example.org\"\nca = \"/nowhere/ca.pem\"\nbase = \"dc=x\"\n\
            [mail]\ncommand = [\"/nowhere/sendmail\"]\nadministrators = [\"a@example.org\"]\n";
        let said = usage(folder.check("a.pem", "a.key", more));
        assert!(said.contains("directory.ca") && said.contains("mail.command"), "{said}");
        let said =
            usage(folder.check("a.pem", "a.key", "[mail]\nserver = \"lmtp:unix:/nowhere/lmtp\"\nadministrators = [\"a@example.org\"]\n"));
        assert!(said.contains("mail.server"), "{said}");
    }

    #[test]
    fn a_canary_that_cannot_be_delivered_is_noticed() {
        let folder = Folder::new();
        let checked = |line: &str| folder.check("a.pem", "a.key", &format!("[notify.canary]\nmailbox = \"canary@example.org\"\n{line}\n"));
        let report = checked("").expect("in order");
        assert!(report.contains("has Dovecot prove itself every 60 s with a message to canary@example.org, over LMTP to 127.0.0.1:24"));
        assert!(checked("command = [\"sh\", \"-c\", \"true\"]").expect("in order").contains("by sh"));
        let path = folder.path("a.pem").display().to_string();
        for (line, complaint) in [
            (format!("lmtp = \"unix:{path}\""), "is no socket"),
            (format!("lmtp = \"unix:{path}.absent\""), "cannot be used"),
            (format!("command = [\"{path}\"]"), "is no program"),
            ("command = [\"absent-program\"]".to_owned(), "is no program"),
            ("lmtp = \"24\"".to_owned(), "is neither host:port nor unix:/path"),
        ] {
            let message = usage(checked(&line));
            assert!(message.contains(complaint) && message.contains("notify.canary."), "{line}: {message}");
        }
        let listener = std::os::unix::net::UnixListener::bind(folder.path("lmtp")).expect("bound");
        checked(&format!("lmtp = \"unix:{}\"", folder.path("lmtp").display())).expect("in order");
        drop(listener);
    }
}
