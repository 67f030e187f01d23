//! nginx with the module nchan: long polling, a channel for each device, nothing stored.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use anyhow::Context as _;

use super::{Server, Setting, nginx};
use crate::crew::Language;
use crate::program::{Program, free_address};
use crate::publisher::{Publisher, get, post};

/// nginx.
pub struct Nchan {
    program: Program,
    target: SocketAddr,
    control: SocketAddr,
    publisher: Publisher,
}

impl Nchan {
    /// Starts it.
    pub fn start(setting: &Setting, directory: &Path) -> anyhow::Result<Nchan> {
        let (target, control) = (free_address()?, free_address()?);
        let servers = format!(
            "nchan_shared_memory_size 512m;
             server {{
               listen {target} ssl reuseport backlog=4096;
               location ~ ^/hold/(.+)$ {{
                 nchan_subscriber longpoll;
                 nchan_channel_id $1;
                 nchan_subscriber_timeout 3540;
                 nchan_subscriber_first_message newest;
               }}
             }}
             server {{
               listen {control};
               location = /status {{ nchan_stub_status; }}
               location ~ ^/wake/(.+)$ {{
                 nchan_publisher;
                 nchan_channel_id $1;
                 nchan_store_messages off;
               }}
             }}"
        );
        let program = nginx::start(setting, directory, "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;", &servers, target)?;
        Ok(Nchan { program, target, control, publisher: Publisher::connect(control)? })
    }
}

fn wake(channel: &str) -> Vec<u8> {
    post(&format!("/wake/{channel}"), "", "something has changed in the Inbox")
}

impl Server for Nchan {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        Language::Get { path: "/hold/{}".into() }
    }

    fn pids(&self) -> Vec<u32> {
        self.program.pids()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        let answer = self.publisher.ask(&get("/status", ""))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("subscribers: ")).context("nchan says no subscribers")?;
        Ok(count.trim().parse()?)
    }

    fn publishes_at(&self) -> SocketAddr {
        self.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        devices.map(|number| wake(&number.to_string())).collect()
    }

    fn ahead(&self) -> usize {
        50
    }

    fn in_common(&self) -> Option<(Language, Vec<u8>)> {
        Some((Language::Get { path: "/hold/all".into() }, wake("all")))
    }
}
