//! A file read anew while the gateway runs: what of it takes effect, and what waits for a restart.

use std::path::Path;

use super::definition::{KEYS, Key};
use super::values::{Settings, Values};
use super::{Config, Problem};

/// Keys and whole sections that a reload puts in force. Any other key needs a restart: it names an address that is bound, a thread or a
/// file that is open, or the name under which a held Ping is known.
pub const LIVE: &[&str] = &[
    "auth",
    "backend.url",
    "backend.ca",
    "backend.connect_timeout_s",
    "backend.answer_timeout_s",
    "backend.connections_max",
    "backend.requests_per_s",
    "backend.down_s",
    "backend.resolve",
    "backend.resolve_per_s",
    "drain",
    "limits.parked_max",
    "limits.connections_max",
    "limits.handshake_s",
    "limits.head_bytes_max",
    "limits.head_s",
    "limits.body_idle_s",
    "limits.inspected_body_bytes_max",
    "limits.idle_s",
    "limits.strangers_per_address_max",
    "limits.device_requests_max",
    "limits.device_requests_per_s",
    "limits.grace_s",
    "limits.bytes_per_s_min",
    "limits.devices_max",
    "limits.device_forget_s",
    "listen.proxy_protocol",
    "listen.trusted_proxies",
    "log",
    "network",
    "ping.folders_max",
    "ping.hbi_alert_threshold_s",
    "ping.hbi_sample_size",
    "ping.heartbeat_max_s",
    "ping.heartbeat_min_s",
    "ping.wakes_per_s",
    "provision.devices_max",
    "tls",
];

/// What a file read anew comes to.
#[derive(Debug)]
pub struct Reload {
    /// The new configuration, with the old values of the keys that need a restart.
    pub config: Config,
    /// Keys that differ and take effect.
    pub changed: Vec<String>,
    /// Keys that differ and need a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// Reads a file to replace this configuration.
    ///
    /// # Errors
    /// Every problem, as [`Config::load`] reports them; also those that only the mixture with what needs a restart has.
    pub fn reload(&self, path: &Path) -> Result<Reload, Vec<Problem>> {
        let text = super::read(path)?;
        self.reload_text(&text, super::environment())
    }

    fn reload_text(&self, text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Reload, Vec<Problem>> {
        let mut values = Values::read(text, environment);
        let read = Config::build(&mut values);
        if !values.problems.is_empty() {
            return Err(values.problems);
        }
        let (mut held, mut changed, mut needs_restart) = (read.settings.clone(), Vec::new(), Vec::new());
        for key in KEYS.iter().filter(|key| !self.settings.agrees(&read.settings, key)) {
            let place = format!("{}.{}", key.section, key.name);
            if is_live(key.section, &place) {
                changed.push(place);
            } else {
                held.take_back(key, &self.settings);
                needs_restart.push(place);
            }
        }
        if self.settings.networks != read.settings.networks {
            changed.push("network".to_owned());
        }
        if needs_restart.is_empty() {
            return Ok(Reload { config: read, changed, needs_restart });
        }
        let mut values = Values::of(held);
        let config = Config::build(&mut values);
        if values.problems.is_empty() { Ok(Reload { config, changed, needs_restart }) } else { Err(values.problems) }
    }
}

fn is_live(section: &str, place: &str) -> bool {
    LIVE.iter().any(|live| *live == section || *live == place)
}

impl Settings {
    fn agrees(&self, other: &Settings, key: &Key) -> bool {
        let place = (key.section, key.name);
        // The default of this one depends on another key, so it matters whether it was written.
        let is_written = |settings: &Settings| place == ("backend", "check_heartbeat_s") && settings.written.contains(&place);
        self.values.get(&place) == other.values.get(&place) && is_written(self) == is_written(other)
    }

    fn take_back(&mut self, key: &Key, old: &Settings) {
        let place = (key.section, key.name);
        self.written.retain(|written| *written != place);
        if old.written.contains(&place) {
            self.written.push(place);
        }
        if let Some(value) = old.values.get(&place) {
            self.values.insert(place, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, std::iter::empty()).expect("valid")
    }

    #[test]
    fn every_name_on_the_list_is_a_key_or_a_section_and_is_there_once() {
        for (place, live) in LIVE.iter().enumerate() {
            assert!(!LIVE[..place].contains(live), "{live} is there twice");
            let is_known = KEYS.iter().any(|key| key.section == *live || format!("{}.{}", key.section, key.name) == *live);
            assert!(is_known || *live == "network", "{live}");
        }
    }

    #[test]
    fn what_needs_a_restart_keeps_its_old_value_and_is_named_every_time() {
        let running = parse("[listen]\naddress = [\"127.0.0.1:1\"]\n[ping]\nfolders_max = 5\n");
        let text = "[listen]\naddress = [\"127.0.0.1:2\"]\n[ping]\nfolders_max = 6\n";
        let Reload { config, changed, needs_restart } = running.reload_text(text, std::iter::empty()).expect("valid");
        assert_eq!((changed, needs_restart), (vec!["ping.folders_max".to_owned()], vec!["listen.address".to_owned()]));
        assert_eq!((config.ping.folders_max, config.listen.address[0].port()), (6, 1));
        let again = config.reload_text(text, std::iter::empty()).expect("valid");
        assert_eq!((again.changed, again.needs_restart), (vec![], vec!["listen.address".to_owned()]));
    }

    #[test]
    fn a_bad_file_says_everything_that_is_wrong() {
        let problems = parse("").reload_text("[ping]\nfolders_max = 0\n[tsl]\nx = 1\n", std::iter::empty()).expect_err("two mistakes");
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn a_mixture_that_cannot_be_is_a_problem_and_says_which() {
        let running = parse("[listen]\nplain_address = [\"127.0.0.1:1\"]\ntrusted_proxies = [\"10.0.0.1\"]\n");
        let problems = running.reload_text("", std::iter::empty()).expect_err("the plain address stays until a restart");
        assert_eq!(problems[0].place, "listen.trusted_proxies");
    }

    #[test]
    fn networks_are_compared_whole() {
        let text = "[[network]]\nname = \"a\"\ncidr = [\"10.0.0.0/8\"]\n";
        let reload = parse("").reload_text(text, std::iter::empty()).expect("valid");
        assert_eq!((reload.changed, reload.config.networks.len()), (vec!["network".to_owned()], 1));
        assert!(parse(text).reload_text(text, std::iter::empty()).expect("valid").changed.is_empty());
    }

    #[test]
    fn secrets_are_not_shown_with_the_configuration() {
        let config = parse("[store]\npassword = \"hunter2\"\n");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
