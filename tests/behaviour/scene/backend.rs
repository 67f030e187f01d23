//! The stand-in CAS.

use pushgate::standin::cas::{Cas, CasOptions, Kind};

/// A CAS that behaves as the specification says and remembers its last requests.
pub fn backend() -> BackendBuilder {
    BackendBuilder(CasOptions { record_max: 64, ..CasOptions::default() })
}

pub struct BackendBuilder(CasOptions);

impl BackendBuilder {
    pub fn kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    pub fn with(mut self, edit: impl FnOnce(&mut CasOptions)) -> Self {
        edit(&mut self.0);
        self
    }

    pub async fn start(self) -> Cas {
        Cas::start(self.0).await.unwrap()
    }
}
