//! Five lines set the scene: `backend()`, `gateway()`, `device()`, `mailbox()`; bare sockets are `Line`s.

mod backend;
mod gateway;
mod line;
mod phone;
mod raw_backend;
mod request;

use std::time::{Duration, Instant};

pub use backend::backend;
pub use gateway::{Gateway, GatewayBuilder, gateway};
pub use line::{Answer, Line, tls_only};
pub use phone::{Phone, device};
pub use raw_backend::{RawRequest, Reply, raw_backend};
pub use request::{Request, eas, gzip, http, vector, vectors};
use serde_json::{Value, json};

/// Everything that is about to happen happens within this time, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(15);

/// Looks until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Waits for something that must come.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, coming).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}

/// A mailbox in a notification.
pub fn mailbox(name: &str) -> Notification {
    Notification(json!({ "mailbox": name }))
}

/// What a mail server says of a mailbox.
pub struct Notification(pub Value);

impl Notification {
    pub fn folder(self, name: &str) -> Self {
        self.with("folder", name)
    }

    pub fn folder_id(self, id: &str) -> Self {
        self.with("folder_id", id)
    }

    pub fn class(self, class: &str) -> Self {
        self.with("class", class)
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.0[key] = value.into();
        self
    }
}
