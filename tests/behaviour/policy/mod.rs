//! Devices under policies: the whole way through a gateway, as devices and administrators see it.

mod provisioning;
mod scene;
