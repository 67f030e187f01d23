//! nginx as a plain proxy before the holder.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use super::hyper::{self, Hyper};
use super::{Server, Setting, write};
use crate::crew::Language;
use crate::program::{Program, free_address};

/// nginx and its origin.
pub struct Nginx {
    program: Program,
    origin: Hyper,
    target: SocketAddr,
}

impl Nginx {
    /// Both.
    pub fn start(setting: &Setting, directory: &Path) -> anyhow::Result<Nginx> {
        let (origin, target) = (Hyper::origin(directory)?, free_address()?);
        let server = format!(
            "upstream origin {{ server {}; keepalive 64; }}
             server {{
               listen {target} ssl reuseport backlog=4096;
               location / {{
                 proxy_pass http://origin;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 proxy_read_timeout 3600s;
                 proxy_buffering off;
               }}
             }}",
            origin.target
        );
        let program = start(setting, directory, "", &server, target)?;
        Ok(Nginx { program, origin, target })
    }
}

/// nginx with two workers, for as many connections as a process may open files.
pub fn start(setting: &Setting, directory: &Path, modules: &str, servers: &str, target: SocketAddr) -> anyhow::Result<Program> {
    let certificates = setting.directory.display();
    let config = format!(
        "{modules}
         daemon off;
         worker_processes 2;
         pid nginx.pid;
         error_log stderr warn;
         events {{ worker_connections 19000; }}
         http {{
           access_log off;
           client_body_temp_path body;
           proxy_temp_path proxy;
           fastcgi_temp_path fastcgi;
           uwsgi_temp_path uwsgi;
           scgi_temp_path scgi;
           keepalive_timeout 3600s;
           keepalive_requests 1000000000;
           ssl_certificate {certificates}/cert.pem;
           ssl_certificate_key {certificates}/key.pem;
           {servers}
         }}"
    );
    write(directory, "nginx.conf", &config)?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(directory);
    Program::start(&mut command, directory, "nginx", target)
}

impl Server for Nginx {
    fn target(&self) -> SocketAddr {
        self.target
    }

    fn language(&self) -> Language {
        hyper::language()
    }

    fn pids(&self) -> Vec<u32> {
        self.program.pids()
    }

    fn held(&mut self) -> anyhow::Result<usize> {
        self.origin.held()
    }

    fn publishes_at(&self) -> SocketAddr {
        self.origin.control
    }

    fn wakes(&self, devices: Range<usize>) -> Vec<Vec<u8>> {
        hyper::wakes(devices)
    }

    fn other_ends(&self) -> f64 {
        2.0
    }
}
