//! Another configuration while everything runs: made ready as a whole, then put in force as a whole. Held Pings stay.

use super::backend::Backend;
use super::lots::Note;
use super::{Gateway, backend, tls};
use crate::config::{Config, Problem, Reload};

/// Everything that a new configuration needs, and that could fail.
pub(crate) struct Ready {
    config: Config,
    is_changed: bool,
    certificates: tls::Prepared,
    /// If their settings changed.
    backends: Option<backend::Prepared>,
}

impl Gateway {
    /// Reads certificates and the backends' CA as the new configuration has them. Nothing changes yet. Blocks: files are read.
    ///
    /// # Errors
    /// Everything that cannot be used.
    pub(crate) fn make_ready(&self, reload: Reload) -> Result<Ready, Vec<Problem>> {
        let Reload { config, changed, .. } = reload;
        let mut problems = Vec::new();
        if !changed.is_empty() && !self.config.has_room() {
            let message = "too many changed configurations since the start; restart the gateway".to_owned();
            problems.push(Problem { place: "file".to_owned(), message });
        }
        let certificates = self.acceptor.prepare(&config.tls);
        let certificates = certificates.map_err(|error| problems.push(Problem { place: "tls".to_owned(), message: error.to_string() }));
        let are_backends_new = changed.iter().any(|key| key.starts_with("backend.") || key == "limits.body_idle_s");
        let backends = are_backends_new.then(|| Backend::prepare(&config.backend, &config.limits)).transpose();
        let backends = backends.map_err(|error| problems.push(Problem { place: error.place.to_owned(), message: error.message }));
        match (certificates, backends) {
            (Ok(certificates), Ok(backends)) if problems.is_empty() => {
                Ok(Ready { config, is_changed: !changed.is_empty(), certificates, backends })
            }
            _ => Err(problems),
        }
    }

    /// Puts it in force; whether there are other certificates. One caller at a time.
    pub(crate) async fn put_in_force(&self, ready: Ready) -> bool {
        let Ready { config, is_changed, certificates, backends } = ready;
        // They were good a moment ago, when they were made ready.
        let are_certificates_new = self.acceptor.put(certificates).unwrap_or_else(|error| {
            tracing::error!(%error, "certificates not reloaded; the old ones stay");
            false
        });
        if !is_changed {
            return are_certificates_new;
        }
        self.verdicts.reconfigure(&config.auth, backends.is_some());
        self.shields.reconfigure(&config.auth);
        if let Some(backends) = backends {
            self.backend.replace(backends);
        }
        if let Some(gate) = &self.gate {
            gate.allow_devices(config.provision.devices_max);
        }
        crate::telemetry::log::put_in_force(&config.log);
        self.config.replace(config);
        self.lots.send_all(|| Note::Options(Box::new(self.lot_options()))).await;
        are_certificates_new
    }
}
