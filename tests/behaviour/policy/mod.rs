//! Devices under policies: the whole way through a gateway, as devices and administrators see it.

mod access;
mod away;
mod enforcement;
mod held;
mod looping;
mod lost_phone;
mod mail;
mod mode;
mod provisioning;
mod recovery;
mod renewal;
mod scene;
mod strangers;
mod wipe;
